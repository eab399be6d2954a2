"""Replay vectors of signed webhooks: signatures, verdicts, addresses, URLs, answers, waits.

python -m bench.rollback.vectors FILE [--section S] [--show N]

FILE has the format of webhooks_vectors.json. Every case is replayed through the product's own code;
beside each section stands what other code made of the same cases: the reference library
(``standardwebhooks``, run here) on the verdicts, address checks of other packages as the file
records them. Ends with the line "N passed, N failed". Sections about what the product does not do
(signatures of other vendors' webhooks, event names) are listed, not counted.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rollback import places, signatures, timing

#: Sections of the file -> cases of it, by our own section names.
Judge = Callable[[Mapping[str, Any]], list[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """``cases`` finds them in the file, ``judge`` says what is wrong with our answer to one;
    ``peers`` gives each peer's right answers to them.
    """

    cases: Callable[[Mapping[str, Any]], list[dict[str, Any]]]
    judge: Judge
    peers: Callable[[list[dict[str, Any]]], Mapping[str, int]] = lambda cases: {}  # noqa: ARG005


def _at(*path: str) -> Callable[[Mapping[str, Any]], list[dict[str, Any]]]:
    def find(content: Any) -> list[dict[str, Any]]:
        for key in path:
            content = content.get(key, {}) if isinstance(content, dict) else {}
        if isinstance(content, dict):
            return [content] if content else []
        return list(content)

    return find


SECTIONS: Mapping[str, Section] = {
    "hmac": Section(_at("primitives", "hmac_sha256"), signatures.judge_hmac),
    "ed25519": Section(_at("primitives", "ed25519"), signatures.judge_ed25519),
    "signatures v1": Section(
        _at("standard_webhooks", "v1_hmac_sha256"), signatures.judge_v1, signatures.reference_signs
    ),
    "signatures v1a": Section(_at("standard_webhooks", "v1a_ed25519"), signatures.judge_v1a),
    "rotation": Section(signatures.rotations, signatures.judge_rotation),
    "http message signature": Section(_at("rfc9421_ed25519"), signatures.judge_message_signature),
    "verdicts": Section(
        _at("verification", "cases"), signatures.judge_verdict, signatures.reference_verdicts
    ),
    "addresses": Section(
        _at("ssrf_addresses", "addresses"), places.judge_address, places.other_packages
    ),
    "urls": Section(_at("ssrf_urls", "cases"), places.judge_url),
    "rebinding": Section(_at("ssrf_urls", "rebinding"), places.judge_rebinding),
    "answers": Section(_at("response_handling", "cases"), timing.judge_answer),
    "retry-after": Section(_at("retry_after", "cases"), timing.judge_retry_after),
    "command schedule": Section(
        _at("retry_schedules", "davylamp_rollback_command", "attempts"), timing.judge_attempt
    ),
}
#: What we neither send nor check.
NOT_OURS = ("other_senders", "cdevents_mapping", "receiver_dedup")


def replay(section: Section, content: Mapping[str, Any]) -> Iterator[tuple[dict, list[str]]]:
    """Every case with what is wrong; an unexpected error of ours is a wrong answer."""
    for case in section.cases(content):
        try:
            yield case, section.judge(case)
        except Exception as error:  # noqa: BLE001 - counted and shown, the other cases go on
            yield case, [f"{type(error).__name__}: {error}"]


def main() -> int:
    reference = Path(os.environ.get("DAVYLAMP_REFERENCE_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=reference / "webhooks_vectors.json")
    parser.add_argument("--section", action="append", choices=list(SECTIONS))
    parser.add_argument("--show", type=int, default=3, help="failing cases shown per section")
    parser.add_argument("--quick", action="store_true", help="accepted; the whole takes seconds")
    options = parser.parse_args()
    content = json.loads(options.file.read_text(encoding="utf-8"))
    figures: dict[str, Any] = {}
    passed = failed = 0
    for name, section in SECTIONS.items():
        if options.section and name not in options.section:
            continue
        results = list(replay(section, content))
        wrong = [(case, problems) for case, problems in results if problems]
        peers = dict(section.peers([case for case, _ in results]))
        passed, failed = passed + len(results) - len(wrong), failed + len(wrong)
        figures[name] = {"cases": len(results), "ours": len(results) - len(wrong), "peers": peers}
        beside = ", ".join(f"{peer} {right}" for peer, right in peers.items())
        print(
            f"{name}: {len(results) - len(wrong)} of {len(results)}"
            + beside.join((" (", ")")) * bool(beside)
        )
        for case, problems in wrong[: options.show]:
            print(f"  {json.dumps(case)[:200]}\n    " + "\n    ".join(problems))
    left = [name for name in NOT_OURS if name in content]
    print(f"not replayed, the product does not do it: {', '.join(left) or 'nothing'}")
    print(json.dumps(figures))
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
