"""How reliably and how soon does the loop close? The demonstration, run again and again.

python -m bench.story --runs 10 [--markdown docs/reports/story.md]

Each run is ``davylamp demo --once`` with another seed, from an empty folder. There is no peer to
alternate with: none ships a bad release, a judge and a deployer in one command; what the rule of a
peer would have said on such streams is in ``bench.canary.detect``. ``--quick`` is one run with a
shorter quiet start, which still takes about three minutes: a release needs a bake.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from davylamp.config import environment_of

PORTS = {
    "collector": {"otlp_grpc_port": 0, "otlp_http_port": 0, "api_port": 0},
    "analysis": {"api_port": 0},
    "dashboards": {"port": 0},
    "samples": {"controller_port": 0, "edge_port": 0},
}
READY_MAX_S, GONE_MAX_S, PROMOTED_MAX_S = 15.0, 60.0, 150.0


def run_once(seed: int, arguments: list[str]) -> dict:
    """One story; its record plus the exit code and, when it failed, its last line."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        values = {**PORTS, "davylamp": {"state_dir": str(Path(folder) / "state")}}
        command = [sys.executable, "-m", "davylamp", "demo", "--once", "--seed", str(seed)]
        done = subprocess.run(
            [*command, "--record", str(record), *arguments],
            env=os.environ | environment_of(values),
            capture_output=True,
            text=True,
            check=False,
        )
        told = json.loads(record.read_text()) if record.exists() else {"canaries": []}
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        return {
            **told,
            "seed": seed,
            "exit": done.returncode,
            "failure": last if done.returncode else [],
        }


def row_of(told: dict) -> dict:
    """The figures of one run that the table shows; seconds since the canary's first request."""
    bad, good = (*told["canaries"], {}, {})[:2]
    return {
        "seed": told["seed"],
        "exit": told["exit"],
        "ready_s": told.get("ready_s"),
        "bad_verdict": bad.get("verdict"),
        "bad_verdict_s": bad.get("verdict_s"),
        "bad_webhook_s": bad.get("webhook_s"),
        "bad_gone_s": bad.get("gone_s"),
        "bad_confirmed_s": bad.get("confirmed_s"),
        "good_verdict": good.get("verdict"),
        "good_promoted_s": good.get("promoted_s"),
        "good_state": good.get("state"),
    }


HEADINGS = (
    ("seed", "seed"),
    ("exit", "exit"),
    ("ready_s", "ready, s"),
    ("bad_verdict", "F01 verdict"),
    ("bad_verdict_s", "after, s"),
    ("bad_webhook_s", "webhook accepted, s"),
    ("bad_gone_s", "canary gone, s"),
    ("bad_confirmed_s", "confirmed, s"),
    ("good_verdict", "N5 verdict"),
    ("good_promoted_s", "promoted, s"),
)


def table(rows: list[dict]) -> str:
    lines = ["| " + " | ".join(title for _, title in HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    for row in rows:
        cells = (row[key] for key, _ in HEADINGS)
        lines.append(
            "| " + " | ".join(f"{c:.1f}" if isinstance(c, float) else str(c) for c in cells) + " |"
        )
    return "\n".join(lines)


def figures(rows: list[dict]) -> dict:
    def over(key: str, limit_s: float) -> int:
        return sum(1 for row in rows if row[key] is None or row[key] > limit_s)

    def median(key: str) -> float | None:
        values = [row[key] for row in rows if row[key] is not None]
        return float(np.median(values)) if values else None

    return {
        "runs": len(rows),
        "closed": sum(1 for row in rows if row["exit"] == 0),
        "ready_s_median": median("ready_s"),
        "ready_over_limit": over("ready_s", READY_MAX_S),
        "bad_gone_s_median": median("bad_gone_s"),
        "bad_gone_over_limit": over("bad_gone_s", GONE_MAX_S),
        "good_promoted_s_median": median("good_promoted_s"),
        "good_promoted_over_limit": over("good_promoted_s", PROMOTED_MAX_S),
        "rolled_back_wrongly": sum(1 for row in rows if row["good_state"] == "rolled_back"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; then one more each")
    parser.add_argument("--quiet-s", type=float, default=20.0, help="before the first release")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--markdown", type=Path, help="write the table there")
    args = parser.parse_args()
    runs, quiet_s = (1, 5.0) if args.quick else (args.runs, args.quiet_s)
    rows = []
    for seed in range(args.seed, args.seed + runs):
        told = run_once(seed, ["--quiet-s", str(quiet_s)])
        rows.append(row_of(told))
        print(json.dumps(rows[-1]), *told["failure"], flush=True)
        result = figures(rows)
        if args.markdown:
            command = f"--runs {runs} --seed {args.seed} --quiet-s {quiet_s:g}"
            args.markdown.write_text(report(rows, result, command))
    print(table(rows))
    print(json.dumps({**result, "rows": rows}))
    return 0 if result["closed"] == runs else 1


def report(rows: list[dict], result: dict, arguments: str) -> str:
    summary = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in result.items())
    return f"""# The story, {len(rows)} times

`python -m bench.story {arguments}` on two shared cores, each run from an empty folder.
Seconds count from the first viewer's request that reached the canary; "ready" counts from
the start of the command. Limits: ready {READY_MAX_S:.0f} s, F01 gone {GONE_MAX_S:.0f} s,
N5 promoted {PROMOTED_MAX_S:.0f} s.

{table(rows)}

{summary}
"""


if __name__ == "__main__":
    raise SystemExit(main())
