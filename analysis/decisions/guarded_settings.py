"""Settings that say how far commands go, and whether others go further: pure.

They come from a file, so whoever deploys can change them alone; where two people are required,
settings that are looser than those last approved command nothing until two people approve them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from analysis.decisions.guards import GuardLimits
from analysis.decisions.policy import MODES, Mode, Modes

#: Limits that let more through when they are higher; the others when they are lower.
_LOOSER_ABOVE: Final = frozenset(
    {
        "rollbacks_per_release",
        "rollbacks_per_service",
        "in_flight_per_environment",
        "storm_services",
    }
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where commands of some lanes may go."""

    endpoint_id: str
    url: str
    lanes: tuple[str, ...]
    allowed_networks: tuple[str, ...]
    plain_http: bool

    @property
    def place(self) -> tuple[str, str, tuple[str, ...]]:
        """Which commands go where."""
        return (self.endpoint_id, self.url, self.lanes)


@dataclass(frozen=True, slots=True)
class GuardedSettings:
    """What two people approve."""

    general_mode: Mode
    service_modes: Mapping[str, Mode]
    limits: GuardLimits
    #: Seconds after its decision in which a command may be sent.
    decision_lifetime_s: float
    #: In the order in which they are asked; the last takes what is left.
    destinations: tuple[Destination, ...]

    def to_json(self) -> dict[str, Any]:
        """For the ledger and the API; ``from_json`` reads it back."""
        return {**asdict(self), "service_modes": dict(self.service_modes)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> GuardedSettings:
        """Raises TypeError or KeyError for what another version wrote."""
        return cls(
            found["general_mode"],
            found["service_modes"],
            GuardLimits(**found["limits"]),
            found["decision_lifetime_s"],
            tuple(
                Destination(
                    one["endpoint_id"],
                    one["url"],
                    tuple(one["lanes"]),
                    tuple(one["allowed_networks"]),
                    one["plain_http"],
                )
                for one in found["destinations"]
            ),
        )

    @property
    def sha256(self) -> str:
        """Of the canonical JSON."""
        content = orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(content).hexdigest()


def loosened(before: GuardedSettings | None, after: GuardedSettings) -> tuple[str, ...]:
    """In what ``after`` lets more through than ``before``, one sentence each; empty: in nothing."""
    if before is None:
        return ("no settings that this version reads were approved",)
    return (
        *_modes(before, after),
        *_limits(before, after),
        *_destinations(before, after),
    )


def held_destinations(before: GuardedSettings | None, after: GuardedSettings) -> tuple[str, ...]:
    """Ids of endpoints that a command of approved settings would not have gone to like this."""
    known = {} if before is None else {one.endpoint_id: one for one in before.destinations}
    return tuple(
        one.endpoint_id
        for one in after.destinations
        if (old := known.get(one.endpoint_id)) is None
        or old.url != one.url
        or any(_reach(old, one))
    )


def _modes(before: GuardedSettings, after: GuardedSettings) -> Iterator[str]:
    old, new = (Modes(one.general_mode, one.service_modes) for one in (before, after))
    if _is_looser(old.general, new.general):
        yield f"the mode is {new.general}, it was {old.general}"
    for service in sorted({*old.services, *new.services}):
        if _is_looser(old.of(service), new.of(service)):
            yield f"the mode of {service} is {new.of(service)}, it was {old.of(service)}"


def _is_looser(old: Mode, new: Mode) -> bool:
    return MODES.index(new) > MODES.index(old)


def _limits(before: GuardedSettings, after: GuardedSettings) -> Iterator[str]:
    name = "decision_lifetime_s"
    values = [(name, before.decision_lifetime_s, after.decision_lifetime_s, True)]
    new = asdict(after.limits)
    for name, old in asdict(before.limits).items():
        values.append((name, old, new[name], name in _LOOSER_ABOVE))
    for name, old, now, is_looser_above in values:
        if (now > old) if is_looser_above else (now < old):
            yield f"{name} is {now}, it was {old}"


def _destinations(before: GuardedSettings, after: GuardedSettings) -> Iterator[str]:
    old, new = before.destinations, after.destinations
    if [one.place for one in old] != [one.place for one in new]:
        places = ", ".join(f"{one.endpoint_id} {one.url}" for one in new)
        yield f"commands go to other places, or others of them: {places}"
    known = {one.endpoint_id: one for one in old}
    for one in new:
        if one.endpoint_id in known:
            yield from _reach(known[one.endpoint_id], one)


def _reach(old: Destination, new: Destination) -> Iterator[str]:
    added = sorted(set(new.allowed_networks) - set(old.allowed_networks))
    if added:
        yield f"{new.endpoint_id} may be reached in {', '.join(added)}"
    if new.plain_http and not old.plain_http:
        yield f"{new.endpoint_id} may be reached without TLS"
