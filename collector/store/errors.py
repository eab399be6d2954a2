"""What can go wrong in the store.

StoreError
├── StoreUnavailable   the world: disk full, memory, input/output; the same call may work later
│   └── SuspectSegment an error nobody foresaw: tried again, but the bytes may be to blame
├── PoisonedSegment    bad input: the engine cannot decode the bytes; the same call never will
├── QueryTooExpensive  a query met its deadline or memory limit
└── SchemaMismatch     the folder was written by another version of the tables (start-up only)
"""

from __future__ import annotations

import re
from typing import Final


class StoreError(Exception):
    """Any failure of the store; ``code`` is ClickHouse's error number, 0 if it had none."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StoreUnavailable(StoreError):  # noqa: N818 - named after the fact, like HTTP's 503
    """Retry later: nothing is wrong with the data."""


class SuspectSegment(StoreUnavailable):
    """Retry a few times; if it stays, find out which body does it, so that others get through."""


class PoisonedSegment(StoreError):  # noqa: N818 - named after the thing to isolate
    """Never retry as it is: the segment holds bytes the engine cannot decode."""


class QueryTooExpensive(StoreError):  # noqa: N818 - named after the fact
    """The query met ``query_timeout_s`` or ``query_memory_bytes``; ask for less."""


class SchemaMismatch(StoreError):  # noqa: N818 - named after the fact
    """The folder holds tables of another schema version."""


#: Error numbers of ClickHouse's ErrorCodes.cpp that blame the bytes, whatever the machine's state.
POISON_CODES: Final = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        128,  # TOO_LARGE_ARRAY_SIZE
        131,  # TOO_LARGE_STRING_SIZE
        190,  # SIZES_OF_ARRAYS_DONT_MATCH
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
        436,  # PROTOBUF_BAD_CAST
        437,  # PROTOBUF_FIELD_NOT_REPEATED
        444,  # UNKNOWN_PROTOBUF_FORMAT
    }
)
#: Error numbers that blame the machine: no pause is too long, no body is to blame.
WORLD_CODES: Final = frozenset(
    {
        0,  # none: the failure was not the engine's
        74,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
        75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
        76,  # CANNOT_OPEN_FILE
        77,  # CANNOT_CLOSE_FILE
        159,  # TIMEOUT_EXCEEDED
        160,  # TOO_SLOW
        172,  # CANNOT_CREATE_DIRECTORY
        173,  # CANNOT_ALLOCATE_MEMORY
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        204,  # CANNOT_FSYNC
        214,  # CANNOT_STATVFS
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        294,  # CANNOT_WRITE_TO_FILE
        411,  # PTHREAD_ERROR
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        586,  # CANNOT_CREATE_FILE
        745,  # SERVER_OVERLOADED
    }
)
#: TIMEOUT_EXCEEDED, TOO_SLOW, MEMORY_LIMIT_EXCEEDED, TOO_MANY_ROWS(_OR_BYTES).
TOO_EXPENSIVE_CODES: Final = frozenset({158, 159, 160, 241, 307, 396})

_CODE = re.compile(r"Code:\s*(\d+)\.")
MESSAGE_LIMIT_CHARS: Final = 500


def engine_code(message: str) -> int:
    """ClickHouse's error number in ``message``, 0 if there is none."""
    found = _CODE.search(message)
    return int(found.group(1)) if found else 0


def insert_error(message: str) -> StoreError:
    """The typed error of a failed insert, from the engine's text."""
    code = engine_code(message)
    kind: type[StoreError] = SuspectSegment
    if code in POISON_CODES:
        kind = PoisonedSegment
    elif code in WORLD_CODES:
        kind = StoreUnavailable
    return kind(message[:MESSAGE_LIMIT_CHARS], code=code)


def query_error(message: str) -> StoreError:
    """The typed error of a failed query, from the engine's text."""
    code = engine_code(message)
    kind = QueryTooExpensive if code in TOO_EXPENSIVE_CODES else StoreUnavailable
    return kind(message[:MESSAGE_LIMIT_CHARS], code=code)
