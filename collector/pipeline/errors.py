"""What the pipeline asks a sender to try again.

PipelineError
└── BacklogFull   429 / RESOURCE_EXHAUSTED with a pause: the store is behind, or too much at once
"""

from __future__ import annotations


class PipelineError(Exception):
    """Any refusal by the pipeline."""


class BacklogFull(PipelineError):  # noqa: N818 - named after the fact
    """Over a limit of bytes waiting; the message names which."""
