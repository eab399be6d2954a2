"""The deployer's view of what runs, fed by the parent's pipe, and its orders back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from sample_services.errors import ZygoteError
from sample_services.instances import Instance, InstanceSpec, instance_from_json
from sample_services.orders import order_resume, order_start, order_stop, order_suspend

START_TIMEOUT_S: Final = 10.0
#: Beyond the grace after which the parent kills.
STOP_MARGIN_S: Final = 2.0
LISTING_TIMEOUT_S: Final = 5.0


class Fleet:
    """``instances``: position to running instance, except those on their way out;
    ``on_change`` is called after each change.
    """

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._changed = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._listed = False
        self._leaving: set[str] = set()
        self.instances: dict[str, Instance] = {}
        self.on_change: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """Start listening; returns when the parent has told what runs already. Raises ZygoteError.

        Until then a deployer started anew would publish, and judge, half of the truth.
        """
        reader, self._writer = await asyncio.open_connection(sock=self._pipe, limit=2**20)
        self._task = asyncio.create_task(self._listen(reader))
        await self._until(lambda: self._listed, LISTING_TIMEOUT_S, "report", ())

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def start(self, specs: Sequence[InstanceSpec]) -> list[Instance]:
        """Fill positions; returns when all are ready. Raises ZygoteError."""
        for spec in specs:
            self._order(order_start(spec))
        slots = [spec.slot for spec in specs]
        await self._until(
            lambda: all(slot in self.instances for slot in slots), START_TIMEOUT_S, "start", slots
        )
        return [self.instances[slot] for slot in slots]

    async def stop(self, slots: Collection[str], *, grace_s: float) -> None:
        """Empty positions; returns when their processes are gone. Raises ZygoteError."""
        for slot in slots:
            self._order(order_stop(slot, grace_s))
        await self._until(
            lambda: not any(slot in self.instances or slot in self._leaving for slot in slots),
            grace_s + STOP_MARGIN_S,
            "stop",
            slots,
        )

    def suspend(self, service: str) -> None:
        """Kill every instance of ``service`` and leave it dead."""
        self._order(order_suspend(service))

    def resume(self, service: str) -> None:
        """Let ``service`` live again."""
        self._order(order_resume(service))

    def leaving(self) -> frozenset[str]:
        """Positions a predecessor of this deployer had asked to be emptied, still running."""
        return frozenset(self._leaving)

    async def settled(self, reached: Callable[[], bool], timeout_s: float) -> None:
        """Returns once ``reached`` holds, looked at after each change. Raises ZygoteError."""
        await self._until(reached, timeout_s, "settle", ())

    async def _until(
        self, reached: Callable[[], bool], timeout_s: float, verb: str, slots: Collection[str]
    ) -> None:
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(reached), timeout_s)
            except TimeoutError:
                raise ZygoteError(
                    f"instances did not {verb} within {timeout_s:.0f} s: {sorted(slots)}"
                ) from None

    def _order(self, order: Mapping[str, Any]) -> None:
        assert self._writer is not None, "Fleet.open() comes first"
        self._writer.write(json.dumps(order).encode() + b"\n")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            async with self._changed:
                self._take(json.loads(line))
                self._changed.notify_all()
            if self._listed:
                self.on_change()

    def _take(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "listed":
            self._listed = True
        elif event["event"] == "down":
            self.instances.pop(event["slot"], None)
            self._leaving.discard(event["slot"])
        elif event["leaving"]:
            self._leaving.add(event["instance"]["spec"]["slot"])
        else:
            instance = instance_from_json(event["instance"])
            self.instances[instance.spec.slot] = instance
