"""Questions to the store about log records. Constant SQL with bound parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from collector.store.bind import Parameter
from collector.store.engine import Store
from collector.store.reader import RESOURCE, Match, Window, encoded_match, match_parameters

_COLUMNS: Final = f"""
    time_unix_nano, lower(hex(trace_id)) AS trace_id_hex, lower(hex(span_id)) AS span_id_hex,
    service_name, scope_name, severity_number, severity_text, event_name, body, attributes,
    {RESOURCE} AS resource_pairs
"""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """All given conditions must hold."""

    service: str | None = None
    #: OpenTelemetry's severity number, 1 (TRACE) to 24 (FATAL4); records below are left out.
    min_severity: int = 0
    #: Part of the body, in any case.
    text: str | None = None
    #: On attributes of the record, else of its resource.
    matches: Sequence[Match] = ()


def logs(store: Store, window: Window, wanted: LogFilter, *, limit: int) -> pa.Table:
    """The newest records that meet the filter, newest first; ids as lower-case hex."""
    conditions = ["time_unix_nano >= {from:Int64}", "time_unix_nano < {to:Int64}"]
    parameters: dict[str, Parameter] = {**window.parameters(), "limit": limit}
    if wanted.service is not None:
        conditions.append("service_name = {service:String}")
        parameters["service"] = wanted.service
    if wanted.min_severity > 0:
        conditions.append("severity_number >= {min_severity:UInt8}")
        parameters["min_severity"] = wanted.min_severity
    if wanted.text is not None:
        conditions.append("positionCaseInsensitiveUTF8(body, {text:String}) > 0")
        parameters["text"] = wanted.text
    for index, match in enumerate(wanted.matches):
        conditions.append(encoded_match(match, index))
        parameters.update(match_parameters(match, index))
    return store.query(
        f"SELECT {_COLUMNS} FROM logs WHERE {' AND '.join(conditions)} "  # noqa: S608 - constants
        "ORDER BY time_unix_nano DESC LIMIT {limit:UInt32}",
        parameters,
    )


def logs_of_trace(store: Store, trace_id_hex: str, *, limit: int) -> pa.Table:
    """The records of one trace, oldest first."""
    return store.query(
        f"SELECT {_COLUMNS} FROM logs WHERE trace_id = toFixedString(unhex({{id:String}}), 16) "  # noqa: S608 - constants
        "ORDER BY time_unix_nano LIMIT {limit:UInt32}",
        {"id": trace_id_hex, "limit": limit},
    )
