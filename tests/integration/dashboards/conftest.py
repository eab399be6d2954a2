"""A small OpenID provider over real sockets, and a browser that needs no screen."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "davylamp-pages"
CLIENT_SECRET = "a secret/of:the+client"


class Provider:
    """Discovery, authorize, token with RS256, JWKS, userinfo. ``claims`` is who signs in next."""

    def __init__(self):
        self.keys = [RSAKey.generate_key(2048, {"kid": "one"}, auto_kid=False)]
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.issuer = f"{self.url}/realms/x"
        self.redirect_uri = ""
        self.reset()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self):
        """As a provider should be."""
        self.claims = {"sub": "u-1", "email": "ada@example.com", "email_verified": True}
        self.changed = {}  # of the ID token's claims; None takes one away
        self.userinfo = {"sub": "u-1"}
        self.discovery = {}
        self.refusal = None  # an error instead of a code
        self.make = lambda claims: jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.keys[0])
        self.codes = {}
        self.asked = []

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def document(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
            **self.discovery,
        }

    def authorize(self, query):
        """The address to send the browser back to."""
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["redirect_uri"] == self.redirect_uri
        assert query["code_challenge_method"] == "S256"
        assert set(query["scope"].split()) == {"openid", "email", "profile"}
        back = {"state": query["state"], "iss": self.issuer}
        if self.refusal:
            back["error"] = self.refusal
        else:
            back["code"] = secrets.token_urlsafe(8)
            self.codes[back["code"]] = query
        return f"{self.redirect_uri}?{urllib.parse.urlencode(back)}"

    def token(self, form, authorization):
        """A code for tokens, once: (status, body)."""
        pair = ":".join(urllib.parse.quote_plus(one) for one in (CLIENT_ID, CLIENT_SECRET))
        if authorization != "Basic " + base64.b64encode(pair.encode()).decode():
            return 401, {"error": "invalid_client"}
        query = self.codes.pop(form["code"], None)
        if query is None or form["redirect_uri"] != self.redirect_uri:
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != query["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": query["nonce"],
            **self.claims,
            **self.changed,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        body = {"id_token": self.make(claims), "access_token": "at-1", "token_type": "Bearer"}
        return 200, body

    def _handler(provider):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                provider.asked.append(path)
                if path == "/authorize":
                    self.send_response(302)
                    given = dict(urllib.parse.parse_qsl(query))
                    self.send_header("location", provider.authorize(given))
                    self.send_header("content-length", "0")
                    self.end_headers()
                elif path == "/realms/x/.well-known/openid-configuration":
                    self.answer(200, provider.document())
                elif path == "/jwks":
                    keys = [key.as_dict(private=False) for key in provider.keys]
                    self.answer(200, {"keys": [*keys, {"kty": "new"}, "odd"]})
                elif path == "/userinfo" and self.headers["authorization"] == "Bearer at-1":
                    self.answer(200, provider.userinfo)
                else:
                    self.answer(404, {})

            def do_POST(self):
                provider.asked.append(self.path)
                raw = self.rfile.read(int(self.headers["content-length"])).decode()
                form = dict(urllib.parse.parse_qsl(raw))
                self.answer(*provider.token(form, self.headers.get("authorization")))

            def answer(self, status, body):
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        return Handler


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    """Keeps cookies of one host, follows redirects one by one, asks for pages."""

    def __init__(self):
        self.cookies = {}
        self.set_cookies = []
        self._opener = urllib.request.build_opener(_Stay)

    def get(self, url, **headers):
        """(status, headers, body) without following."""
        return self._ask(url, None, headers)

    def post(self, url, **headers):
        return self._ask(url, b"", headers)

    def follow(self, url):
        """The last answer, and every address on the way."""
        way = [url]
        while True:
            status, headers, body = self.get(way[-1])
            if status not in (302, 303) or len(way) > 9:
                return status, body, way
            way.append(urllib.parse.urljoin(way[-1], headers["location"]))

    def _ask(self, url, data, headers):
        given = {"accept": "text/html,*/*", **headers}
        if self.cookies:
            pairs = self.cookies.items()
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in pairs)
        request = urllib.request.Request(url, data=data, headers=given)
        try:
            with self._opener.open(request, timeout=30) as answer:
                found = answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            found = error.code, error.headers, error.read().decode()
        for text in found[1].get_all("set-cookie") or []:
            self.set_cookies.append(text)
            for name, morsel in SimpleCookie(text).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        return found


@pytest.fixture(scope="module")
def provider():
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def browser():
    return Browser()
