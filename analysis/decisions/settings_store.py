"""Which settings were approved last, and whether those of this process go beyond them."""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, insert, select

from analysis.decisions import audit
from analysis.decisions.guarded_settings import GuardedSettings, held_destinations, loosened
from analysis.decisions.records import Event, Signed
from analysis.decisions.tables import approved_settings
from analysis.decisions.timeline import add_event, dumps


class SettingsWatch:
    """Those this process runs with. Approved once, they stay approved until it ends."""

    def __init__(self, own: GuardedSettings, *, is_required: bool) -> None:
        """``is_required``: two people approve what is looser."""
        self.own = own
        self.is_required = is_required
        self._is_approved = not is_required

    def looser(self, connection: Connection) -> tuple[str, ...]:
        """In what they go beyond what was approved last; empty: they may command."""
        if self._is_approved:
            return ()
        found = loosened(last(connection)[1], self.own)
        self._is_approved = not found
        return found

    def refusal(self, connection: Connection) -> str | None:
        """Why they command nothing, or None."""
        found = self.looser(connection)
        if not found:
            return None
        return f"The settings are not approved by two people: {'; '.join(found)}."

    def held_endpoints(self, connection: Connection) -> tuple[str, ...]:
        """Endpoints to which even what was commanded before is not sent."""
        if not self.looser(connection):
            return ()
        return held_destinations(last(connection)[1], self.own)

    def begin(self, connection: Connection, now_unix_nano: int) -> str | None:
        """At the start: what is tighter counts from now on, what is looser is told.

        Returns why commands are held.
        """
        number, before = last(connection)
        if not self.is_required:
            if number:
                title = "Two people are not asked any more: two_persons is off"
                event = Event(now_unix_nano, "settings_unguarded", "", None, title, "")
                add_event(connection, event)
            return None
        why = self.refusal(connection)
        if why is not None:
            title = "Commands are held: settings_not_approved"
            add_event(
                connection,
                Event(now_unix_nano, "settings_not_approved", "", None, title, self._told(why)),
            )
        elif before is not None and before.sha256 != self.own.sha256:
            by = Signed(audit.SELF, "no looser than those before", audit.SELF)
            approve(connection, self.own, by, now_unix_nano)
        return why

    def _told(self, why: str) -> str:
        return f"{why} SHA-256 {self.own.sha256}"


def last(connection: Connection) -> tuple[int, GuardedSettings | None]:
    """The number and content of those in force; 0 and None before any were approved.

    None as well for what another version wrote and this one cannot read: it is approved anew.
    """
    query = select(approved_settings).order_by(approved_settings.c.id.desc()).limit(1)
    row = connection.execute(query).first()
    if row is None:
        return 0, None
    try:
        return row.id, GuardedSettings.from_json(orjson.loads(row.settings_json))
    except (KeyError, TypeError):
        return row.id, None


def approve(connection: Connection, settings: GuardedSettings, by: Signed, now: int) -> None:
    """What is looser than these needs an approval from now on."""
    values = {"settings_json": dumps(settings.to_json()), "approved_by": by.who, "unix_nano": now}
    connection.execute(insert(approved_settings).values(sha256=settings.sha256, **values))
    title = f"Settings {settings.sha256[:12]} are in force, says {by.who}"
    add_event(connection, Event(now, "settings_approved", "", None, title, by.reason), by.actor)
