"""Rows of guards: which digests are barred, which are known good, what is locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, func, insert, or_, select, update

from analysis.decisions.commands import AWAITING
from analysis.decisions.guards import (
    ALL_ENVIRONMENTS,
    GuardFacts,
    GuardLimits,
    PastRollback,
    Refusal,
    Wish,
    refusals,
)
from analysis.decisions.kill_switch import KillSwitch
from analysis.decisions.records import Decision, Declaration, Event
from analysis.decisions.settings_store import SettingsWatch
from analysis.decisions.states import Action
from analysis.decisions.tables import barred_digests, decisions, environment_locks, known_good
from analysis.decisions.timeline import add_event, list_statuses
from analysis.errors import ConflictError, UnknownRecordError
from analysis.slo.budget_policy import PolicyAction

_S: Final = 1_000_000_000
_AWAITING: Final = frozenset(str(state) for state in AWAITING)
#: Bars, locks and known releases that are listed, newest first.
MAX_LISTED: Final = 500


@dataclass(frozen=True, slots=True)
class Guarding:
    """The limits, and the switch that stops everything."""

    limits: GuardLimits
    kill_switch: KillSwitch
    #: Of the process that commands; None: nobody asks who approved its settings.
    settings: SettingsWatch | None = None

    def refusals(self, connection: Connection, wish: Wish, now: int) -> tuple[Refusal, ...]:
        """What holds ``wish``, by facts of this transaction."""
        switch = self.kill_switch.thrown(wish.service)
        unapproved = None if self.settings is None else self.settings.refusal(connection)
        facts = read_facts(connection, wish, self.limits, (switch, unapproved), now)
        return refusals(wish, facts, self.limits, now)


@dataclass(frozen=True, slots=True)
class Release:
    """One artifact of one service in one environment."""

    environment: str
    service: str
    digest: str


def read_facts(
    connection: Connection,
    wish: Wish,
    limits: GuardLimits,
    held: tuple[str | None, str | None],
    now: int,
) -> GuardFacts:
    """All that the rules ask about. ``held``: by the kill switch, by the settings."""
    bars = barred_digests.c
    longest_s = max(limits.service_window_s, limits.storm_window_s)
    own = (bars.environment == wish.environment) & (bars.service == wish.service)
    query = (
        select(barred_digests, decisions.c.state)
        .outerjoin(decisions, decisions.c.decision_id == bars.decision_id)
        .where(
            or_(
                bars.barred_unix_nano > now - round(longest_s * _S),
                decisions.c.state.in_(_AWAITING),
                own & bars.cleared_unix_nano.is_(None),
            )
        )
    )
    rows = connection.execute(query).all()
    good = select(known_good.c.digest).where(
        known_good.c.environment == wish.environment, known_good.c.service == wish.service
    )
    locks = connection.execute(select(environment_locks)).all()
    return GuardFacts(
        kill_switch=held[0],
        unapproved=held[1],
        locks={row.environment: row.reason for row in locks},
        barred={
            row.digest: row.reason
            for row in rows
            if row.cleared_unix_nano is None
            and (row.environment, row.service) == (wish.environment, wish.service)
        },
        frozen=frozen(connection, wish.service),
        known_good=frozenset(connection.scalars(good)),
        rollbacks=tuple(_rollback(row) for row in rows if row.decision_id is not None),
    )


def admit(connection: Connection, declaration: Declaration, now: int) -> None:
    """Before a canary is stored: its release is not barred, nor frozen. Raises ConflictError.

    The baseline of a service's first canary is taken for good; later ones must have been shown
    good, or a person says so.
    """
    release = Release(declaration.environment, declaration.service, declaration.canary.digest)
    barred = why_barred(connection, release)
    if barred is not None:
        raise ConflictError(
            f"{release.digest} of {release.service} in {release.environment} is barred:"
            f" {barred}; a person clears it (davylamp guards clear)"
        )
    why = frozen(connection, release.service)
    if why is not None:
        raise ConflictError(f"{why}; a person suspends the policy (/api/v1/slo-policies)")
    same = (known_good.c.environment == release.environment) & (
        known_good.c.service == release.service
    )
    if connection.scalar(select(known_good.c.digest).where(same).limit(1)) is None:
        baseline = Release(release.environment, release.service, declaration.baseline.digest)
        add_known_good(connection, baseline, f"baseline of {declaration.deployment_id}", now)


def frozen(connection: Connection, service: str) -> str | None:
    """Why an error-budget policy freezes the service's releases; None when none does."""
    for one in list_statuses(connection, "policy"):
        if one["service"] == service and PolicyAction.FREEZE in one["in_force"]:
            return (
                f"releases of {service} are frozen by the policy {one['step']} for"
                f" {one['objective']}: {one['text']}"
            )
    return None


def committed(
    connection: Connection, decision: Decision, declaration: Declaration, now: int
) -> None:
    """A rollback was commanded: its release is barred until a person clears it."""
    if decision.action is not Action.ROLLBACK:
        return
    release = Release(declaration.environment, declaration.service, declaration.canary.digest)
    bar(connection, release, f"rolled back by {decision.decision_id}", now, decision.decision_id)


def confirmed(connection: Connection, decision: Decision, declaration: Declaration) -> None:
    """A promotion was shown to be done: its release is good to go back to."""
    if decision.action is not Action.PROMOTION:
        return
    release = Release(declaration.environment, declaration.service, declaration.canary.digest)
    now = decision.confirmed_unix_nano or decision.created_unix_nano
    add_known_good(connection, release, f"promoted by {decision.decision_id}", now)


def bar(
    connection: Connection, release: Release, reason: str, now: int, decision_id: str | None = None
) -> None:
    """No canary of this release is admitted, none of it promoted, none led back to."""
    values = _columns(release) | {"decision_id": decision_id, "reason": reason}
    connection.execute(insert(barred_digests).values(barred_unix_nano=now, **values))


def why_barred(connection: Connection, release: Release) -> str | None:
    """The reason of its bar, or None."""
    row = connection.execute(_bars_of(release)).first()
    return None if row is None else str(row.reason)


def clear(connection: Connection, release: Release, now: int) -> None:
    """End the bar. Raises UnknownRecordError when there is none."""
    ids = bar_ids(connection, release)
    if not ids:
        raise UnknownRecordError(
            f"{release.digest} of {release.service} in {release.environment} is not barred"
        )
    connection.execute(
        update(barred_digests).where(barred_digests.c.id.in_(ids)).values(cleared_unix_nano=now)
    )


def bar_ids(connection: Connection, release: Release) -> list[int]:
    """Numbers of the bars that hold a release; each bar has its own, for ever."""
    return [row.id for row in connection.execute(_bars_of(release).order_by(barred_digests.c.id))]


def known_since(connection: Connection, release: Release) -> int | None:
    """When a release came into the register of good ones, if it did."""
    same = [known_good.c[name] == value for name, value in _columns(release).items()]
    return connection.scalar(select(known_good.c.unix_nano).where(*same))


def locked_since(connection: Connection, environment: str) -> tuple[int, str] | None:
    """When and why an environment was locked, if it is."""
    locks = environment_locks
    row = connection.execute(select(locks).where(locks.c.environment == environment)).first()
    return None if row is None else (row.unix_nano, row.reason)


def add_known_good(connection: Connection, release: Release, reason: str, now: int) -> None:
    """A rollback may lead to this release. Known already changes nothing."""
    if known_since(connection, release) is None:
        values = _columns(release) | {"reason": reason, "unix_nano": now}
        connection.execute(insert(known_good).values(values))


def lock(connection: Connection, environment: str, reason: str, now: int) -> None:
    """Nothing is commanded there until it is released; a second lock changes nothing."""
    if locked_since(connection, environment) is not None:
        return
    values = {"environment": environment, "reason": reason, "unix_nano": now}
    connection.execute(insert(environment_locks).values(values))


def release_lock(connection: Connection, environment: str) -> None:
    """Raises UnknownRecordError when it is not locked."""
    same = environment_locks.c.environment == environment
    if connection.execute(delete(environment_locks).where(same)).rowcount == 0:
        raise UnknownRecordError(f"environment {environment!r} is not locked")


def hold_storm(connection: Connection, text: str, now: int) -> None:
    """Lock everything; people find out what the common cause is."""
    lock(connection, ALL_ENVIRONMENTS, f"rollback storm: {text.rstrip('.')}", now)
    add_event(connection, Event(now, "guard_storm", "", None, "Every command is held", text))


def state(connection: Connection) -> dict[str, Any]:
    """Bars, locks and known releases, newest first."""
    bars = (
        select(barred_digests)
        .where(barred_digests.c.cleared_unix_nano.is_(None))
        .order_by(barred_digests.c.id.desc())
        .limit(MAX_LISTED)
    )
    good = select(known_good).order_by(known_good.c.unix_nano.desc()).limit(MAX_LISTED)
    locks = select(environment_locks).order_by(environment_locks.c.unix_nano.desc())
    return {
        "barred": _listed(connection, bars),
        "known_good": _listed(connection, good),
        "locks": _listed(connection, locks),
    }


def counts(connection: Connection) -> tuple[int, int]:
    """How many locks there are, and how many bars that nobody cleared."""
    locks = connection.scalar(select(func.count()).select_from(environment_locks))
    bars = select(func.count()).select_from(barred_digests)
    barred = connection.scalar(bars.where(barred_digests.c.cleared_unix_nano.is_(None)))
    return locks or 0, barred or 0


def _listed(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    # Column names are of a type of their own, which JSON does not take.
    found = connection.execute(query).mappings()
    return [{str(name): value for name, value in row.items()} for row in found]


def _rollback(row: Row[Any]) -> PastRollback:
    return PastRollback(
        environment=row.environment,
        service=row.service,
        digest=row.digest,
        unix_nano=row.barred_unix_nano,
        is_under_way=row.state in _AWAITING,
        is_cleared=row.cleared_unix_nano is not None,
    )


def _bars_of(release: Release) -> Select[Any]:
    same = [barred_digests.c[name] == value for name, value in _columns(release).items()]
    return select(barred_digests).where(barred_digests.c.cleared_unix_nano.is_(None), *same)


def _columns(release: Release) -> dict[str, str]:
    return {
        "environment": release.environment,
        "service": release.service,
        "digest": release.digest,
    }
