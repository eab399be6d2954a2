"""OTLP points in the store, asked for in PromQL: names, labels, histograms, delta, staleness."""

from __future__ import annotations

import pytest

DELTA, CUMULATIVE = 1, 2
RESOURCE = {
    "service.name": "play",
    "service.instance.id": "i-1",
    "service.version": "1.2",
    "deployment.environment.name": "prod",
}


@pytest.fixture
def ask(serving):
    """Value by label set (as sorted pairs) of an instant query, infos and warnings forbidden."""

    def run(query: str, time_s: float) -> dict:
        status, body = serving.get("/api/v1/query", query=query, time=time_s)
        assert status == 200, body
        return {
            tuple(sorted(one["metric"].items())): float(one["value"][1])
            for one in body["data"]["result"]
        }

    return run


def labelled(**labels) -> tuple:
    base = {"job": "play", "instance": "i-1", "service_version": "1.2"}
    return tuple(sorted({**base, **labels}.items()))


def regular(t0_s, count=40, step_s=15, **point_of):
    """Points whose fields are functions of their number."""
    return [
        {"time_s": t0_s + step_s * n, **{key: make(n) for key, make in point_of.items()}}
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("otlp_name", "unit", "kind", "name"),
    [
        ("http.requests", "{request}", "sum", "http_requests_{}_total"),
        ("http.requests.total", "", "sum", "http_requests_{}_total"),
        ("queue.size", "By", "up_down", "queue_size_{}_bytes"),
        ("cpu.use", "1", "gauge", "cpu_use_{}_ratio"),
        ("io.speed", "MiBy/s", "gauge", "io_speed_{}_mebibytes_per_second"),
        ("heat.celsius", "Cel", "gauge", "heat_celsius_{}"),
        ("odd-name..x", "", "gauge", "odd_name_x_{}"),
    ],
)
def test_names_follow_the_compatibility_specification(
    serving, otlp, ask, t0_s, otlp_name, unit, kind, name
):
    """Dots and dashes are underscores, units are words at the end, counters are _total."""
    mark = f"h{t0_s}"
    head, _, tail = otlp_name.partition(".")
    marked = f"{head}.{tail.replace('.total', '')}.{mark}" + (".total" if "total" in tail else "")
    if "celsius" in tail:
        marked = f"{otlp_name}.{mark}"
    serving.insert(otlp(RESOURCE, marked, unit, kind, regular(t0_s, 2, value=float)))
    wanted = name.format(mark)
    assert ask(wanted, t0_s + 15) == {labelled(__name__=wanted): 1.0}


def test_attributes_are_labels_and_the_target_is_job_and_instance(serving, otlp, ask, t0_s):
    """Names are sanitised; namespace and name make the job; names that fall together are joined."""
    name = f"labels_h{t0_s}"
    point = {
        "time_s": t0_s,
        "value": 1.0,
        "attributes": {"http.route": "/x", "a.b": "1", "a_b": "2", "1st": "y", "empty": ""},
    }
    resource = {**RESOURCE, "service.namespace": "shop"}
    serving.insert(otlp(resource, name, "", "gauge", [point]))
    wanted = labelled(__name__=name, job="shop/play", http_route="/x", a_b="1;2", key_1st="y")
    assert ask(name, t0_s) == {wanted: 1.0}


def test_target_info_carries_what_is_left_of_the_resource(serving, otlp, ask, t0_s):
    """One series per target, joined by job and instance, there as long as the target is."""
    name = f"joined_h{t0_s}"
    resource = {**RESOURCE, "service.instance.id": f"t-{t0_s}", "host.name": "h1"}
    serving.insert(otlp(resource, name, "", "gauge", regular(t0_s, value=float)))
    target = {"job": "play", "instance": f"t-{t0_s}"}
    info = f'target_info{{instance="t-{t0_s}"}}'
    assert ask(info, t0_s + 300) == {
        tuple(
            sorted(
                {
                    "__name__": "target_info",
                    "host_name": "h1",
                    "deployment_environment_name": "prod",
                    "service_version": "1.2",
                    **target,
                }.items()
            )
        ): 1.0
    }
    query = f"{name} * on (job, instance) group_left (host_name) target_info"
    (found,) = ask(query, t0_s + 300)
    assert dict(found)["host_name"] == "h1"
    assert ask(info, t0_s + 585 + 301) == {}


def test_explicit_histograms_are_buckets_count_and_sum(serving, otlp, ask, t0_s):
    """le is a float in text, counts are cumulative, quantiles come out right."""
    name = f"lat_h{t0_s}"
    points = [
        {"time_s": t0_s + 15 * n, "count": 4 * n, "sum": 1.5 * n, "bounds": [0.1, 1.0, 5.0],
         "counts": [n, n, n, n]}
        for n in range(40)
    ]  # fmt: skip
    serving.insert(otlp(RESOURCE, name, "s", "histogram", points))
    base = f"{name}_seconds"
    assert ask(f"{base}_bucket", t0_s + 150) == {
        labelled(__name__=f"{base}_bucket", le=le): 10.0 * place
        for place, le in enumerate(("0.1", "1.0", "5.0", "+Inf"), 1)
    }
    assert ask(f'{{__name__=~"{base}_.*", le="1.0"}}', t0_s + 150) == {
        labelled(__name__=f"{base}_bucket", le="1.0"): 20.0
    }
    assert ask(f"{base}_count", t0_s + 150) == {labelled(__name__=f"{base}_count"): 40.0}
    assert ask(f"{base}_sum", t0_s + 150) == {labelled(__name__=f"{base}_sum"): 15.0}
    assert ask(f"histogram_quantile(0.5, rate({base}_bucket[2m]))", t0_s + 300) == {
        labelled(): pytest.approx(1.0)
    }
    assert ask(f"histogram_fraction(0, 1, rate({base}_bucket[2m]))", t0_s + 300) == {
        labelled(): pytest.approx(0.5)
    }


@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])
def test_exponential_histograms_are_buckets_on_a_fixed_grid(serving, otlp, ask, t0_s, temporality):
    """Four bounds per doubling; counts merge exactly, whatever scale the sender uses."""
    name = f"exp_h{t0_s}"
    points = [
        {
            "time_s": t0_s + 15 * n,
            "count": (n + 1 if temporality == CUMULATIVE else 1) * 5,
            "sum": 1.0,
            "scale": 4,
            "offset": -16,  # from 0.5; two buckets reach to 2**(-14/16)
            "zero_count": n + 1 if temporality == CUMULATIVE else 1,
            "counts": [(n + 1 if temporality == CUMULATIVE else 1) * 2] * 2,
        }
        for n in range(20)
    ]
    serving.insert(otlp(RESOURCE, name, "s", "exponential_histogram", points, temporality))
    base = f"{name}_seconds"
    grid = [repr(2 ** (quarter / 4)) for quarter in (-4, -3)]
    assert ask(f"{base}_bucket", t0_s + 135) == {
        labelled(__name__=f"{base}_bucket", le=grid[0]): 10.0,
        labelled(__name__=f"{base}_bucket", le=grid[1]): 50.0,
        labelled(__name__=f"{base}_bucket", le="+Inf"): 50.0,
    }
    assert ask(f"increase({base}_count[2m])", t0_s + 285) == {labelled(): pytest.approx(8 * 5)}


@pytest.mark.parametrize("kind", ["sum", "histogram"])
def test_delta_streams_become_running_totals(serving, otlp, ask, t0_s, kind):
    """The total at a time is all that was added before it, wherever the query begins."""
    name = f"delta_{kind}_h{t0_s}"
    points = [
        {"time_s": t0_s + 15 * n, "value": 3.0}
        if kind == "sum"
        else {"time_s": t0_s + 15 * n, "count": 3, "sum": 1.0, "bounds": [1.0], "counts": [1, 2]}
        for n in range(40)
    ]
    serving.insert(otlp(RESOURCE, name, "", kind, points, DELTA))
    total = f"{name}_total" if kind == "sum" else f"{name}_count"
    for time_s in (t0_s, t0_s + 300, t0_s + 585):
        assert ask(total, time_s) == {labelled(__name__=total): 3.0 * ((time_s - t0_s) / 15 + 1)}
    assert ask(f"increase({total}[1m])", t0_s + 300) == {labelled(): pytest.approx(12.0)}


def test_a_point_without_a_value_ends_the_series(serving, otlp, ask, t0_s):
    """OTLP's "no recorded value" is Prometheus' stale marker: no lookback past it."""
    name = f"stale_h{t0_s}"
    points = [
        {"time_s": t0_s, "value": 1.0},
        {"time_s": t0_s + 15, "flags": 1},
        {"time_s": t0_s + 45, "value": 2.0},
    ]
    serving.insert(otlp(RESOURCE, name, "", "gauge", points))
    assert [len(ask(name, t0_s + after)) for after in (14, 15, 44, 45)] == [1, 0, 0, 1]
    assert ask(f"count_over_time({name}[1m])", t0_s + 45) == {labelled(): 2.0}


def test_both_edges_of_a_range_are_a_matter_of_the_dialect(serving, otlp, t0_s):
    """Prometheus 3 leaves out the sample at the left edge, Prometheus 2 counts it."""
    name = f"edge_h{t0_s}"
    serving.insert(otlp(RESOURCE, name, "", "gauge", regular(t0_s, value=float)))
    counts = []
    for dialect in (serving, serving.closed_edge):
        body = dialect.get("/api/v1/query", query=f"count_over_time({name}[1m])", time=t0_s + 120)[
            1
        ]
        counts.append(body["data"]["result"][0]["value"][1])
    assert counts == ["4", "5"]


def test_two_streams_with_the_same_labels_are_one_series(serving, otlp, ask, t0_s):
    """What Prometheus cannot tell apart is joined by time."""
    name = f"twins_h{t0_s}"
    even = [{"time_s": t0_s + 20 * n, "value": 1.0} for n in range(5)]
    odd = [{"time_s": t0_s + 20 * n + 10, "value": 2.0} for n in range(5)]
    serving.insert(otlp(RESOURCE, name, "", "gauge", even))
    serving.insert(otlp({**RESOURCE, "host.name": "other"}, name, "", "gauge", odd))
    assert ask(f"count_over_time({name}[5m])", t0_s + 95) == {labelled(): 10.0}
    assert ask(name, t0_s + 25) == {labelled(__name__=name): 1.0}
    assert ask(name, t0_s + 35) == {labelled(__name__=name): 2.0}


def test_hostile_text_is_only_ever_data(serving, otlp, t0_s):
    """Quotes, backslashes and SQL in values come back as they were."""
    name = f"hostile_h{t0_s}"
    nasty = "'; DROP TABLE series; -- \\ \" \n {}"
    point = {"time_s": t0_s, "value": 1.0, "attributes": {"x": nasty}}
    serving.insert(otlp(RESOURCE, name, "", "gauge", [point]))
    quoted = nasty.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    body = serving.post("/api/v1/query", {"query": f'{name}{{x="{quoted}"}}', "time": t0_s})[1]
    assert body["data"]["result"][0]["metric"]["x"] == nasty


def test_a_new_series_is_seen_at_once(serving, otlp, ask, t0_s):
    """What is kept in memory never hides what has arrived since."""
    name = f"fresh_h{t0_s}"
    assert ask(name, t0_s) == {}
    serving.insert(otlp(RESOURCE, name, "", "gauge", [{"time_s": t0_s, "value": 1.0}]))
    assert ask(name, t0_s) == {labelled(__name__=name): 1.0}
    other = {**RESOURCE, "service.instance.id": "i-2"}
    serving.insert(otlp(other, name, "", "gauge", [{"time_s": t0_s, "value": 2.0}]))
    assert ask(f"sum({name})", t0_s) == {(): 3.0}
