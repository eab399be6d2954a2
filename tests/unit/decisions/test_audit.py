"""The chain of the audit log: whatever is changed, removed, added or moved is found."""

from __future__ import annotations

import dataclasses
import random

import pytest
from sqlalchemy import create_engine

from analysis.decisions import audit
from analysis.decisions.audit import GENESIS, AuditRow, Broken, Head
from analysis.decisions.tables import metadata

ROWS = 40
MUTATIONS = 1_000


@pytest.fixture(scope="module")
def chain():
    """Rows written and read back, and their head."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        for number in range(ROWS):
            audit.append(connection, number, f"who-{number % 3}", "did", "what", f"why {number}")
        # Text that a database or an encoder could trip on.
        audit.append(connection, ROWS, "who", "did", "quote ' \ud800", "\x00 \u2028 ü")
        return list(audit.rows(connection)), audit.head(connection)


def test_an_untouched_chain_holds(chain):
    rows, head = chain
    assert len(rows) == ROWS + 1
    assert audit.verify(rows, head) is None
    assert audit.verify(rows, head, Head(7, rows[6].sha256)) is None
    assert audit.verify([], Head(0, GENESIS)) is None


def edit(rows: list[AuditRow], rng: random.Random) -> None:
    at = rng.randrange(len(rows))
    field = rng.choice(dataclasses.fields(AuditRow)).name
    old = getattr(rows[at], field)
    new = old + rng.randint(1, 9) if isinstance(old, int) else _other(old, rng)
    rows[at] = dataclasses.replace(rows[at], **{field: new})


def edit_and_hash(rows: list[AuditRow], rng: random.Random) -> None:
    """A forger who makes the row's own hash right again."""
    at = rng.randrange(len(rows))
    changed = dataclasses.replace(rows[at], detail=_other(rows[at].detail, rng))
    rows[at] = dataclasses.replace(changed, sha256=audit.digest(changed))


def remove(rows: list[AuditRow], rng: random.Random) -> None:
    del rows[rng.randrange(len(rows))]


def cut(rows: list[AuditRow], rng: random.Random) -> None:
    del rows[rng.randrange(len(rows)) :]


def swap(rows: list[AuditRow], rng: random.Random) -> None:
    a, b = rng.sample(range(len(rows)), 2)
    rows[a], rows[b] = rows[b], rows[a]


def repeat(rows: list[AuditRow], rng: random.Random) -> None:
    at = rng.randrange(len(rows))
    rows.insert(rng.randrange(len(rows)), rows[at])


def add(rows: list[AuditRow], _: random.Random) -> None:
    """One more row that follows well; the head does not know it."""
    last = rows[-1]
    bare = dataclasses.replace(
        last, sequence=last.sequence + 1, previous_sha256=last.sha256, sha256=""
    )
    rows.append(dataclasses.replace(bare, sha256=audit.digest(bare)))


def _other(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice("0123456789abcdef") + text[at:]


def test_each_of_1000_mutations_is_found(chain):
    rows, head = chain
    rng = random.Random(5)
    ways = (edit, edit_and_hash, remove, cut, swap, repeat, add)
    missed = []
    for number in range(MUTATIONS):
        mutated = list(rows)
        ways[number % len(ways)](mutated, rng)
        assert mutated != rows
        if not isinstance(audit.verify(mutated, head), Broken):
            missed.append(number)
    assert missed == []


def test_a_chain_written_anew_is_found_by_a_noted_head_only(chain):
    """Whoever owns the database can make a chain that holds; not the one that was noted."""
    rows, head = chain
    previous, forged = GENESIS, []
    for row in rows:
        bare = dataclasses.replace(row, actor="nobody", previous_sha256=previous, sha256="")
        forged.append(dataclasses.replace(bare, sha256=audit.digest(bare)))
        previous = forged[-1].sha256
    new_head = Head(len(forged), previous)
    assert audit.verify(forged, new_head) is None
    assert audit.verify(forged, new_head, head) == Broken(
        head.sequence, "is not the row that was noted"
    )


def test_a_changed_head_is_found(chain):
    rows, head = chain
    assert audit.verify(rows, Head(head.sequence, "f" * 64)) is not None
    assert audit.verify(rows, Head(head.sequence - 1, rows[-2].sha256)) is not None
