"""Long polls: answered at a change, and the deployer knows who works with what."""

from __future__ import annotations

import asyncio

from sample_services.controller.publisher import READER_LEASE_S, Publisher
from sample_services.routing import RoutingTable
from telemetry.clock import FixedClock


def publisher():
    clock = FixedClock()
    made = Publisher(lambda version: RoutingTable(version, None, ()), clock)
    return made, clock


async def test_a_change_answers_everyone_who_waits():
    """Two readers wait for the same version, both get the next one."""
    made, _ = publisher()
    first = made.publish()
    waiting = [asyncio.create_task(made.read(name, first, 30.0)) for name in ("edge", "viewers")]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    second = made.publish()
    tables = await asyncio.wait_for(asyncio.gather(*waiting), 5.0)
    assert [table.version for table in tables] == [second, second]


async def test_a_reader_that_is_behind_is_answered_at_once():
    """Also one that knows a version from before a restart."""
    made, _ = publisher()
    version = made.publish()
    assert (await made.read("edge", 0, 30.0)).version == version
    assert (await made.read("edge", version + 5, 30.0)).version == version


async def test_nothing_new_is_answered_when_the_time_is_up():
    """With the table there is."""
    made, _ = publisher()
    version = made.publish()
    assert (await made.read("edge", version, 0.01)).version == version


def test_versions_grow_over_a_restart():
    """They begin with the wall clock's milliseconds."""
    clock = FixedClock()

    def made():
        return Publisher(lambda version: RoutingTable(version, None, ()), clock)

    first = made()
    old = [first.publish() for _ in range(3)]
    clock.advance(1.0)
    assert made().publish() > old[-1] > old[0]


async def test_a_version_is_taken_when_every_living_reader_asks_beyond_it():
    """A reader asks with the version it works with."""
    made, clock = publisher()
    old = made.publish()
    await made.read("edge", old, 0.0)
    await made.read("viewers", old, 0.0)
    new = made.publish()
    assert not await made.wait_taken(new, 0.0)
    await made.read("edge", new, 0.0)
    assert not await made.wait_taken(new, 0.0)
    made.keep_readers({"edge"})
    assert await made.wait_taken(new, 0.0)
    newer = made.publish()
    clock.advance(READER_LEASE_S + 1.0)
    assert await made.wait_taken(newer, 0.0)
