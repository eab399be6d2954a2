"""What can go wrong before or while the processes run, drawn.

::

    DavylampError
    ├── ConfigError        a setting is unknown, missing or out of range
    ├── PreflightError     this machine cannot run it now: Python, port, folder, load
    ├── StartError         a process did not become ready
    └── StoryError         the demonstration did not end as it must
        └── NoAnswerError  a process did not answer this once; it may the next time
"""

from __future__ import annotations


class DavylampError(Exception):
    """Anything the command line reports as one sentence."""


class ConfigError(DavylampError):
    """A setting is wrong; the message says which, what was given and what would be accepted."""

    def __init__(self, where: str, given: object, accepted: str) -> None:
        super().__init__(f"{where}: {given!r} is not accepted; use {accepted}")
        self.where = where


class PreflightError(DavylampError):
    """Something outside stands in the way; the message says what to do about it."""


class StartError(DavylampError):
    """A process did not become ready; the message holds its last words."""


class StoryError(DavylampError):
    """A step of the demonstration did not happen, or something happened that must not."""


class NoAnswerError(StoryError):
    """A process was asked and did not answer in time; the message says which and why."""
