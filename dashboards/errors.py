"""What can go wrong, drawn.

::

    DashboardsError
    ├── RefusedHostError       asked to listen wider than loopback (before start-up only)
    └── UnreadableAnswerError  an API answered in a form these pages do not know

An API that does not answer is not an exception here but a value, ``answers.reading.Unavailable``:
every page must say what it cannot show.
"""

from __future__ import annotations


class DashboardsError(Exception):
    """Anything the dashboards raise on purpose."""


class RefusedHostError(DashboardsError):
    """The address to listen on is not loopback; the message says which addresses are."""


class UnreadableAnswerError(DashboardsError):
    """A field is missing or of another kind; the message names the field."""
