"""What can go wrong between a target's page and its samples.

ScrapeError
├── BadScrapeFile       a configuration or discovery file: where, what was found, what is accepted
└── ScrapeFailed        one scrape; ``outcome`` names it in our metrics, the target is down (up = 0)
    ├── FetchFailed     no answer in time, or not the one that was asked for
    ├── BadExposition   the page is not in its format: line and what
    └── LimitPassed     more bytes, samples or labels than the job allows
"""

from __future__ import annotations


class ScrapeError(Exception):
    """Any of the above."""


class BadScrapeFile(ScrapeError):  # noqa: N818 - named after the thing to mend
    """``file:line: path: what; accepted: ...``, one sentence for whoever wrote the file."""

    def __init__(self, place: str, what: str, *, accepted: str = "") -> None:
        super().__init__(f"{place}: {what}" + (f"; accepted: {accepted}" if accepted else ""))


class ScrapeFailed(ScrapeError):  # noqa: N818 - named after the fact
    """The scrape gave no samples."""

    outcome = "failed"


class FetchFailed(ScrapeFailed):
    """``outcome`` is timeout, unreachable, status, redirect, content_type or encoding."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class BadExposition(ScrapeFailed):
    """The page is not in the format its content type names; nothing of it is taken."""

    outcome = "malformed"

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


class LimitPassed(ScrapeFailed):
    """``outcome`` is the limit's name."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
