"""What Sloth makes of counters: its own generated rules, run by promtool."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from analysis.slo.openslo.sloth.generate import Options, rule_groups
from analysis.slo.openslo.sloth.spec import read
from bench.slo.outage_streams import Counters
from bench.slo.promtool_values import value_of

#: How often Sloth's rules are evaluated, and counters sampled where they are asked for 30 days:
#: promtool loads no more than 10,000 samples of a series.
RULES_EVERY_MIN: Final = 5
SHORT, PERIOD = "5m", "30d"
ERROR_RATIO: Final = "slo:sli_error:ratio_rate"
REMAINING: Final = "slo:period_error_budget_remaining:ratio"
METRIC: Final = "http_request_duration_seconds_count"
#: Sloth's first example, its objective alone.
GETTING_STARTED: Final = f"""
version: prometheus/v1
service: myservice
labels: {{owner: myteam, repo: myorg/myservice, tier: "2"}}
slos:
  - name: requests-availability
    objective: 99.9
    sli:
      events:
        error_query: sum(rate({METRIC}{{job="myservice",code=~"(5..|429)"}}[{{{{.window}}}}]))
        total_query: sum(rate({METRIC}{{job="myservice"}}[{{{{.window}}}}]))
    alerting: {{page_alert: {{disable: true}}, ticket_alert: {{disable: true}}}}
"""

Rules = Sequence[Mapping[str, Any]]


def sloth_budget(seen: Counters, rules: Rules, folder: Path) -> tuple[float, float]:
    """The error ratio of 30 days and what Sloth says is left. Raises PromtoolError.

    First its 5-minute rule is recorded and its 30-day expression asked once, at the end; then the
    rules that make a budget of it run on that value. (Recording the 30 days every five minutes
    besides comes to the same and takes ten times as long.)
    """
    by_name = {rule["record"]: rule for rule in rules}
    error_ratio = value_of(
        by_name[ERROR_RATIO + PERIOD]["expr"],
        folder=folder,
        rules=[by_name[ERROR_RATIO + SHORT]],
        series=notation(seen),
        at_min=len(seen.good) - 1,
        evaluate_every_min=RULES_EVERY_MIN,
    )
    return _with_budget(error_ratio, rules, folder)


def sloth_budget_unoptimized(seen: Counters, rules: Rules, folder: Path) -> tuple[float, float]:
    """The same with ``--disable-optimized-rules``. Raises PromtoolError.

    The rule of 30 days is then like those of the other windows (slok/sloth#259). Counters are
    sampled every five minutes.
    """
    by_name = {rule["record"]: rule for rule in rules}
    error_ratio = value_of(
        by_name[ERROR_RATIO + SHORT]["expr"].replace(f"[{SHORT}]", f"[{PERIOD}]"),
        folder=folder,
        rules=[],
        series=notation(seen, RULES_EVERY_MIN),
        at_min=len(seen.good) - 1,
        evaluate_every_min=RULES_EVERY_MIN,
        sample_every_min=RULES_EVERY_MIN,
    )
    return _with_budget(error_ratio, rules, folder)


def _with_budget(error_ratio: float | None, rules: Rules, folder: Path) -> tuple[float, float]:
    if error_ratio is None:
        return math.nan, math.nan
    (period,) = (rule for rule in rules if rule["record"] == ERROR_RATIO + PERIOD)
    labels = ",".join(f'{name}="{value}"' for name, value in period["labels"].items())
    remaining = value_of(
        REMAINING,
        folder=folder,
        rules=[rule for rule in rules if not rule["record"].startswith(ERROR_RATIO)],
        series={f"{period['record']}{{{labels}}}": repr(error_ratio).replace("nan", "NaN")},
        at_min=0,
        evaluate_every_min=1,
    )
    return error_ratio, math.nan if remaining is None else remaining


def notation(seen: Counters, every_min: int = 1) -> dict[str, str]:
    """Both counters as promtool reads them: series -> samples so far apart."""
    return {
        f'{METRIC}{{job="myservice",code="{code}"}}': " ".join(
            "_" if math.isnan(one) else f"{one:.0f}" for one in values[::every_min].tolist()
        )
        for code, values in (("200", seen.good), ("500", seen.bad))
    }


def sloth_rules() -> tuple[Rules, str]:
    """Recording rules of Sloth's first example and where they are from.

    Its own generated file where the reference cases are; else our converter's, which replays
    those files rule by rule (``bench.slo.cases``).
    """
    data = Path(os.environ.get("DAVYLAMP_REFERENCE_DATA", "../shared/data"))
    path = data / "slo" / "cases_open.json"
    if not path.exists():
        return converted_rules(), "our converter"
    cases = json.loads(path.read_text(encoding="utf-8"))["sloth_rules"]
    case = next(one for one in cases if one["id"].startswith("sloth:examples/getting-started"))
    rules = [rule for group in case["groups"] for rule in group["rules"] if rule.get("record")]
    return rules, "Sloth's generated file"


def converted_rules() -> Rules:
    """The same from our converter."""
    options = Options(version="dev", extra_labels={"cmd": "examplesgen.sh"})
    groups = rule_groups(read("getting-started.yml", GETTING_STARTED), options)
    return [rule.plain() for group in groups for rule in group.rules if rule.record]
