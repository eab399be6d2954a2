"""A metric's query and a scope as PromQL, as Kayenta's Prometheus integration makes it.

Source: PrometheusMetricsService.java, QueryConfigUtils.java. ``${name}`` in a template stands
for ``scope``, ``location``, ``resourceType`` or a parameter of the scope; ``PromQL:`` before it
makes the template the query itself, otherwise it is a list of filters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from analysis.kayenta_api.errors import KayentaApiError
from analysis.kayenta_api.execution_request import Scope

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
_VERBATIM: Final = "PromQL:"


def promql(query: Mapping[str, Any], templates: Mapping[str, str], scope: Scope) -> str:
    """Raises KayentaApiError: a template or a variable is missing."""
    filters = _template(query, templates)
    if filters is not None:
        filters = expanded(filters, query, scope)
        if filters.startswith(_VERBATIM):
            return filters.removeprefix(_VERBATIM).strip()
    metric = query.get("metricName")
    if not metric:
        raise KayentaApiError("the query has neither a metricName nor a template with PromQL:")
    parts = [*_resource_filters(query, scope), *(query.get("labelBindings") or [])]
    if filters and filters.strip():
        parts.append(filters.strip())
    groups = query.get("groupByFields") or []
    selector = f"{metric}{{{','.join(parts)}}}" if parts else str(metric)
    by = f" by ({', '.join(groups)})" if groups else ""
    return f"avg({selector}){by}"


def expanded(template: str, query: Mapping[str, Any], scope: Scope) -> str:
    """``template`` with its variables replaced. Raises KayentaApiError."""
    known = {
        **scope.extended,
        "resourceType": str(query.get("resourceType") or ""),
        **({"scope": scope.scope} if scope.scope is not None else {}),
        **({"location": scope.location} if scope.location is not None else {}),
    }
    missing = [name for name in _VARIABLE.findall(_plain(template)) if name not in known]
    if missing:
        raise KayentaApiError(
            f"the template names {', '.join(sorted(set(missing)))}; "
            f"known: {', '.join(sorted(known))}"
        )
    return _VARIABLE.sub(lambda match: known[match.group(1)], _plain(template))


def _plain(template: str) -> str:
    # Stored so that Spinnaker's own expressions leave it alone.
    return template.replace("$\\{", "${")


def _template(query: Mapping[str, Any], templates: Mapping[str, str]) -> str | None:
    inline = query.get("customInlineTemplate")
    if inline:
        return str(inline)
    name = query.get("customFilterTemplate")
    if not name:
        return None
    if name not in templates:
        raise KayentaApiError(f"the template {name!r} is not among the config's templates")
    return templates[name]


def _resource_filters(query: Mapping[str, Any], scope: Scope) -> list[str]:
    """What a virtual machine's kind adds, as Kayenta writes it."""
    kind = query.get("resourceType")
    if kind == "gce_instance":
        found = [f'instance=~"{_quoted(scope.scope)}-.{{4}}"'] if scope.scope else []
        return found + ([f'zone="{_quoted(scope.location)}"'] if scope.location else [])
    if kind == "aws_ec2_instance":
        found = [f'asg_groupname="{_quoted(scope.scope)}"'] if scope.scope else []
        zone = f'zone=~"{_quoted(scope.location)}.{{1}}"' if scope.location else ""
        return found + ([zone] if zone else [])
    return []


def _quoted(text: str | None) -> str:
    return (text or "").replace("\\", "\\\\").replace('"', '\\"')
