"""Guards over HTTP: what holds commands, and what people change about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response

from analysis import bodies
from analysis.api import Desk, require_own
from analysis.decisions.guard_desk import GuardDesk
from analysis.decisions.guard_store import Release
from analysis.errors import ConflictError
from analysis.proposals.changes import settings
from analysis.proposals.policy import Change, ChangeKind
from analysis.proposals_api import Loosening
from collector.access.desk import OWNER, Caller
from collector.access.tokens import Scope


def add_guards(app: FastAPI, desk: Desk, guards: GuardDesk, loosening: Loosening) -> None:
    """Add the routes under ``/api/v1/guards``; what loosens may need two people."""

    @app.get("/api/v1/guards")
    async def state(request: Request) -> Response:
        """Kill switch, limits, locks, barred digests, releases known to be good."""
        return await desk.read(request, lambda: (200, guards.state()))

    _add_releases(app, desk, guards, loosening)
    _add_locks(app, desk, guards, loosening)
    _add_settings(app, desk, guards, loosening)


def _add_releases(app: FastAPI, desk: Desk, guards: GuardDesk, loosening: Loosening) -> None:
    async def loosen(
        request: Request, kind: ChangeKind, do: Callable[[Release, str, str], None]
    ) -> Response:
        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_release(raw)
            change = Change(kind, body.environment, body.service, body.digest)
            waiting = loosening.proposed(change, caller, body.who, body.reason)
            if waiting is not None:
                return waiting
            release = Release(body.environment, body.service, body.digest)
            do(release, signed_by(caller, body.who), body.reason)
            return 200, guards.state()

        return await desk.write(request, work, Scope.ADMIN)

    @app.post("/api/v1/guards/clear")
    async def clear(request: Request) -> Response:
        """End the bar of a release."""
        return await loosen(request, ChangeKind.CLEAR_BAR, guards.clear)

    @app.post("/api/v1/guards/bar")
    async def bar(request: Request) -> Response:
        """Bar a release: no canary of it, no promotion, no rollback to it."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_release(raw)
            require_own(caller, body.service, body.environment)
            release = Release(body.environment, body.service, body.digest)
            guards.bar(release, signed_by(caller, body.who), body.reason)
            return 200, guards.state()

        return await desk.write(request, work, Scope.ADMIN)

    @app.post("/api/v1/guards/known-good")
    async def known_good(request: Request) -> Response:
        """A rollback may lead to this release."""
        return await loosen(request, ChangeKind.KNOWN_GOOD, guards.known_good)


def _add_locks(app: FastAPI, desk: Desk, guards: GuardDesk, loosening: Loosening) -> None:
    @app.post("/api/v1/guards/lock")
    async def lock(request: Request) -> Response:
        """Command nothing in an environment; ``*`` names all of them."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_lock(raw)
            # A lock is about every service of its environment.
            require_own(caller, "*", body.environment)
            guards.lock(body.environment, signed_by(caller, body.who), body.reason)
            return 200, guards.state()

        return await desk.write(request, work, Scope.ADMIN)

    @app.post("/api/v1/guards/release")
    async def release(request: Request) -> Response:
        """End a lock, also one that a storm of rollbacks has set."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_lock(raw)
            change = Change(ChangeKind.RELEASE_LOCK, body.environment, "*", "")
            waiting = loosening.proposed(change, caller, body.who, body.reason)
            if waiting is not None:
                return waiting
            guards.release_lock(body.environment, signed_by(caller, body.who), body.reason)
            return 200, guards.state()

        return await desk.write(request, work, Scope.ADMIN)


def _add_settings(app: FastAPI, desk: Desk, guards: GuardDesk, loosening: Loosening) -> None:
    @app.post("/api/v1/guards/settings")
    async def approve(request: Request) -> Response:
        """Propose that this process may command under the settings it was started with."""

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_settings(raw)
            own, looser = guards.settings.own, guards.looser()
            if body.sha256 != own.sha256:
                raise ConflictError(f"this process runs with the settings {own.sha256}")
            if not looser:
                raise ConflictError(f"the settings {own.sha256} hold nothing back")
            change = settings(own, looser)
            waiting = loosening.proposed(change, caller, body.who, body.reason)
            assert waiting is not None, "settings hold nothing back where one person is enough"
            return waiting

        return await desk.write(request, work, Scope.ADMIN)


def signed_by(caller: Caller, said: str) -> str:
    """Who is written into the audit log: the token's name; who holds the owner's says a name."""
    return said if caller is OWNER else caller.name
