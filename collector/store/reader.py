"""Questions to the store about spans: services, rollups, topology, traces.

Constant SQL with bound parameters; answers are Arrow tables whose text columns are bytes. Times
are Unix nanoseconds, windows are [from, to).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from collector.store.bind import Parameter
from collector.store.engine import Store
from collector.wire.values import encodings_of

KIND_SERVER: Final = 2
KIND_CLIENT: Final = 3
#: Names of OTLP's span kinds, as Jaeger and the conventions write them.
KIND_CODES: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
#: Attributes that have a column of their own in ``spans``: attribute name -> column.
SPAN_COLUMNS: Final = {
    "http.request.method": "http_method",
    "http.route": "http_route",
    "http.response.status_code": "http_status",
    "davylamp.canary.cohort": "cohort",
    "deployment.id": "deployment_id",
    "playback.device.class": "device_class",
    "playback.outcome": "outcome",
    "error.type": "error_type",
    "davylamp.flag": "flag",
}
#: The resource of a span or log record as a map of encoded values.
RESOURCE: Final = (
    "mapFromArrays(CAST(resource, 'Array(Array(String))')[1], "
    "CAST(resource, 'Array(Array(String))')[2])"
)
#: What ``group_by`` of the RED answers may name -> column of ``red``.
RED_GROUPS: Final = {
    "version": "service_version",
    "cohort": "cohort",
    "route": "route",
    "deployment_id": "deployment_id",
}


@dataclass(frozen=True, slots=True)
class Window:
    """[from, to) in Unix nanoseconds."""

    from_unix_nano: int
    to_unix_nano: int

    def parameters(self) -> dict[str, Parameter]:
        return {
            "from": self.from_unix_nano,
            "to": self.to_unix_nano,
            "from_s": self.from_unix_nano // 1_000_000_000,
            "to_s": -(-self.to_unix_nano // 1_000_000_000),
        }


@dataclass(frozen=True, slots=True)
class Match:
    """One condition on an attribute; a missing attribute reads as ``""``."""

    key: str
    value: str
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """All given conditions must hold for one and the same span of a trace."""

    service: str | None = None
    version: str | None = None
    cohort: str | None = None
    operation: str | None = None
    kind: int | None = None
    min_duration_ns: int = 0
    #: 0 means any.
    max_duration_ns: int = 0
    is_error: bool = False
    #: On attributes of the span, else of its resource.
    matches: Sequence[Match] = ()


def instances(store: Store, window: Window) -> pa.Table:
    """service_name, service_version, instance_id, region, zone, last_seen_unix_nano."""
    return store.query(
        """
        SELECT service_name, service_version, instance_id, region, zone,
               max(last_seen_unix_nano) AS last_seen
        FROM instances
        WHERE service_name != ''
        GROUP BY service_name, service_version, instance_id, region, zone
        HAVING last_seen >= {from:Int64} AND min(first_seen_unix_nano) < {to:Int64}
        ORDER BY service_name, service_version, instance_id
        """,
        window.parameters(),
    )


def red_totals(store: Store, window: Window) -> pa.Table:
    """service_name, bucket, request_count, error_count over the window, whole seconds."""
    return store.query(
        """
        SELECT service_name, bucket, sum(request_count) AS requests, sum(error_count) AS errors
        FROM red
        WHERE second_unix >= {from_s:Int64} AND second_unix < {to_s:Int64}
        GROUP BY service_name, bucket
        """,
        window.parameters(),
    )


def red(
    store: Store, window: Window, *, service: str, group_by: str | None, step_s: int
) -> pa.Table:
    """group_value, step_unix_s, bucket, requests, errors of one service."""
    group = RED_GROUPS[group_by] if group_by is not None else "''"
    return store.query(
        f"""
        SELECT {group} AS group_value,
               intDiv(second_unix - {{from_s:Int64}}, {{step:Int64}}) AS step_number,
               {{from_s:Int64}} + step_number * {{step:Int64}} AS step_unix_s,
               bucket, sum(request_count) AS requests, sum(error_count) AS errors
        FROM red
        WHERE service_name = {{service:String}}
          AND second_unix >= {{from_s:Int64}} AND second_unix < {{to_s:Int64}}
        GROUP BY group_value, step_number, bucket
        ORDER BY group_value, step_unix_s, bucket
        """,  # noqa: S608 - the column comes from RED_GROUPS, values are bound
        {**window.parameters(), "service": service, "step": step_s},
    )


def operations(store: Store, window: Window, *, service: str) -> pa.Table:
    """operation, bucket, requests, errors of one service's server spans."""
    return store.query(
        """
        SELECT operation, bucket, sum(request_count) AS requests, sum(error_count) AS errors
        FROM red
        WHERE service_name = {service:String}
          AND second_unix >= {from_s:Int64} AND second_unix < {to_s:Int64}
        GROUP BY operation, bucket
        ORDER BY operation, bucket
        """,
        {**window.parameters(), "service": service},
    )


def edges(store: Store, window: Window) -> pa.Table:
    """client, server, bucket, calls, errors: client spans joined with the server spans they caused.

    Durations and errors are the client's: what the caller lived through, network included.
    """
    return store.query(
        """
        SELECT c.service_name AS client, s.service_name AS server,
               toInt16(if(c.flag = '', floor(log2(c.duration_ns + 1) * 16), -1)) AS bucket,
               count() AS calls, countIf(c.status_code = 2) AS errors
        FROM
        (
            SELECT span_id, service_name, duration_ns, flag, status_code FROM spans
            WHERE kind = 3 AND start_unix_nano >= {from:Int64} AND start_unix_nano < {to:Int64}
        ) AS c
        INNER JOIN
        (
            SELECT parent_span_id, service_name FROM spans
            WHERE kind = 2 AND start_unix_nano >= {from:Int64} AND start_unix_nano < {to:Int64}
        ) AS s ON c.span_id = s.parent_span_id
        GROUP BY client, server, bucket
        ORDER BY client, server, bucket
        """,
        window.parameters(),
    )


def trace_ids(store: Store, window: Window, wanted: TraceFilter, *, limit: int) -> pa.Table:
    """trace_id (16 bytes) of the newest traces with a span that meets the filter."""
    conditions = ["start_unix_nano >= {from:Int64}", "start_unix_nano < {to:Int64}"]
    parameters: dict[str, Parameter] = {**window.parameters(), "limit": limit}
    for name, column, value in (
        ("service", "service_name", wanted.service),
        ("version", "service_version", wanted.version),
        ("cohort", "cohort", wanted.cohort),
        ("operation", "name", wanted.operation),
    ):
        if value is not None:
            conditions.append(f"{column} = {{{name}:String}}")
            parameters[name] = value
    for name, condition, number in (
        ("kind", "kind = {kind:UInt8}", wanted.kind),
        ("min_duration_ns", "duration_ns >= {min_duration_ns:UInt64}", wanted.min_duration_ns),
        ("max_duration_ns", "duration_ns <= {max_duration_ns:UInt64}", wanted.max_duration_ns),
    ):
        if number:
            conditions.append(condition)
            parameters[name] = number
    for index, match in enumerate(wanted.matches):
        conditions.append(encoded_match(match, index, SPAN_COLUMNS.get(match.key)))
        parameters.update(match_parameters(match, index))
    return store.query(
        f"""
        SELECT trace_id, max(start_unix_nano) AS newest FROM spans
        WHERE {" AND ".join(conditions)}
        GROUP BY trace_id ORDER BY newest DESC, trace_id LIMIT {{limit:UInt32}}
        """,  # noqa: S608 - conditions are constants, values are bound
        parameters,
    )


def encoded_match(match: Match, index: int, column: str | None = None) -> str:
    """SQL for a condition on an attribute, else the resource's, whose values are kept encoded.

    A missing attribute reads as empty text. ``column`` has the attribute where its form is usual.
    """
    key, values = (
        f"{{key{index}:String}}",
        f"arrayMap(x -> unhex(x), {{values{index}:Array(String)}})",
    )
    value = f"if(mapContains(attributes, {key}), attributes[{key}], {RESOURCE}[{key}])"
    found = f"has({values}, {value})"
    if column is not None:
        text = f"{column} = {{value{index}:String}}"
        found = f"if({column} != '', {text}, {found})"
    return f"NOT {found}" if match.is_negated else found


def match_parameters(match: Match, index: int) -> dict[str, Parameter]:
    """What ``encoded_match`` refers to."""
    return {
        f"key{index}": match.key,
        f"value{index}": match.value,
        f"values{index}": [encoded.hex() for encoded in encodings_of(match.value)],
    }


def trace_summaries(store: Store, trace_ids_hex: list[str], window: Window) -> pa.Table:
    """One row per trace: its root, extent, span and error counts, services.

    ``window`` must hold all spans of the traces (take it from ``trace_extent``).
    The root is the span without parent, else the earliest.
    """
    return store.query(
        """
        SELECT lower(hex(trace_id)) AS trace_id_hex,
               argMin(service_name, (parent_span_id != toFixedString('', 8), start_unix_nano))
                   AS root_service,
               argMin(name, (parent_span_id != toFixedString('', 8), start_unix_nano))
                   AS root_name,
               min(start_unix_nano) AS start,
               max(start_unix_nano + toInt64(duration_ns)) - start AS duration,
               count() AS spans, countIf(status_code = 2) AS errors,
               arraySort(groupUniqArray(service_name)) AS services
        FROM spans
        WHERE start_unix_nano >= {from:Int64} AND start_unix_nano < {to:Int64}
          AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({ids:Array(String)})), 16))
        GROUP BY trace_id
        """,
        {**window.parameters(), "ids": trace_ids_hex},
    )


def trace_extent(store: Store, trace_ids_hex: list[str]) -> Window | None:
    """The window that holds every span of the traces; None when none is known."""
    table = store.query(
        """
        SELECT count() AS n, min(first_unix_nano) AS first, max(last_unix_nano) AS last
        FROM trace_bounds
        WHERE trace_id IN (SELECT toFixedString(unhex(arrayJoin({ids:Array(String)})), 16))
        """,
        {"ids": trace_ids_hex},
    )
    row = table.to_pylist()[0]
    if row["n"] == 0:
        return None
    return Window(row["first"], row["last"] + 1)


_SPAN_FIELDS: Final = f"""
    lower(hex(span_id)) AS span_id_hex, lower(hex(parent_span_id)) AS parent_hex,
    service_name, scope_name, name, kind, start_unix_nano, duration_ns, status_code,
    status_message, http_method, http_route, http_status, cohort, deployment_id, device_class,
    outcome, error_type, flag, attributes, {RESOURCE} AS resource_pairs, events
"""


def trace_spans(store: Store, trace_id_hex: str, window: Window, *, limit: int) -> pa.Table:
    """All columns of the spans of one trace, ordered by start; ids as lower-case hex."""
    return store.query(
        f"""
        SELECT {_SPAN_FIELDS} FROM spans
        WHERE start_unix_nano >= {{from:Int64}} AND start_unix_nano < {{to:Int64}}
          AND trace_id = toFixedString(unhex({{id:String}}), 16)
        ORDER BY start_unix_nano, span_id LIMIT {{limit:UInt32}}
        """,  # noqa: S608 - columns are constants, values are bound
        {**window.parameters(), "id": trace_id_hex, "limit": limit},
    )


def spans_of_traces(
    store: Store, trace_ids_hex: list[str], window: Window, *, limit: int
) -> pa.Table:
    """The same of several traces, with ``trace_id_hex``; trace by trace."""
    return store.query(
        f"""
        SELECT lower(hex(trace_id)) AS trace_id_hex, {_SPAN_FIELDS} FROM spans
        WHERE start_unix_nano >= {{from:Int64}} AND start_unix_nano < {{to:Int64}}
          AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({{ids:Array(String)}})), 16))
        ORDER BY trace_id, start_unix_nano, span_id LIMIT {{limit:UInt32}}
        """,  # noqa: S608 - columns are constants, values are bound
        {**window.parameters(), "ids": trace_ids_hex, "limit": limit},
    )


def span_names(store: Store, service: str, *, kind: int | None, limit: int) -> pa.Table:
    """name, kind of all spans of one service that are kept."""
    condition = "" if kind is None else "AND kind = {kind:UInt8}"
    return store.query(
        f"""
        SELECT name, kind FROM spans
        WHERE service_name = {{service:String}} {condition}
        GROUP BY name, kind ORDER BY name, kind LIMIT {{limit:UInt32}}
        """,  # noqa: S608 - the condition is a constant, values are bound
        {"service": service, "kind": kind or 0, "limit": limit},
    )
