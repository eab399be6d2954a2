"""Writers take turns, one at a time; an urgent one is next, the others come in any order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock with two classes of waiters. Not reentrant.

    Urgent turns must be rare and short, for the others wait while there is one.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_taken = False
        self._urgent = 0

    @contextmanager
    def turn(self, *, is_urgent: bool = False) -> Iterator[None]:
        """Wait for it, have it, pass it on."""
        with self._condition:
            if is_urgent:
                self._urgent += 1
                self._condition.wait_for(lambda: not self._is_taken)
                self._urgent -= 1
            else:
                self._condition.wait_for(lambda: not self._is_taken and not self._urgent)
            self._is_taken = True
        try:
            yield
        finally:
            with self._condition:
                self._is_taken = False
                self._condition.notify_all()
