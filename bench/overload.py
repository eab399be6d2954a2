"""What a hostile or broken sender costs the collector, and its other senders.

    python -m bench.overload [--series 1000000]

Three attacks on a fresh collector with its default limits: a burst of new series, a gzip bomb of
1 GiB, 4 MB of empty messages. Beside each, one well-behaved sender with a small request every 50
ms. Printed: the most resident memory, the small requests' latency, and whether the books close.
There is no peer here: what others publish is in reference tables, not on this machine.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from bench.collector.process import Collector
from collector.testing import metrics_request, resource
from collector.wire.shapes import field

SENDERS = 4
POINTS_PER_BODY = 5_000
#: A million in a minute.
BURST_PER_S = 1_000_000 / 60
PROTOBUF = {"content-type": "application/x-protobuf"}


def post(url: str, body: bytes, **headers: str) -> int:
    request = urllib.request.Request(url, body, {**PROTOBUF, **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0  # refused while the body was still on its way


class Watch(threading.Thread):
    """Resident memory every 20 ms, a small request every 50 ms, until closed."""

    def __init__(self, collector: Collector) -> None:
        super().__init__(daemon=True)
        self._collector = collector
        self._is_done = False
        self.rss_bytes: list[int] = []
        self.took_s: list[float] = []
        self.statuses: set[int] = set()
        self._small = threading.Thread(target=self._send_small, daemon=True)

    def run(self) -> None:
        status = Path(f"/proc/{self._collector.process.pid}/statm")
        while not self._is_done:
            self.rss_bytes.append(int(status.read_text().split()[1]) * 4_096)
            time.sleep(0.02)

    def _send_small(self) -> None:
        while not self._is_done:
            point = {"time": time.time_ns(), "value": 1.0}
            body = metrics_request(resource("quiet"), "playback.starts", "gauge", [point])
            began_s = time.monotonic()
            url = f"{self._collector.http_url}/v1/metrics"
            self.statuses.add(post(url, body.SerializeToString()))
            self.took_s.append(time.monotonic() - began_s)
            time.sleep(0.05)

    def __enter__(self) -> Self:
        self.start()
        self._small.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_done = True
        self.join()
        self._small.join()


def burst_bodies(series: int, first: int, last: int) -> list[bytes]:
    now = time.time_ns()
    return [
        metrics_request(
            resource("burst"),
            "burst.values",
            "gauge",
            [
                {"time": now, "value": 1.0, "attributes": {"id": f"value-{n}"}}
                for n in range(start, min(start + POINTS_PER_BODY, series))
            ],
        ).SerializeToString()
        for start in range(first, last, POINTS_PER_BODY)
    ]


def burst(url: str, series: int) -> dict[str, Any]:
    share = -(-series // SENDERS)
    began_s = time.monotonic()

    def send(number: int) -> list[int]:
        first = number * share
        bodies = burst_bodies(series, first, min(first + share, series))
        found = []
        for turn, body in enumerate(bodies):
            due_s = began_s + (turn * SENDERS + number) * POINTS_PER_BODY / BURST_PER_S
            time.sleep(max(due_s - time.monotonic(), 0.0))
            found.append(post(url, body))
        return found

    with ThreadPoolExecutor(SENDERS) as pool:
        statuses = [one for found in pool.map(send, range(SENDERS)) for one in found]
    return {"series": series, "statuses": sorted(set(statuses))}


def bomb(url: str) -> dict[str, Any]:
    body = gzip.compress(bytes(1 << 30), 9)
    found = {post(url, body, **{"content-encoding": "gzip"}) for _ in range(5)}
    return {"sent_bytes": len(body), "statuses": sorted(found)}


def empty_messages(url: str) -> dict[str, Any]:
    scope = field(2, b"\x12\x00" * 2_000_000)
    body = field(1, scope)
    return {"sent_bytes": len(body), "statuses": sorted({post(url, body) for _ in range(5)})}


def attacked(folder: Path, attack: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    collector = Collector(folder / "state", folder / "stderr.log")
    try:
        with Watch(collector) as watch:
            time.sleep(1.0)
            idle = len(watch.took_s)
            before_bytes = max(watch.rss_bytes)
            began_s = time.monotonic()
            said = attack(f"{collector.http_url}/v1/metrics")
            took_s = time.monotonic() - began_s
            attacked_s = watch.took_s[idle:] or [0.0]
        while (books := _books(collector))["pending"]:
            time.sleep(0.1)
    finally:
        collector.terminate()
    return {
        **said,
        "took_s": round(took_s, 1),
        "rss_before_mb": round(before_bytes / 1e6),
        "rss_max_mb": round(max(watch.rss_bytes) / 1e6),
        "small_p50_ms": round(float(np.quantile(attacked_s, 0.5)) * 1000, 1),
        "small_p99_ms": round(float(np.quantile(attacked_s, 0.99)) * 1000, 1),
        "small_statuses": sorted(watch.statuses),
        "stored": books["stored"],
        "rejected": books["rejected"],
        "is_closed": all(map(_is_closed, books["signals"].values())),
        "tracebacks": (folder / "stderr.log").read_text().count("Traceback"),
    }


def _books(collector: Collector) -> dict[str, Any]:
    with urllib.request.urlopen(f"{collector.api_url}/api/v1/ingest", timeout=60) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def _is_closed(account: dict[str, Any]) -> bool:
    gone = sum(account[name] for name in ("stored", "duplicate", "quarantined", "pending"))
    came = account["received"] + account["recovered"]
    return bool(came == gone + sum(account["rejected"].values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="100,000 series")
    options = parser.parse_args()
    series = 100_000 if options.quick else options.series
    figures: dict[str, Any] = {}
    for name, attack in (
        ("burst", lambda url: burst(url, series)),
        ("gzip_bomb", bomb),
        ("empty_messages", empty_messages),
    ):
        with tempfile.TemporaryDirectory(prefix="davylamp-overload-") as folder:
            figures[name] = attacked(Path(folder), attack)
        print(name, figures[name], file=sys.stderr)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
