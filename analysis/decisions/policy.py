"""Who may roll back or promote, and when: a pure function of canary, verdict and mode.

Only evidence moves a release. FAIL asks for a rollback, PASS for a promotion; INCONCLUSIVE and
INVALID ask for nothing, nor does a verdict that is not final. One exception is a person's own rule:
an error-budget policy with the action ``rollBack`` takes back what began before the budget burned,
and says that nothing is proven about the canary. The mode says how far we go:
``observe`` decides nothing, ``advise`` tells people, ``act`` commands the deployer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from analysis.canary.evidence import Reason, Verdict, VerdictKind
from analysis.decisions.records import CanaryRecord, DecisionDraft
from analysis.decisions.states import Action

Mode = Literal["observe", "advise", "act"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)


@dataclass(frozen=True, slots=True)
class Modes:
    """The general mode, and services that have their own."""

    general: Mode
    services: Mapping[str, Mode]

    @classmethod
    def parse(cls, general: Mode, texts: Sequence[str]) -> Modes:
        """From ``<service>=<mode>`` texts. Raises ValueError."""
        services: dict[str, Mode] = {}
        for text in texts:
            service, _, mode = text.partition("=")
            known = [one for one in MODES if one == mode]
            if not service or not known:
                raise ValueError(
                    f"service_modes: {text!r} is not <service>=<mode>, mode one of"
                    f" {', '.join(MODES)}"
                )
            if service in services:
                raise ValueError(f"service_modes: {service} is named twice")
            services[service] = known[0]
        return cls(general, services)

    def of(self, service: str) -> Mode:
        """How far we go for this service."""
        return self.services.get(service, self.general)

    @property
    def has_act(self) -> bool:
        """Whether anything is ever commanded."""
        return "act" in (self.general, *self.services.values())


_ACTIONS: Final = {VerdictKind.FAIL: Action.ROLLBACK, VerdictKind.PASS: Action.PROMOTION}


@dataclass(frozen=True, slots=True)
class Ruling:
    """What policy chose. Without a draft, ``reason`` says why nothing is done."""

    draft: DecisionDraft | None
    reason: str


def decide(canary: CanaryRecord, verdict: Verdict, mode: Mode) -> Ruling:
    """The decision that follows from a verdict, or why none does."""
    if not verdict.final:
        return Ruling(None, "The verdict is a hold; it ends with its cause.")
    if canary.decision is not None:
        return Ruling(None, f"Decided already: {canary.decision.decision_id}.")
    action = _ACTIONS.get(verdict.kind)
    if verdict.reason is Reason.BUDGET_POLICY:
        action = Action.ROLLBACK
    if action is None:
        return Ruling(
            None, f"The verdict is {verdict.kind}: nothing is promoted, nothing rolled back."
        )
    if mode == "observe":
        return Ruling(None, f"The mode is observe: a {action} would have been decided.")
    draft = DecisionDraft(
        action=action,
        mode=mode,
        verdict=str(verdict.kind),
        summary=verdict.summary,
        culprit_metric=verdict.culprit_metric,
        culprit_split=verdict.culprit_split,
    )
    return Ruling(draft, verdict.summary)
