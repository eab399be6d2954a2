"""Rows of definitions: what an objective was when; its history is read by generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Connection, delete, insert, select

from analysis.decisions.database import Transactions
from analysis.decisions.records import Event
from analysis.decisions.tables import slo_definitions
from analysis.decisions.timeline import add_event, dumps
from telemetry.clock import Clock

#: Generations of one objective that are kept, the newest.
MAX_GENERATIONS: Final = 200


@dataclass(frozen=True, slots=True)
class Generation:
    """One definition of an objective, from ``since_unix_nano`` until the next one's."""

    generation: int
    since_unix_nano: int
    definition: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        return {
            "generation": self.generation,
            "since_unix_nano": self.since_unix_nano,
            "definition": self.definition,
        }


class DefinitionStore:
    """Blocking, one transaction a call. All raise LedgerUnavailableError."""

    def __init__(self, database: Transactions, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def note(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        """Objectives as they are from now on; one that is another than before is told."""
        now = self._clock.wall_unix_nano()
        with self._database.write() as connection:
            for name, definition in definitions.items():
                last = _newest(connection, name)
                if last is None:
                    _add(connection, name, Generation(1, now, definition))
                elif dumps(last.definition) != dumps(definition):
                    made = Generation(last.generation + 1, now, definition)
                    _add(connection, name, made)
                    title = f"The objective {name} is another one: generation {made.generation}"
                    service = str(definition["service"])
                    detail = _difference(last.definition, definition)
                    event = Event(now, "slo_definition", service, None, title, detail)
                    add_event(connection, event)

    def generations(self, name: str) -> list[Generation]:
        """Newest first; empty for an objective that was never watched."""
        query = (
            select(slo_definitions)
            .where(slo_definitions.c.name == name)
            .order_by(slo_definitions.c.generation.desc())
        )
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(query)]


def _newest(connection: Connection, name: str) -> Generation | None:
    query = (
        select(slo_definitions)
        .where(slo_definitions.c.name == name)
        .order_by(slo_definitions.c.generation.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _read(row)


def _add(connection: Connection, name: str, made: Generation) -> None:
    oldest = made.generation - MAX_GENERATIONS
    connection.execute(
        delete(slo_definitions).where(
            slo_definitions.c.name == name, slo_definitions.c.generation <= oldest
        )
    )
    connection.execute(
        insert(slo_definitions).values(
            name=name,
            generation=made.generation,
            since_unix_nano=made.since_unix_nano,
            definition_json=dumps(made.definition),
        )
    )


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    parts = (f"{name}: {before.get(name)} -> {after.get(name)}" for name in names)
    return "; ".join(parts)


def _read(row: Any) -> Generation:
    return Generation(row.generation, row.since_unix_nano, orjson.loads(row.definition_json))
