"""What can go wrong while reading the collector.

ReadingError                  carries ``name``, the word a hold is called by
├── CollectorUnreachable      the world: refused, reset, timed out, or it answers 5xx
├── QuestionRefused           4xx: what we asked makes no sense to this collector
├── AnswerTooLarge            more bytes than one answer may have
├── AnswerUnusable            not the documented shape
└── AnswerTruncated           the collector left series out; counting the rest would be a guess

None of them ever becomes a number: the caller holds what it was judging and says which it was.
"""

from __future__ import annotations


class ReadingError(Exception):
    """Nothing can be said from this attempt; the next one may succeed."""

    name = "reading_failed"


class CollectorUnreachable(ReadingError):  # noqa: N818 - named after the fact
    """No answer, or the answer that there is none now."""

    name = "collector_unreachable"


class QuestionRefused(ReadingError):  # noqa: N818 - named after the fact
    """The collector does not understand the question: versions that do not fit."""

    name = "question_refused"


class AnswerTooLarge(ReadingError):  # noqa: N818 - named after the fact
    """The answer was cut off at ``max_answer_bytes``; it is not looked at."""

    name = "answer_too_large"


class AnswerUnusable(ReadingError):  # noqa: N818 - named after the fact
    """The answer is not what the read API documents."""

    name = "answer_unusable"


class AnswerTruncated(ReadingError):  # noqa: N818 - named after the fact
    """The answer says of itself that series are missing."""

    name = "answer_truncated"
