"""What may still stop a command that policy wants: pure rules, each refusal with its explanation.

A refused command becomes advice: people are told what was wanted and why it was held, nobody is
commanded. A rollback is counted from the moment it is committed, whatever became of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from analysis.decisions.states import Action

_S: Final = 1_000_000_000

#: The lock under this name holds every environment.
ALL_ENVIRONMENTS: Final = "*"


class Guard(StrEnum):
    """Which rule refused."""

    KILL_SWITCH = "kill_switch"
    SETTINGS_NOT_APPROVED = "settings_not_approved"
    ENVIRONMENT_LOCK = "environment_lock"
    BARRED = "barred"
    BUDGET_FREEZE = "budget_freeze"
    SAME_RELEASE = "same_release"
    TARGET_NOT_KNOWN_GOOD = "target_not_known_good"
    DWELL = "dwell"
    RELEASE_LIMIT = "release_limit"
    SERVICE_LIMIT = "service_limit"
    IN_FLIGHT_LIMIT = "in_flight_limit"
    STORM = "storm"


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How far automatic rollbacks may go. No defaults: values live in davylamp/defaults.toml."""

    #: Looks a canary must have had before anything is commanded about it.
    min_looks: int
    #: Rollbacks of one release (digest) of a service in an environment, ever, until cleared.
    rollbacks_per_release: int
    #: Rollbacks of one service in an environment within ``service_window_s``.
    rollbacks_per_service: int
    service_window_s: float
    #: Rollbacks under way in one environment at once.
    in_flight_per_environment: int
    #: Services rolled back within ``storm_window_s``; one more holds everything.
    storm_services: int
    storm_window_s: float


@dataclass(frozen=True, slots=True)
class PastRollback:
    """A rollback that was commanded."""

    environment: str
    service: str
    digest: str
    unix_nano: int
    #: Committed, and neither confirmed nor given up.
    is_under_way: bool
    #: A person has cleared the digest since.
    is_cleared: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What policy wants to command."""

    action: Action
    environment: str
    service: str
    #: Digest of the canary's release, and of what stays when it is taken away.
    digest: str
    target_digest: str
    looks: int


@dataclass(frozen=True, slots=True)
class GuardFacts:
    """What is known at the moment of the decision, read in its own transaction."""

    #: Why the kill switch is thrown; None when it is not.
    kill_switch: str | None
    #: Why this process's settings may command nothing; None when they may.
    unapproved: str | None
    #: Locked environment (or ``*``) -> why.
    locks: dict[str, str]
    #: Digests of this service and environment that are barred -> why.
    barred: dict[str, str]
    #: Digests of this service and environment that a rollback may lead to.
    known_good: frozenset[str]
    #: Why releases of this service are frozen by an error-budget policy; None when they are not.
    frozen: str | None
    #: Commanded rollbacks of every environment: within the longest window, those under way, and
    #: those of the wish's own digest.
    rollbacks: tuple[PastRollback, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One rule that holds the command, and why in one sentence."""

    guard: Guard
    text: str


def refusals(
    wish: Wish, facts: GuardFacts, limits: GuardLimits, now_unix_nano: int
) -> tuple[Refusal, ...]:
    """Every rule that holds ``wish``; empty means that it may be commanded."""
    found = [*_held(wish, facts), *_barred(wish, facts)]
    if facts.frozen is not None and wish.action is Action.PROMOTION:
        found.append(Refusal(Guard.BUDGET_FREEZE, f"{facts.frozen}."))
    if wish.looks < limits.min_looks:
        text = f"{wish.looks} looks were taken; at least {limits.min_looks} come before a command."
        found.append(Refusal(Guard.DWELL, text))
    if wish.action is Action.ROLLBACK:
        if wish.target_digest == wish.digest:
            # It would change nothing, and bar what serves.
            text = f"Both arms run {wish.digest}; a rollback would lead to the same release."
            found.append(Refusal(Guard.SAME_RELEASE, text))
        if wish.target_digest not in facts.known_good:
            text = f"{wish.target_digest} is not in the register of releases known to be good."
            found.append(Refusal(Guard.TARGET_NOT_KNOWN_GOOD, text))
        found.extend(_limited(wish, facts, limits, now_unix_nano))
    return tuple(found)


def _held(wish: Wish, facts: GuardFacts) -> Iterator[Refusal]:
    if facts.kill_switch is not None:
        yield Refusal(Guard.KILL_SWITCH, f"The kill switch is thrown: {facts.kill_switch}.")
    if facts.unapproved is not None:
        yield Refusal(Guard.SETTINGS_NOT_APPROVED, facts.unapproved)
    for name in (ALL_ENVIRONMENTS, wish.environment):
        if name in facts.locks:
            what = "Every environment" if name == ALL_ENVIRONMENTS else f"Environment {name}"
            yield Refusal(Guard.ENVIRONMENT_LOCK, f"{what} is locked: {facts.locks[name]}.")


def _barred(wish: Wish, facts: GuardFacts) -> Iterator[Refusal]:
    # What a promotion keeps, and what a rollback leads to, must not be barred.
    kept = wish.digest if wish.action is Action.PROMOTION else wish.target_digest
    if kept in facts.barred:
        yield Refusal(Guard.BARRED, f"{kept} is barred: {facts.barred[kept]}.")


def _limited(wish: Wish, facts: GuardFacts, limits: GuardLimits, now: int) -> Iterator[Refusal]:
    here = [one for one in facts.rollbacks if one.environment == wish.environment]
    own = [one for one in here if one.service == wish.service]
    release = sum(one.digest == wish.digest and not one.is_cleared for one in own)
    if release >= limits.rollbacks_per_release:
        text = f"{wish.digest} was rolled back {release} times; at most"
        yield Refusal(Guard.RELEASE_LIMIT, f"{text} {limits.rollbacks_per_release} until cleared.")
    service = sum(_is_within(one, limits.service_window_s, now) for one in own)
    if service >= limits.rollbacks_per_service:
        window = f"{limits.service_window_s:g} s"
        text = f"{wish.service} was rolled back {service} times within {window}; at most"
        yield Refusal(Guard.SERVICE_LIMIT, f"{text} {limits.rollbacks_per_service}.")
    under_way = sum(one.is_under_way for one in here)
    if under_way >= limits.in_flight_per_environment:
        text = f"{under_way} rollbacks are under way in {wish.environment}; at most"
        yield Refusal(Guard.IN_FLIGHT_LIMIT, f"{text} {limits.in_flight_per_environment}.")
    services = {
        (one.environment, one.service)
        for one in facts.rollbacks
        if _is_within(one, limits.storm_window_s, now)
    } | {(wish.environment, wish.service)}
    if len(services) > limits.storm_services:
        text = f"{len(services)} services would be rolled back within {limits.storm_window_s:g} s;"
        yield Refusal(Guard.STORM, f"{text} more than {limits.storm_services} have one cause.")


def _is_within(one: PastRollback, window_s: float, now: int) -> bool:
    # A clock set back must not make room: what lies in the future counts too.
    return one.unix_nano > now - round(window_s * _S)
