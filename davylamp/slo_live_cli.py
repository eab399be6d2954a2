"""Questions to the running analysis about its objectives, and corrections of their budgets.

``davylamp slo explain | whatif | spend | report`` ask; ``exclude`` takes time out of budgets,
``include`` takes that back, ``exclusions`` lists both.
"""

from __future__ import annotations

import argparse
import datetime as dt
import getpass
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from analysis.slo.period_report import as_csv, as_html
from davylamp.asking import ask_analysis
from davylamp.config import Settings
from davylamp.errors import DavylampError

COMMANDS: Final = frozenset(
    {"explain", "whatif", "spend", "report", "exclude", "include", "exclusions"}
)


def _as_json(found: Mapping[str, Any]) -> str:
    return json.dumps(found) + "\n"


_FORMATS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "csv": as_csv,
    "html": as_html,
    "json": _as_json,
}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to those of ``slo``."""
    explain = commands.add_parser("explain", help="every number of an objective, with its formula")
    whatif = commands.add_parser("whatif", help="what another target would have said, and paged")
    spend = commands.add_parser("spend", help="where the budget went: bad events by cause")
    report = commands.add_parser("report", help="every objective over a period")
    for one in (explain, whatif, spend):
        one.add_argument("name", help="of the objective")
        one.add_argument("--json", action="store_true")
    whatif.add_argument("--target", help="such as 0.995; default: as it is")
    whatif.add_argument(
        "--window", help="such as 7d: over another window; alerts keep their shares"
    )
    whatif.add_argument("--alerts", help="such as page@14.4/1h,ticket@1/3d; default: as they are")
    for one in (whatif, spend, report):
        one.add_argument("--from", dest="from_text", help="RFC 3339 or now-7d")
        one.add_argument("--to", dest="to_text", help="default: now")
    report.add_argument("--format", choices=sorted(_FORMATS), default="csv")
    exclude = commands.add_parser("exclude", help="this time does not count against budgets")
    exclude.add_argument("--objective", action="append", default=[], help="default: all")
    exclude.add_argument("--from", dest="from_text", help="once: RFC 3339 with zone")
    exclude.add_argument("--to", dest="to_text", help="once: its end")
    exclude.add_argument("--rule", help="again and again: RRULE, such as FREQ=WEEKLY;BYDAY=SU")
    exclude.add_argument("--start", help="with --rule: the first beginning, local time")
    exclude.add_argument("--zone", default="UTC", help="with --rule: IANA name (default UTC)")
    exclude.add_argument("--duration-s", type=int, help="with --rule")
    exclude.add_argument("--category", default="maintenance")
    include = commands.add_parser("include", help="withdraw an exclusion: its time counts again")
    include.add_argument("correction_id")
    for one in (exclude, include):
        one.add_argument("--who", default=getpass.getuser(), help="default: your user name")
        one.add_argument("--reason", required=True, help="kept for ever")
    commands.add_parser("exclusions", help="every one that was made, withdrawn ones too")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Ask and print. Raises AskingError."""
    if options.slo_command in ("exclude", "include", "exclusions"):
        return _correct(options, settings)
    if options.slo_command == "report":
        found = ask_analysis(settings, "slo-report" + _period(options))
        print(_FORMATS[options.format](found), end="")
        return 0
    path = f"slos/{quote(options.name, safe='')}"
    if options.slo_command == "explain":
        found = ask_analysis(settings, f"{path}/explain")
        lines = explained(found)
    elif options.slo_command == "spend":
        found = ask_analysis(settings, f"{path}/spend" + _period(options))
        lines = spent(found)
    else:
        found = ask_analysis(settings, f"{path}/whatif" + _terms(options))
        lines = what_if(found)
    print(json.dumps(found) if options.json else "\n".join(lines))
    return 0


class ExclusionError(DavylampError):
    """The words do not say which time."""


def _correct(options: argparse.Namespace, settings: Settings) -> int:
    path, body = "slo-corrections", None
    if options.slo_command == "include":
        path += f"/{quote(options.correction_id, safe='')}/withdraw"
        body = {"who": options.who, "reason": options.reason}
    elif options.slo_command == "exclude":
        body = {
            "who": options.who,
            "reason": options.reason,
            "category": options.category,
            "objectives": options.objective,
            **_when(options),
        }
    print(json.dumps(ask_analysis(settings, path, body), indent=1))
    return 0


def _when(options: argparse.Namespace) -> dict[str, Any]:
    once, again = (options.from_text, options.to_text), (options.start, options.duration_s)
    if options.rule is not None and all(again) and not any(once):
        rule = {"start_time": options.start, "time_zone": options.zone}
        return {"recurring": {**rule, "duration_s": options.duration_s, "rule": options.rule}}
    if all(once) and options.rule is None and not any(again):
        return {"once": {"from_unix_s": _unix_s(once[0]), "to_unix_s": _unix_s(once[1])}}
    raise ExclusionError("say --from and --to, or --rule, --start and --duration-s")


def _unix_s(text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ExclusionError(f"{text!r}: RFC 3339 with a zone is accepted, 2026-11-25T10:00:00Z")
    return round(moment.timestamp())


def _terms(options: argparse.Namespace) -> str:
    other = {"objective": options.target, "window": options.window, "alerts": options.alerts}
    return _period(options, other)


def _period(options: argparse.Namespace, other: Mapping[str, str | None] | None = None) -> str:
    given = {**(other or {}), "from": options.from_text, "to": options.to_text}
    known = {name: value for name, value in given.items() if value is not None}
    return f"?{urlencode(known)}" if known else ""


def explained(found: Mapping[str, Any]) -> list[str]:
    """Lines for people."""
    if found.get("members"):
        return _together(found)
    inputs = found["inputs"]
    lines = [
        f"{found['display_name'] or found['name']}: at least {found['objective_ratio']:.3%} good",
        (
            f"{_time(found['from_unix_nano'])} to {_time(found['to_unix_nano'])} UTC, "
            f"{found['slices_reported']} of {found['slices']} slices of {found['slice_s']} s seen "
            f"({found['data_state']})"
        ),
        (
            f"events of {inputs['metric']} by {inputs['attribute']}: "
            f"{', '.join(inputs['good_values'])} of {', '.join(inputs['total_values'])}"
        ),
    ]
    lines += [
        f"  {one['name']} = {_value(one['value'])} = {one['formula']} = {one['inserted']}"
        for one in found["numbers"]
    ]
    lines += [
        f"  excluded: {_time(span['from_unix_nano'])} to {_time(span['to_unix_nano'])} UTC"
        for span in found["excluded"]
    ]
    for alert in found["alerts"]:
        state = "FIRES" if alert["fires"] else "quiet"
        lines.append(f"  {alert['severity']} at {alert['factor']:g}x: {state}, {alert['why']}")
        lines += [
            f"    over {part['window_s']} s: burn {_value(part['burn_rate'])} = {part['inserted']}"
            for part in (alert["long"], alert["short"])
        ]
    return lines


def _together(found: Mapping[str, Any]) -> list[str]:
    """A composite: how its budget comes from its members', then each of them."""
    members = found["members"]
    name = found["display_name"] or found["name"]
    lines = [f"{name}: one budget of {len(members)} objectives ({found['data_state']})"]
    lines += [
        f"  {one['name']} = {_value(one['value'])} = {one['formula']} = {one['inserted']}"
        for one in found["numbers"]
    ]
    for member in members:
        lines += ["", *explained(member)]
    return lines


def what_if(found: Mapping[str, Any]) -> list[str]:
    """Lines for people."""
    lines = [f"{_time(found['from_unix_nano'])} to {_time(found['to_unix_nano'])} UTC"]
    for title, key in (("as it is", "as_it_is"), ("with", "what_if")):
        one = found[key]
        counts = ", ".join(f"{n} {severity}" for severity, n in sorted(one["alert_counts"].items()))
        left = one["budget_remaining_ratio"]
        budget = "no events" if left is None else f"{left:.0%} of the budget left"
        projected = one["budget_projected_remaining_ratio"]
        if left is not None and projected is not None:
            budget += f" so far, {projected:.0%} of the one projected to the end"
        lines.append(
            f"{title} {one['objective_ratio']:.3%}: {budget}, {one['bad']} bad of {one['total']}, "
            f"alerts: {counts or 'none'} ({one['data_state']})"
        )
        lines += [
            f"    {alert['severity']} {_time(alert['from_unix_nano'])} to "
            f"{_time(alert['to_unix_nano'])}, {alert['factor']:g}x over {alert['long_window_s']} s"
            for alert in one["alerts"]
        ]
    suggested = found["suggested_objective_ratio"]
    lines.append(
        "No target can be suggested: too little was seen, or none would have held."
        if suggested is None
        else f"Suggested: {suggested:.3%}, the strictest that left a quarter and paged nobody."
    )
    return lines


def spent(found: Mapping[str, Any]) -> list[str]:
    """Lines for people."""
    period = f"{_time(found['from_unix_nano'])} to {_time(found['to_unix_nano'])} UTC"
    what = f"{found['bad']} bad of {found['total']}, {_share(found['budget_spent_ratio'])}"
    lines = [f"{found['display_name'] or found['name']}: {what} of the budget, {period}"]
    for one in found["causes"]:
        span = f"{_time(one['from_unix_nano'])} to {_time(one['to_unix_nano'])}"
        what = f"{one['bad']:>9} bad  {one['kind']}: {one['title']} ({span})"
        lines.append(f"  {_share(one['budget_spent_ratio']):>8}  {what}")
    rest = found["nothing_known"]
    lines.append(f"  {_share(rest['budget_spent_ratio']):>8}  {rest['bad']:>9} bad  nothing known")
    if found["is_timeline_cut"] or found["causes_left_out"]:
        lines.append("  Not every cause was looked at or is shown: ask for a shorter period.")
    return lines


def _share(ratio: float | None) -> str:
    return "none" if ratio is None else f"{ratio:.1%}"


def _value(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _time(unix_nano: int) -> str:
    return f"{dt.datetime.fromtimestamp(unix_nano / 1e9, dt.UTC):%Y-%m-%d %H:%M:%S}"
