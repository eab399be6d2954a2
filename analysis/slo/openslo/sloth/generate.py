"""Rule groups from Sloth's objectives, as its command line makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.rule_groups import Rule, RuleGroup
from analysis.slo.openslo.sloth import steps
from analysis.slo.openslo.sloth.catalogue import BUILT_IN, DAY_S, Catalogue, catalogue_for
from analysis.slo.openslo.sloth.rules import Subject
from analysis.slo.openslo.sloth.spec import PluginCall, SlothSlo
from analysis.slo.openslo.sloth.steps import Draft, Step

#: (about the objective, its labels, options of the plugin) -> a query for the share of bad events.
SliPlugin = Callable[[Mapping[str, str], Mapping[str, str], Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. ``version`` is written into a label."""

    version: str
    default_period_s: int = 30 * DAY_S
    extra_labels: Mapping[str, str] = field(default_factory=dict)
    recordings: bool = True
    alerts: bool = True
    catalogues: tuple[Catalogue, ...] = ()
    sli_plugins: Mapping[str, SliPlugin] = field(default_factory=dict)
    steps: Mapping[str, Step] = field(default_factory=dict)


def rule_groups(slos: Sequence[SlothSlo], options: Options) -> tuple[RuleGroup, ...]:
    """Groups of all objectives in order; empty ones are left out. Raises ConversionError."""
    return tuple(group for slo in slos for group in _groups(slo, options))


def _groups(slo: SlothSlo, options: Options) -> list[RuleGroup]:
    period_s = slo.period_s or options.default_period_s
    labels = {**slo.labels, **options.extra_labels}
    subject = Subject(
        slo=_with_query(slo, labels, options),
        period_s=period_s,
        catalogue=catalogue_for(period_s, (*BUILT_IN, *options.catalogues)),
        labels=labels,
        version=options.version,
    )
    draft = Draft()
    known = {**steps.BUILT_IN, **options.steps}
    for step_id, config in _chain(slo):
        step = known.get(step_id)
        if step is None:
            raise ConversionError(slo.slo_id, f"unknown plugin {step_id!r}")
        step(subject, config, draft)
    found: list[tuple[str, str, list[Rule]]] = []
    if options.recordings:
        found.append(("sli-recordings", "indicator", draft.indicator))
        found.append(("meta-recordings", "metadata", draft.metadata))
    if options.alerts:
        found.append(("alerts", "alerts", draft.alerts))
    groups = [
        RuleGroup(f"sloth-slo-{name}-{slo.slo_id}", tuple(made), draft.intervals.get(kind, ""))
        for name, kind, made in found
        if made
    ]
    return groups + draft.extra


def _chain(slo: SlothSlo) -> list[tuple[str, Mapping[str, object]]]:
    """Steps in order of priority; at equal priority the default ones first."""
    defaults = () if slo.override_plugins else tuple(map(PluginCall, steps.DEFAULTS))
    ordered = sorted((*defaults, *slo.plugins), key=lambda call: call.priority)
    return [(call.plugin_id, call.config) for call in ordered]


def _with_query(slo: SlothSlo, labels: Mapping[str, str], options: Options) -> SlothSlo:
    """The objective with the query its plugin writes, if it has one."""
    call = slo.sli_plugin
    if call is None:
        return slo
    plugin = options.sli_plugins.get(call.plugin_id)
    if plugin is None:
        raise ConversionError(slo.slo_id, f"unknown SLI plugin {call.plugin_id!r}")
    about = {
        "service": slo.service,
        "slo": slo.name,
        "objective": f"{slo.objective_percent:f}",
    }
    return replace(slo, raw=plugin(about, labels, call.options), sli_plugin=None)
