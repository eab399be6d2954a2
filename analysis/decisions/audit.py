"""The audit log: rows that carry the hash of the one before, so that no change goes unseen.

``sha256(previous | sequence | unix_nano | actor | action | subject | detail)`` over canonical
JSON. A head row repeats the newest sequence and hash, so that a cut tail shows too. Whoever can
write the database can write a whole new chain: only a head noted elsewhere (``davylamp audit
verify`` prints it) proves that it is the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import Connection, insert, select, update

from analysis.decisions.tables import audit, audit_head

#: Hash before the first row.
GENESIS: Final = "0" * 64
#: Who acts when nobody asked.
SELF: Final = "davylamp"
_PAGE_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that was done."""

    sequence: int
    unix_nano: int
    actor: str
    action: str
    subject: str
    detail: str
    previous_sha256: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row: its number (0 = none) and its hash."""

    sequence: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place at which the chain does not hold."""

    sequence: int
    problem: str


def digest(row: AuditRow) -> str:
    """What ``row.sha256`` must be."""
    content = [
        row.previous_sha256,
        row.sequence,
        row.unix_nano,
        row.actor,
        row.action,
        row.subject,
        row.detail,
    ]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def append(
    connection: Connection, unix_nano: int, actor: str, action: str, subject: str, detail: str
) -> None:
    """Add one row, in the transaction of what it tells of."""
    stored = connection.execute(select(audit_head).with_for_update()).first()
    before = Head(0, GENESIS) if stored is None else Head(stored.sequence, stored.sha256)
    # A stray surrogate cannot be stored; the log must not be what fails.
    who, what, of, why = (
        one.encode(errors="replace").decode() for one in (actor, action, subject, detail)
    )
    number = before.sequence + 1
    bare = AuditRow(number, unix_nano, who, what, of, why, before.sha256, "")
    values = {name: getattr(bare, name) for name in _COLUMNS} | {"sha256": digest(bare)}
    connection.execute(insert(audit).values(values))
    head = {"sequence": bare.sequence, "sha256": values["sha256"]}
    if stored is None:
        connection.execute(insert(audit_head).values(id=1, **head))
    else:
        connection.execute(update(audit_head).values(head))


def rows(connection: Connection) -> Iterator[AuditRow]:
    """Every row, oldest first."""
    last = None
    while True:
        query = select(audit).order_by(audit.c.sequence).limit(_PAGE_ROWS)
        if last is not None:
            query = query.where(audit.c.sequence > last)
        page = [AuditRow(*row) for row in connection.execute(query)]
        if not page:
            return
        yield from page
        last = page[-1].sequence


def head(connection: Connection) -> Head:
    """What the head row says."""
    stored = connection.execute(select(audit_head)).first()
    return Head(0, GENESIS) if stored is None else Head(stored.sequence, stored.sha256)


def verify(chain: Iterable[AuditRow], newest: Head, noted: Head | None = None) -> Broken | None:
    """The first break, or None. ``noted``: a head written down earlier must lie on the chain."""
    previous, sequence = GENESIS, 0
    is_noted_seen = noted is None or noted == Head(0, GENESIS)
    for row in chain:
        sequence += 1
        if row.sequence != sequence:
            return Broken(sequence, f"row {sequence} is missing; {row.sequence} follows")
        if row.previous_sha256 != previous:
            return Broken(sequence, "does not follow from the row before")
        if row.sha256 != digest(row):
            return Broken(sequence, "its content was changed")
        previous = row.sha256
        is_noted_seen = is_noted_seen or Head(sequence, previous) == noted
    if Head(sequence, previous) != newest:
        return Broken(sequence + 1, f"the head names row {newest.sequence}, which is not the last")
    if not is_noted_seen:
        assert noted is not None
        return Broken(noted.sequence, "is not the row that was noted")
    return None


#: In the order of AuditRow's fields.
_COLUMNS: Final = (
    "sequence",
    "unix_nano",
    "actor",
    "action",
    "subject",
    "detail",
    "previous_sha256",
    "sha256",
)
