"""Answers of /services, /red, /heatmap and /operations, all from the one-second rollup."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from collector.query import buckets
from collector.store import reader
from collector.store.engine import Store
from collector.store.points import floats, integers, text
from collector.store.reader import Window

LEVELS: Final = (0.5, 0.95, 0.99)
#: The heatmap shows a quarter of the stored resolution: 4 buckets per doubling.
HEATMAP_BUCKETS_PER_OCTAVE: Final = 4


def list_services(store: Store, window: Window) -> list[dict[str, Any]]:
    """Services heard through either signal, with the rates of their server spans."""
    rates = _rates(store, window)
    services: dict[str, dict[str, Any]] = {}
    for row in reader.instances(store, window).to_pylist():
        name = text(row["service_name"])
        service = services.setdefault(
            name,
            {
                "service_name": name,
                "versions": [],
                "instances": [],
                "last_seen_unix_nano": 0,
                "request_rate_per_s": None,
                "error_ratio": None,
                "p50_s": None,
                "p95_s": None,
                "p99_s": None,
                **rates.get(name, {}),
            },
        )
        version = text(row["service_version"])
        if version not in service["versions"]:
            service["versions"].append(version)
        service["instances"].append(
            {
                "instance_id": text(row["instance_id"]),
                "version": version,
                "region": text(row["region"]),
                "zone": text(row["zone"]),
                "last_seen_unix_nano": row["last_seen"],
            }
        )
        service["last_seen_unix_nano"] = max(service["last_seen_unix_nano"], row["last_seen"])
    return list(services.values())


def _rates(store: Store, window: Window) -> dict[str, dict[str, Any]]:
    table = reader.red_totals(store, window)
    width_s = (window.to_unix_nano - window.from_unix_nano) / 1e9
    result = {}
    for name, rows in _split(table, "service_name"):
        requests = float(floats(rows["requests"]).sum())
        errors = float(floats(rows["errors"]).sum())
        p50, p95, p99 = buckets.red_quantiles_s(
            integers(rows["bucket"]), floats(rows["requests"]), LEVELS
        )
        result[name] = {
            "request_rate_per_s": requests / width_s,
            "error_ratio": errors / requests,
            "p50_s": p50,
            "p95_s": p95,
            "p99_s": p99,
        }
    return result


def _split(table: pa.Table, column: str) -> list[tuple[str, pa.Table]]:
    """The rows of each distinct text in ``column``, in order of first appearance."""
    if table.num_rows == 0:
        return []
    encoded = table[column].combine_chunks().dictionary_encode()
    number = encoded.indices.to_numpy(zero_copy_only=False)
    return [
        (text(name), table.take(pa.array(np.flatnonzero(number == index))))
        for index, name in enumerate(encoded.dictionary.to_pylist())
    ]


def red(
    store: Store, window: Window, *, service: str, group_by: str | None, step_s: int
) -> list[dict[str, Any]]:
    """Requests, errors and duration quantiles of one service per step."""
    table = reader.red(store, window, service=service, group_by=group_by, step_s=step_s)
    groups = []
    for value, rows in _split(table, "group_value"):
        times = integers(rows["step_unix_s"])
        bucket = integers(rows["bucket"])
        requests, errors = floats(rows["requests"]), floats(rows["errors"])
        points = []
        for time in np.unique(times).tolist():
            mine = times == time
            p50, p95, p99 = buckets.red_quantiles_s(bucket[mine], requests[mine], LEVELS)
            points.append(
                {
                    "t_unix_s": time,
                    "request_count": int(requests[mine].sum()),
                    "error_count": int(errors[mine].sum()),
                    "p50_s": p50,
                    "p95_s": p95,
                    "p99_s": p99,
                }
            )
        attributes = {} if group_by is None else {group_by: value}
        groups.append({"attributes": attributes, "points": points})
    return groups


def heatmap(store: Store, window: Window, *, service: str, step_s: int) -> dict[str, Any]:
    """Counts per step and duration bucket.

    ``counts[i][j]`` is step ``times_unix_s[i]``, durations up to ``bounds_s[j]`` and above
    ``bounds_s[j - 1]``; steps without requests are absent, buckets nobody used at either end too.
    """
    table = reader.red(store, window, service=service, group_by=None, step_s=step_s)
    table = table.filter(pa.array(integers(table["bucket"]) >= 0))  # those with a duration
    if table.num_rows == 0:
        return {"bounds_s": [], "times_unix_s": [], "counts": []}
    ratio = buckets.RED_BUCKETS_PER_OCTAVE // HEATMAP_BUCKETS_PER_OCTAVE
    bucket = integers(table["bucket"]) // ratio
    times, row = np.unique(integers(table["step_unix_s"]), return_inverse=True)
    lowest, highest = int(bucket.min()), int(bucket.max())
    counts = np.zeros((len(times), highest - lowest + 1), dtype=np.int64)
    np.add.at(counts, (row, bucket - lowest), integers(table["requests"]))
    upper = buckets.red_bucket_upper_s(np.arange(lowest, highest + 1), HEATMAP_BUCKETS_PER_OCTAVE)
    return {
        "bounds_s": upper.tolist(),
        "times_unix_s": times.tolist(),
        "counts": counts.tolist(),
    }


def operations(store: Store, window: Window, *, service: str) -> list[dict[str, Any]]:
    """Server operations of one service, the busiest first."""
    result = []
    for name, rows in _split(reader.operations(store, window, service=service), "operation"):
        requests = floats(rows["requests"])
        p50, p99 = buckets.red_quantiles_s(integers(rows["bucket"]), requests, (0.5, 0.99))
        result.append(
            {
                "name": name,
                "count": int(requests.sum()),
                "error_count": int(floats(rows["errors"]).sum()),
                "p50_s": p50,
                "p99_s": p99,
            }
        )
    return sorted(result, key=lambda item: (-item["count"], item["name"]))


def topology(store: Store, window: Window) -> dict[str, Any]:
    """Who calls whom, from client spans and the server spans they caused."""
    table = reader.edges(store, window)
    edges: dict[tuple[str, str], dict[str, list[int]]] = {}
    for row in table.to_pylist():
        edge = edges.setdefault(
            (text(row["client"]), text(row["server"])), {"bucket": [], "calls": [], "errors": []}
        )
        for column, values in edge.items():
            values.append(row[column])
    names = {text(row["service_name"]) for row in reader.instances(store, window).to_pylist()}
    answer = []
    for (client, server), edge in edges.items():
        names |= {client, server}
        p50, p99 = buckets.red_quantiles_s(
            np.array(edge["bucket"]), np.array(edge["calls"], dtype=np.float64), (0.5, 0.99)
        )
        answer.append(
            {
                "client": client,
                "server": server,
                "call_count": sum(edge["calls"]),
                "error_count": sum(edge["errors"]),
                "p50_s": p50,
                "p99_s": p99,
            }
        )
    return {"nodes": [{"service_name": name} for name in sorted(names)], "edges": answer}
