"""What the pipeline asks a sender to try again.

PipelineError
└── BacklogFull      429 / RESOURCE_EXHAUSTED with a pause: the store is behind, or too much at once
    ├── RateLimited  more items per second than ``max_items_per_s``
    └── MemoryShort  spans give way first; their senders keep them
"""

from __future__ import annotations


class PipelineError(Exception):
    """Any refusal by the pipeline."""


class BacklogFull(PipelineError):  # noqa: N818 - named after the fact
    """Over a limit of bytes waiting; the message names which."""

    outcome = "backlog_full"


class RateLimited(BacklogFull):
    """Over the limit of items per second."""

    outcome = "rate_limited"


class MemoryShort(BacklogFull):
    """The process is close to ``max_rss_bytes``."""

    outcome = "memory_short"
