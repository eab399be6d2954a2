"""Bent input into every decoder of the collector that is our own, for a given time.

    python -m bench.fuzz --seconds 60 --seed 1 [--only text json ...]

Good input is bent by replacing, repeating, cutting and splicing bytes; what was answered in new
words is kept and bent further. A decoder may take its input or refuse it with its own error.
Anything else, and anything that takes longer than a second, is printed as a finding, and the exit
code is 1. Decoders of others are not fuzzed alone; the engine's input has passed the scan.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from collector.model import Signal
from collector.samples.decode import Batch, decode, first_version
from collector.samples.messages import RawRequest, Request2, Series
from collector.samples.runs import Runs
from collector.samples.series_book import SeriesBook
from collector.samples.snappy import compress_block, decompress_block
from collector.scrape.errors import BadExposition
from collector.scrape.openmetrics import parse_openmetrics
from collector.scrape.text_format import parse_text
from collector.testing import framed, logs_request, metrics_request, resource, trace_request
from collector.wal import frames
from collector.wire.compression import decompress
from collector.wire.errors import WireError
from collector.wire.otlp_json import json_to_protobuf
from collector.wire.scan import scan
from davylamp.config import collector_config, load_settings

SLOW_S: Final = 1.0
MAX_BYTES: Final = 4_096
#: Inputs kept per decoder, and findings after which it is enough.
MAX_CORPUS: Final = 2_000
MAX_FINDINGS: Final = 10
NOW_NS: Final = 1_790_000_000_000_000_000
LIMITS: Final = collector_config(load_settings(environ={})).limits
WORDS: Final = (
    *(b"\n", b"{", b"}", b'"', b"\\", b" # ", b"# EOF\n", b"# TYPE ", b"NaN", b"+Inf", b"1e999"),
    *(
        b"\x00",
        b"\xff" * 9,
        b"\x80\x80\x80\x80\x80",
        b"\x0a",
        b"\x12\x00",
        b"[[[[",
        b"null",
        b"1e309",
    ),
    *(
        b'"traceId":',
        b'"timeUnixNano":"-1"',
        b"\\ud800",
        b"DLW1",
        b"\x1f\x8b",
        b"_total",
        b"__name__",
    ),
)
_DIGITS: Final = re.compile(r"\d+|'.*'|\".*\"")


@dataclass(frozen=True, slots=True)
class Decoder:
    """What is called, what it may raise, and good input to begin with."""

    call: Callable[[bytes], Any]
    refusals: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]


def decoders() -> dict[str, Decoder]:
    spans = trace_request(
        resource("s"),
        [{"trace_id": b"t" * 16, "span_id": b"s" * 8, "start": NOW_NS, "events": ["e"]}],
    ).SerializeToString()
    point = {"time": NOW_NS, "start": NOW_NS - 1, "attributes": {"a": "b", "n": 1}}
    counts = {"count": 3, "sum": 1.5, "counts": [1, 2]}
    metrics = tuple(
        metrics_request(resource("s"), "m", kind, [{**point, **more}]).SerializeToString()
        for kind, more in (
            ("gauge", {"value": 1.5}),
            ("sum", {"value": 7}),
            ("histogram", {**counts, "bounds": [0.5]}),
            ("exponential_histogram", {**counts, "scale": 1, "offset": -1}),
        )
    )
    logs = logs_request(
        resource("s"),
        [{"time": NOW_NS, "body": "b", "trace_id": b"t" * 16, "attributes": {"list": ["a"]}}],
    ).SerializeToString()
    text = (
        b'# HELP a b\n# TYPE a counter\na_total{x="y",z="\\n"} 1.5 1790000000000\nb NaN\n',
        b'{"a.b",c="d"} 1\n',
    )
    open_metrics = (
        b'# TYPE a counter\n# UNIT a_s s\na_total{x="y"} 1 1.5 # {trace_id="t"} 2 3\n# EOF\n',
    )
    document = (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c",'
        b'"spanId":"b7ad6b7169203331","name":"x","startTimeUnixNano":"1","attributes":[{"key":"k",'
        b'"value":{"arrayValue":{"values":[{"intValue":"1"},{"doubleValue":1.5}]}}}]}]}]}]}'
    )
    first, second = remote_writes()
    look = partial(scan, limits=LIMITS, now_unix_nano=NOW_NS)
    return {
        "text": Decoder(partial(parse_text, known=()), (BadExposition,), text),
        "openmetrics": Decoder(
            partial(parse_openmetrics, known=()), (BadExposition,), open_metrics
        ),
        "json": Decoder(partial(json_to_protobuf, Signal.TRACES), (WireError,), (document,)),
        "scan_traces": Decoder(lambda raw: look(Signal.TRACES, raw), (WireError,), (spans,)),
        "scan_logs": Decoder(lambda raw: look(Signal.LOGS, raw), (WireError,), (logs,)),
        "scan_metrics": Decoder(lambda raw: look(Signal.METRICS, raw), (WireError,), metrics),
        "frames": Decoder(frames.read, (), (framed(spans, 1) + framed(metrics[0], 1),)),
        "gzip": Decoder(
            partial(decompress, encoding="gzip", max_bytes=10_000),
            (WireError,),
            (gzip.compress(b"x" * 99),),
        ),
        "snappy": Decoder(
            partial(decompress_block, max_bytes=10_000),
            (WireError,),
            (compress_block(b"abcd" * 99), compress_block(first)),
        ),
        "remote_write": Decoder(partial(read_twice, first), (WireError,), (first,)),
        "remote_write_2": Decoder(
            partial(first_version, max_samples=1_000), (WireError,), (second,)
        ),
    }


def remote_writes() -> tuple[bytes, bytes]:
    """A request of each version."""
    first = RawRequest()
    for number in range(40):
        series = Series()
        for name, value in ((b"__name__", b"m"), (b"n", str(number).encode())):
            series.labels.add(name=name, value=value)
        series.samples.add(timestamp=NOW_NS // 1_000_000, value=number / 7)
        first.timeseries.append(series.SerializeToString())
    second = Request2(symbols=[b"", b"__name__", b"m", b"n", b"1"])
    series = second.timeseries.add(labels_refs=[1, 2, 3, 4])
    series.samples.add(timestamp=NOW_NS // 1_000_000, value=1.5)
    return first.SerializeToString(), second.SerializeToString()


def read_twice(seen: bytes, raw: bytes) -> Batch:
    """What repeats a body that was seen before is read another, faster way: to the same samples."""
    book, runs = SeriesBook(1_000), Runs()
    decode(seen, book, runs=runs)
    refusal = fast = None
    try:
        fast = decode(raw, book, runs=runs, max_samples=1_000)
    except WireError as error:
        refusal = error
    slow = decode(raw, book, max_samples=1_000)
    assert fast is not None, f"refused one way only: {refusal}"
    for name in ("ids", "times_ms", "values"):
        assert getattr(fast, name).tobytes() == getattr(slow, name).tobytes(), name
    assert fast.rejected == slow.rejected
    return slow


def bent(rng: np.random.Generator, corpus: list[bytes]) -> bytes:
    raw = bytearray(corpus[rng.integers(len(corpus))])
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(raw) + 1))
        end = at + int(rng.integers(0, 5))
        kind = rng.integers(6)
        if kind == 0:
            raw[at:end] = rng.bytes(int(rng.integers(0, 4)))
        elif kind == 1:
            raw[at:at] = WORDS[rng.integers(len(WORDS))]
        elif kind == 2 and raw:
            raw[at % len(raw)] ^= 1 << int(rng.integers(8))
        elif kind == 3:
            raw[at:end] = raw[at:end] * int(rng.integers(2, 60))
        elif kind == 4:
            other = corpus[rng.integers(len(corpus))]
            raw[at:] = other[int(rng.integers(len(other) + 1)) :]
        else:
            del raw[at:end]
    return bytes(raw[:MAX_BYTES])


def fuzzed(decoder: Decoder, seconds_s: float, rng: np.random.Generator) -> dict[str, Any]:
    corpus, seen = list(decoder.seeds), set()
    executions = 0
    slowest_s = 0.0
    findings: list[str] = []
    ends_s = time.monotonic() + seconds_s
    while time.monotonic() < ends_s and len(findings) < MAX_FINDINGS:
        raw = bent(rng, corpus)
        began_s = time.monotonic()
        try:
            decoder.call(raw)
            word = "taken"
        except decoder.refusals as refusal:
            word = _DIGITS.sub("*", str(refusal))[:80]
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            word = f"{type(error).__name__}: {error}"
            findings.append(f"{word[:200]} from {raw!r}")
        took_s = time.monotonic() - began_s
        slowest_s = max(slowest_s, took_s)
        if took_s > SLOW_S:
            findings.append(f"{took_s:.1f} s for {raw!r}")
        executions += 1
        if (word not in seen or rng.random() < 0.001) and len(corpus) < MAX_CORPUS:
            seen.add(word)
            corpus.append(raw)
    return {
        "executions": executions,
        "kinds_of_answer": len(seen),
        "slowest_ms": round(slowest_s * 1000, 1),
        "findings": findings,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each decoder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--quick", action="store_true", help="3 seconds each")
    options = parser.parse_args()
    seconds_s = 3.0 if options.quick else options.seconds
    figures = {
        name: fuzzed(decoder, seconds_s, np.random.default_rng(options.seed))
        for name, decoder in decoders().items()
        if options.only is None or name in options.only
    }
    print(json.dumps(figures))
    sys.exit(int(any(one["findings"] for one in figures.values())))


if __name__ == "__main__":
    main()
