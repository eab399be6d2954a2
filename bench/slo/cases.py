"""Replay reference cases about objectives: official verdicts, published numbers, peers' rules.

python -m bench.slo.cases FILE [--section S] [--show N]

FILE is JSON: a section name -> a list of cases, each with what goes in and what must come out; the
section ``meta`` describes the file. Every case is replayed through the product's own code. Prints
one line per section, with ``--show`` what went wrong in the first failing cases, and ends with the
line "N passed, N failed". A section nobody here knows how to replay counts as failed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.slo import (
    burn_cases,
    detection_cases,
    openslo_cases,
    policy_cases,
    pyrra_cases,
    sloth_cases,
)

#: A case -> what is wrong with our answer; nothing means passed.
Replay = Callable[[dict[str, Any]], list[str]]

SECTIONS: Mapping[str, Replay] = {
    **sloth_cases.SECTIONS,
    **pyrra_cases.SECTIONS,
    **burn_cases.SECTIONS,
    **policy_cases.SECTIONS,
    **detection_cases.SECTIONS,
    **openslo_cases.SECTIONS,
}


def replay(section: str, case: dict[str, Any]) -> list[str]:
    """What is wrong with our answer to a case. An unexpected error of ours is a wrong answer."""
    judge = SECTIONS.get(section)
    if judge is None:
        return [f"no replay for section {section}"]
    try:
        return judge(case)
    except Exception as error:  # noqa: BLE001 - counted and shown, the other cases go on
        return [f"{type(error).__name__}: {error}"]


def load(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Sections of a file in its order."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: cases for name, cases in content.items() if name != "meta"}


def main() -> int:
    reference = Path(os.environ.get("DAVYLAMP_REFERENCE_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=reference / "slo" / "cases_open.json")
    parser.add_argument("--section", action="append", help="only this one; may be repeated")
    parser.add_argument("--show", type=int, default=0, help="failing cases shown per section")
    parser.add_argument("--quick", action="store_true", help="accepted; the whole takes seconds")
    options = parser.parse_args()
    passed = failed = 0
    for name, cases in load(options.file).items():
        if options.section and name not in options.section:
            continue
        began = time.monotonic()
        wrong = [(case, problems) for case in cases if (problems := replay(name, case))]
        passed += len(cases) - len(wrong)
        failed += len(wrong)
        print(
            f"{name}: {len(cases) - len(wrong)} of {len(cases)} in {time.monotonic() - began:.2f} s"
        )
        for case, problems in wrong[: options.show]:
            print(f"  {case.get('id', '?')}")
            for problem in problems[:5]:
                print(f"    {problem[:400]}")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
