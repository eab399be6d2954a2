"""An event loop whose time is a variable: nothing waits, everything happens in one fixed order.

``asyncio.to_thread`` runs its function here too, some virtual time later, and tells of the result
later still; so others run in between, as with real threads, but by a seeded generator.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from numpy.random import Generator

from telemetry.clock import FixedClock

T = TypeVar("T")


class StuckError(RuntimeError):
    """Everybody waits and nothing is due: this would have hung for ever."""


class _Jump(selectors.BaseSelector):
    """No sockets; where a real selector would wait, the clock jumps."""

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, int(fileobj), events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("everybody waits and nothing is due")
        if timeout > 0:
            self._clock.advance(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """One thread, one clock, one generator."""

    def __init__(self, clock: FixedClock, rng: Generator, thread_delays_s: tuple[float, ...]):
        """``thread_delays_s``: one is drawn before a "thread" runs, one before it is heard of."""
        self._clock, self._rng, self._delays_s = clock, rng, thread_delays_s
        super().__init__(_Jump(clock))

    def time(self) -> float:
        return self._clock.monotonic_s()

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """``func`` runs unless whoever waits for it was cancelled before."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        self.call_later(self._delay_s(), self._work, future, func, args)
        return future

    def _work(self, future: asyncio.Future[T], func: Callable[..., T], args: Any) -> None:
        if future.cancelled():
            return  # the process died before
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self.call_later(self._delay_s(), _tell, future.set_exception, future, error)
        else:
            self.call_later(self._delay_s(), _tell, future.set_result, future, result)

    def _delay_s(self) -> float:
        return self._delays_s[int(self._rng.integers(len(self._delays_s)))]


def _tell(say: Callable[[Any], None], future: asyncio.Future[Any], word: Any) -> None:
    if not future.cancelled():
        say(word)
