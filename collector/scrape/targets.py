"""From an address to a target: labels, relabelling, the URL that is asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from collector.promql.labels import Labels, make_labels
from collector.scrape.errors import ScrapeError
from collector.scrape.jobs import Job, StaticGroup, duration_s
from collector.scrape.relabel import relabelled

ADDRESS: Final = "__address__"
_PARAM: Final = "__param_"


@dataclass(frozen=True, slots=True)
class Target:
    """One page to read; equal targets are the same one, also after the files were read again."""

    job: Job
    url: str
    #: What every sample of it carries, job and instance among them.
    labels: Labels
    interval_s: float
    timeout_s: float

    @property
    def key(self) -> tuple[str, str, Labels]:
        """What makes it this target, whatever its settings."""
        return self.job.name, self.url, self.labels


def targets_of(job: Job, groups: Iterable[StaticGroup]) -> tuple[list[Target], list[str]]:
    """The job's targets without duplicates, and a sentence per address that cannot be one."""
    sets = [_labels(job, address, group) for group in groups for address in group.addresses]
    found: dict[tuple[str, str, Labels], Target] = {}
    problems: list[str] = []
    for labels, before in zip(relabelled(job.target_rules, sets), sets, strict=True):
        if labels is None:
            continue
        try:
            target = _target(job, labels)
        except (ScrapeError, ValueError) as error:
            problems.append(f"job {job.name}: {before[ADDRESS]} is no target: {error}")
            continue
        found.setdefault(target.key, target)
    return list(found.values()), problems


def _labels(job: Job, address: str, group: StaticGroup) -> dict[str, str]:
    """What relabelling sees. Labels of the group win, as in Prometheus."""
    params: dict[str, str] = {}
    for name, value in job.params:
        params.setdefault(f"{_PARAM}{name}", value)
    return {
        "job": job.name,
        "__scheme__": job.scheme,
        "__metrics_path__": job.metrics_path,
        "__scrape_interval__": f"{round(job.interval_s * 1000)}ms",
        "__scrape_timeout__": f"{round(job.timeout_s * 1000)}ms",
        **params,
        **{name: value for name, value in group.labels.items() if value},
        ADDRESS: address,
    }


def _target(job: Job, labels: dict[str, str]) -> Target:
    address = labels.get(ADDRESS, "")
    if not address or "/" in address or any(one.isspace() for one in address):
        raise ScrapeError(f"{address[:100]!r} is no address")
    scheme = labels.get("__scheme__", "")
    if scheme not in {"http", "https"}:
        raise ScrapeError(f"scheme {scheme[:20]!r}; accepted: http, https")
    interval_s = duration_s(labels.get("__scrape_interval__", ""))
    timeout_s = duration_s(labels.get("__scrape_timeout__", ""))
    if timeout_s > interval_s:
        raise ScrapeError("the timeout is longer than the interval")
    path = labels.get("__metrics_path__", "")
    if not path.startswith("/"):
        path = f"/{path}"
    kept = {name: value for name, value in labels.items() if not name.startswith("__")}
    kept.setdefault("instance", address)
    query = _query(job, labels)
    return Target(
        job=job,
        url=f"{scheme}://{address}{path}" + (f"?{query}" if query else ""),
        labels=make_labels(kept),
        interval_s=interval_s,
        timeout_s=timeout_s,
    )


def _query(job: Job, labels: dict[str, str]) -> str:
    """The parameters; relabelling may have changed, added or removed the first of each name."""
    params: dict[str, list[str]] = {}
    for name, value in job.params:
        params.setdefault(name, []).append(value)
    for values in params.values():
        del values[0]
    for name, value in labels.items():
        if name.startswith(_PARAM):
            params.setdefault(name.removeprefix(_PARAM), []).insert(0, value)
    return urlencode([(name, one) for name, values in params.items() for one in values])
