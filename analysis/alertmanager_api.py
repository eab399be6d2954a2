"""Alertmanager's API v2 over our own alerts and silences, so that amtool, Grafana and karma work.

Source: prometheus/alertmanager api/v2/openapi.yaml; errors are a JSON text, as there. Alerts are
made here from objectives; those of others are not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, ParamSpec

from fastapi import FastAPI, Request, Response

from analysis.alerts import wire
from analysis.alerts.book import Alert, read_alert
from analysis.alerts.labels import fits, read_condition
from analysis.api import Desk, require_own
from analysis.config import NoticeConfig
from analysis.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    LedgerFullError,
    LedgerUnavailableError,
    UnknownRecordError,
)
from analysis.guards_api import signed_by
from analysis.webhooks.events import rfc3339
from collector.access.desk import Caller
from collector.access.tokens import Scope
from collector.promql.matchers import Matcher

P = ParamSpec("P")

MAX_FILTERS: Final = 20
#: Where every alert goes, whoever else is told.
TIMELINE: Final = "timeline"
#: What of Alertmanager's API this speaks; clients choose their words by it.
SPOKEN_VERSION: Final = "0.28.0"


def add_alertmanager(
    app: FastAPI, desk: Desk, notices: Sequence[NoticeConfig], analysis_url: str
) -> None:
    """Add the routes under ``/api/v2``."""
    _add_status(app, desk, notices)
    _add_alerts(app, desk, notices, analysis_url)
    _add_silences(app, desk)


def _add_status(app: FastAPI, desk: Desk, notices: Sequence[NoticeConfig]) -> None:
    began_unix_nano = desk.clock.wall_unix_nano()
    names = [TIMELINE, *(one.endpoint_id for one in notices)]

    @app.get("/api/v2/status")
    async def status(request: Request) -> Response:
        """No cluster; receivers as Alertmanager would be configured with."""
        routes = "".join(f"  - receiver: {name}\n    continue: true\n" for name in names[1:])
        config = f"route:\n  receiver: {TIMELINE}\n" + (f"  routes:\n{routes}" if routes else "")
        config += "receivers:\n" + "".join(f"- name: {name}\n" for name in names)
        version = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
        body = {
            "cluster": {"name": "", "peers": [], "status": "disabled"},
            "config": {"original": config},
            "uptime": rfc3339(began_unix_nano),
            "versionInfo": version | {"version": SPOKEN_VERSION},
        }
        return await desk.read(request, lambda: (200, body), is_strict=False)

    @app.get("/api/v2/receivers")
    async def receivers(request: Request) -> Response:
        """The timeline, and every endpoint of notices."""
        body = [{"name": name} for name in names]
        return await desk.read(request, lambda: (200, body), is_strict=False)


def _add_alerts(
    app: FastAPI, desk: Desk, notices: Sequence[NoticeConfig], analysis_url: str
) -> None:
    def shown(request: Request) -> list[dict[str, Any]]:
        now = desk.clock.wall_unix_nano()
        wanted, filters = _wanted(request), _filters(request)
        receiver = request.query_params.get("receiver")
        named = None if receiver is None else read_condition(f"receiver=~{receiver}")
        found = []
        for kept in desk.ledger.statuses("alert"):
            alert = read_alert(kept)
            told = _receivers(alert, notices)
            if named is not None:
                told = [name for name in told if fits([named], {"receiver": name})]
            is_wanted = wanted["silenced" if alert.silenced_by else "active"]
            if alert.is_firing and told and is_wanted and fits(filters, alert.labels):
                found.append(wire.gettable(alert, told, analysis_url, now))
        return found

    @app.get("/api/v2/alerts")
    async def alerts(request: Request) -> Response:
        """Those that fire, by ``filter``, ``receiver``, ``active``, ``silenced``."""
        work = _shaped(lambda: (200, shown(request)))
        return await desk.read(request, work, is_strict=False)

    @app.get("/api/v2/alerts/groups")
    async def groups(request: Request) -> Response:
        """The same, by objective and receiver."""
        work = _shaped(lambda: (200, wire.groups(shown(request))))
        return await desk.read(request, work, is_strict=False)

    @app.post("/api/v2/alerts")
    async def post(request: Request) -> Response:
        """Refused in words: what others found is no alert of ours."""
        body = "alerts are made here from objectives; send your own to an Alertmanager"
        return await desk.read(request, lambda: (405, body), is_strict=False)


def _add_silences(app: FastAPI, desk: Desk) -> None:
    store = desk.ledger.silences

    @app.get("/api/v2/silences")
    async def silences(request: Request) -> Response:
        """All that are kept; ``filter`` holds on names and values of their matchers."""

        def work() -> tuple[int, Any]:
            now, filters = desk.clock.wall_unix_nano(), _filters(request)
            found = [
                one
                for one in store.every()
                if fits(filters, {matcher.name: matcher.value for matcher in one.matchers})
            ]
            return 200, [wire.silence_json(one, now) for one in found]

        return await desk.read(request, _shaped(work), is_strict=False)

    @app.post("/api/v2/silences")
    async def make(request: Request) -> Response:
        """A new one, or one in the place of the ``id`` that is given; ``recurring`` is ours."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            # It is about alerts of objectives, which no token is bound to.
            require_own(caller, "*", "*")
            made = store.make(
                lambda new_id, now: wire.read_silence(raw, new_id, now),
                lambda said: signed_by(caller, said),
            )
            return 200, {"silenceID": made.silence_id}

        return await desk.write(request, _shaped(work), Scope.ADMIN)

    @app.get("/api/v2/silence/{silence_id}")
    async def silence(request: Request, silence_id: str) -> Response:
        """One of them."""

        def work() -> tuple[int, Any]:
            return 200, wire.silence_json(store.one(silence_id), desk.clock.wall_unix_nano())

        return await desk.read(request, _shaped(work), is_strict=False)

    @app.delete("/api/v2/silence/{silence_id}")
    async def end(request: Request, silence_id: str) -> Response:
        """It is over now; what still fires is told."""

        def work(_: bytes, caller: Caller) -> tuple[int, Any]:
            require_own(caller, "*", "*")
            store.end(silence_id, signed_by(caller, "the owner"))
            return 200, {}

        return await desk.write(request, _shaped(work), Scope.ADMIN)


def _receivers(alert: Alert, notices: Sequence[NoticeConfig]) -> list[str]:
    kind = f"slo_{alert.labels['severity']}"
    return [TIMELINE, *(one.endpoint_id for one in notices if kind in one.kinds)]


def _filters(request: Request) -> list[Matcher]:
    texts = request.query_params.getlist("filter")
    if len(texts) > MAX_FILTERS:
        raise BadRequestError(f"{len(texts)} filters", accepted=f"at most {MAX_FILTERS}")
    return [read_condition(text) for text in texts]


def _wanted(request: Request) -> dict[str, bool]:
    found = {}
    for name in ("active", "silenced"):
        text = request.query_params.get(name, "true")
        if text not in ("true", "false"):
            raise BadRequestError(f"{name}={text[:20]!r}", accepted="true or false")
        found[name] = text == "true"
    return found


def _shaped(work: Callable[P, tuple[int, Any]]) -> Callable[P, tuple[int, Any]]:
    """Errors as Alertmanager words them."""

    def shaped(*args: P.args, **kwargs: P.kwargs) -> tuple[int, Any]:
        try:
            return work(*args, **kwargs)
        except BadRequestError as error:
            return 400, f"{error}; accepted: {error.accepted}"
        except ForbiddenError as error:
            return 403, str(error)
        except UnknownRecordError as error:
            return 404, str(error)
        except ConflictError as error:
            return 400, str(error)
        except LedgerFullError as error:
            return 429, str(error)
        except LedgerUnavailableError as error:
            return 503, str(error)

    return shaped
