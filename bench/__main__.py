"""``python -m bench`` lists the benchmarks, one module name a line.

The convention: every module listed runs as ``.venv/bin/python -m NAME``, takes ``--quick`` for less
than a minute, runs us and the peer alternately in one go, and prints its figures as one JSON line
at the very end.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent


def main() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name != "__main__.py" and 'if __name__ == "__main__":' in text:
            print(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))


if __name__ == "__main__":
    main()
