"""ASGI middleware: who has signed in comes through, who has not goes to the provider or the gate.

It stands outermost. Programs go on showing tokens, which the gate behind it looks at; a person's
browser that asks for a page is sent to sign in.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Request

from collector.access.gate import ScopeOf
from collector.access.token_file import TokenFile
from collector.access.tokens import Scope
from dashboards.routes import parse_path
from dashboards.signin import sentences
from dashboards.signin.allowed import Person
from dashboards.signin.cookies import Cookie
from dashboards.signin.errors import BadAnswerError, NotAllowedError, NotMadeError, SignInError
from dashboards.signin.flow import ATTEMPT_S, Attempt, SignInFlow
from dashboards.signin.personal import Holder, hand_out
from telemetry.clock import Clock

logger = logging.getLogger("dashboards.signin")

#: Sessions that were ended before their time, remembered until then.
MAX_ENDED: Final = 10_000
MAX_QUERY_CHARS: Final = 8_000
_TOKEN_PATH: Final = "/signin/token"  # noqa: S105 - a path
_FLOW_PATHS: Final = frozenset(
    {"/signin", "/signin/callback", "/signout", "/signin/me", _TOKEN_PATH}
)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has signed in."""

    session_id: str
    person: Person
    scopes: frozenset[Scope]
    ends_unix_s: float


class Door:
    """``gated`` puts the check of tokens around the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        session_s: float,
        clock: Clock,
        flow: SignInFlow,
        session_cookie: Cookie,
        attempt_cookie: Cookie,
        gated: Callable[[ASGIApp], ASGIApp],
        scope_of: ScopeOf,
        tokens: TokenFile,
        refused: Callable[[str], None],
    ) -> None:
        self._app = app
        self._gated = gated(app)
        self._session_s = session_s
        self._clock = clock
        self._flow = flow
        self._session_cookie = session_cookie
        self._attempt_cookie = attempt_cookie
        self._scope_of = scope_of
        self._tokens = tokens
        self._refused = refused
        self._ended: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, scope: Request, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._gated(scope, receive, send)
            return
        headers = Headers(scope=scope)
        path = scope["path"]
        session = self._session(headers)
        if path in _FLOW_PATHS:
            response = await self._answer(scope, headers, session)
            response.headers["Cache-Control"] = "no-store"
            response.headers["Content-Security-Policy"] = sentences.POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["X-Content-Type-Options"] = "nosniff"
            await response(scope, receive, send)
            return
        needed = self._scope_of(scope["method"], path)
        # A token that is shown counts, also beside a cookie.
        if "authorization" not in headers and needed is not None:
            if session is not None and needed in session.scopes:
                await self._app(scope, receive, send)
                return
            if session is not None:
                self._refused("forbidden")
                await _forbidden(session, needed)(scope, receive, send)
                return
            if _is_person(scope, headers):
                await _to_sign_in(scope)(scope, receive, send)
                return
        await self._gated(scope, receive, send)

    # --- signing in and out -------------------------------------------------------------------

    async def _answer(self, scope: Request, headers: Headers, session: Session | None) -> Response:
        path, method = scope["path"], scope["method"]
        try:
            if (path, method) == ("/signin", "GET"):
                return await self._begin(scope)
            if (path, method) == ("/signin/callback", "GET"):
                return await self._finish(scope, headers)
            if (path, method) == ("/signin/me", "GET"):
                return _who(session)
            if path == "/signout" and method in ("GET", "POST"):
                return self._out(method, session)
            if path == _TOKEN_PATH and method in ("GET", "POST"):
                return await self._token(scope, headers, session)
        except (NotMadeError, NotAllowedError) as error:
            if session is None:
                return self._not_signed_in(error)
            logger.warning("not done for %s: %s", session.person.name, error)
            self._refused(error.outcome)
            return HTMLResponse(sentences.not_done(str(error)), error.http_status)
        except SignInError as error:
            return self._not_signed_in(error)
        return JSONResponse({"error": {"code": "method_not_allowed"}}, 405)

    def _not_signed_in(self, error: SignInError) -> Response:
        logger.warning("somebody is not signed in: %s", error)
        self._refused(error.outcome)
        response = HTMLResponse(sentences.refused(str(error)), error.http_status)
        response.headers.append("Set-Cookie", self._attempt_cookie.ended())
        return response

    async def _begin(self, scope: Request) -> Response:
        onward = _onward(_query(scope).get("next", "/"))
        url, attempt = await self._flow.begin(onward)
        response = RedirectResponse(url, 302)
        cookie = self._attempt_cookie.made(attempt.to_json(), self._now_s(), ATTEMPT_S)
        response.headers.append("Set-Cookie", cookie)
        return response

    async def _finish(self, scope: Request, headers: Headers) -> Response:
        kept = self._attempt_cookie.content(headers.get("cookie", ""), self._now_s())
        if kept is None:
            raise BadAnswerError(
                "this browser has not begun to sign in, or more than "
                f"{ATTEMPT_S / 60:g} minutes ago"
            )
        attempt = Attempt(kept["state"], kept["nonce"], kept["verifier"], kept["onward"])
        person = await self._flow.finish(attempt, _query(scope))
        content = {
            "id": secrets.token_urlsafe(16),
            "sub": person.subject,
            "email": person.email,
            "groups": sorted(person.groups),
        }
        try:
            cookie = self._session_cookie.made(content, self._now_s(), self._session_s)
        except ValueError:
            raise NotAllowedError(
                f"{person.name[:200]} is in more of the allowed groups than a cookie can hold"
            ) from None
        logger.info("%s has signed in", person.name)
        response = RedirectResponse(attempt.onward, 303)
        response.headers.append("Set-Cookie", cookie)
        response.headers.append("Set-Cookie", self._attempt_cookie.ended())
        return response

    def _out(self, method: str, session: Session | None) -> Response:
        if method == "GET" and session is not None:
            return HTMLResponse(sentences.sign_out(session.person.name))
        if session is not None:
            # The cookie would open until its time is over, wherever a copy of it is.
            self._ended[session.session_id] = session.ends_unix_s
            self._forget()
        response = HTMLResponse(sentences.signed_out())
        response.headers.append("Set-Cookie", self._session_cookie.ended())
        return response

    async def _token(self, scope: Request, headers: Headers, session: Session | None) -> Response:
        """Asks on GET, makes one on POST. Raises NotAllowedError, NotMadeError."""
        if session is None:
            return _to_sign_in(scope)
        holder = Holder(session.person, session.scopes, session.ends_unix_s)
        if scope["method"] == "GET":
            scopes = " and ".join(sorted(session.scopes))
            return HTMLResponse(sentences.token_question(session.person.name, scopes))
        # SameSite keeps other sites' forms out, this also those of neighbouring hosts.
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise NotAllowedError("another site has asked for a token")
        text = await asyncio.to_thread(
            hand_out, self._tokens, holder, self._now_s(), secrets.token_bytes
        )
        logger.info("%s has made a token", session.person.name)
        return HTMLResponse(sentences.token_made(text))

    def _forget(self) -> None:
        now_s = self._now_s()
        for session_id in [one for one, ends in self._ended.items() if ends <= now_s]:
            del self._ended[session_id]
        while len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    # --- who asks -----------------------------------------------------------------------------

    def _session(self, headers: Headers) -> Session | None:
        """Whoever has signed in and is still let in; the settings are asked each time."""
        found = self._session_cookie.content(headers.get("cookie", ""), self._now_s())
        if found is None or found["id"] in self._ended:
            return None
        person = Person(found["sub"], found["email"], frozenset(found["groups"]))
        try:
            scopes = self._flow.scopes(person)
        except NotAllowedError:
            return None
        return Session(found["id"], person, scopes, found["ends"])

    def _now_s(self) -> float:
        return self._clock.wall_unix_nano() / 1e9


def _who(session: Session | None) -> Response:
    if session is None:
        return JSONResponse({"error": {"code": "unauthenticated"}}, 401)
    told: dict[str, Any] = {
        "name": session.person.name,
        "scopes": sorted(session.scopes),
        "ends_unix_s": int(session.ends_unix_s),
    }
    return JSONResponse(told)


def _forbidden(session: Session, needed: Scope) -> Response:
    may = ", ".join(sorted(session.scopes))
    error = {
        "code": "forbidden",
        "message": f"{session.person.name} may {may}, not {needed}",
        "accepted": f"somebody whom [dashboards.oidc] allowed gives {needed}",
    }
    return JSONResponse({"error": error}, 403, {"Cache-Control": "no-store"})


def _is_person(scope: Request, headers: Headers) -> bool:
    """A browser that opens a page; its scripts and parts get a plain 401."""
    wants_page = "text/html" in headers.get("accept", "")
    return bool(scope["method"] == "GET" and wants_page)


def _to_sign_in(scope: Request) -> Response:
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "")
    response = RedirectResponse(f"/signin?next={quote(wanted, safe='')}", 302)
    response.headers["Cache-Control"] = "no-store"
    return response


def _onward(wanted: str) -> str:
    """A page of ours, or the first one: an address elsewhere would make us send people there."""
    path, _, query = wanted[:MAX_QUERY_CHARS].partition("?")
    is_ours = path == _TOKEN_PATH or parse_path(path) is not None
    if not is_ours or not path.startswith("/") or path.startswith("//"):
        return "/"
    # As the browser will send it; what is no part of a query cannot begin a header.
    return quote(path, safe="/%") + (f"?{quote(query, safe='=&%+')}" if query else "")


def _query(scope: Request) -> Mapping[str, str]:
    """Raises BadAnswerError for one that is too long or says something twice."""
    text = scope.get("query_string", b"").decode("latin-1")
    if len(text) > MAX_QUERY_CHARS:
        raise BadAnswerError(f"the address has more than {MAX_QUERY_CHARS} characters after ?")
    pairs = parse_qsl(text, keep_blank_values=True)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadAnswerError("the address says something twice")
    return found
