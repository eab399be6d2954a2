"""People sign in at a provider: a real dashboards process, a small provider, real sockets."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from collector.access.config import AccessConfig
from collector.access.desk import AccessDesk
from collector.access.sealed import SealingKey
from collector.access.secret_files import SecretFiles, SecretKind
from dashboards.signin.errors import ProviderError
from dashboards.signin.flow import SignInFlow
from davylamp.config import dashboards_config, load_settings
from telemetry.clock import SystemClock

CLIENT_SECRET = "a secret/of:the+client"
OWNER = "the-owners-token"
SCRIPT = """
import sys
from pathlib import Path
from dashboards.server import run
from davylamp.config import dashboards_config, load_settings
sys.exit(run(dashboards_config(load_settings([Path(sys.argv[1])], {}))))
"""


def settings_text(state, issuer, port, more=""):
    return f"""
[davylamp]
state_dir = "{state}"
[access]
required = true
[analysis]
secret_key_file = "{state / "key"}"
secrets_must_be_encrypted = true
[dashboards]
port = {port}
[dashboards.oidc]
issuer = "{issuer}"
client_id = "davylamp-pages"
client_secret_file = "{state / "client.secret"}"
allowed = ["Ada@example.com=admin", "@staff.example=read", "group:sre=read"]
{more}
"""


def start(file):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "api.token").write_text(OWNER)
    (folder / "secrets" / "session.key").write_text(SealingKey(b"s" * 32).to_text())
    (folder / "key").write_text(SealingKey(b"k" * 32).to_text())
    files = SecretFiles(folder / "key")
    files.write(folder / "client.secret", CLIENT_SECRET, SecretKind.OIDC_CLIENT)
    return folder


@pytest.fixture(scope="module")
def process(state, provider):
    """The pages, whose client's secret is an encrypted file."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (state / "davylamp.toml").write_text(settings_text(state, provider.issuer, port))
    made = start(state / "davylamp.toml")
    made.words = made.stdout.readline().split(" ", 2)
    assert made.words[:2] == ["ready", "dashboards"], made.stderr.read()
    made.url = f"http://127.0.0.1:{json.loads(made.words[2])['port']}"
    provider.redirect_uri = f"{made.url}/signin/callback"
    yield made
    made.kill()
    made.communicate()


@pytest.fixture
def pages(process, provider):
    """The pages' address; the provider is as it should be."""
    provider.reset()
    return process.url


def signed_in(browser, pages):
    status, body, way = browser.follow(f"{pages}/signin")
    assert status == 200, body
    return way


def me(browser, pages):
    status, _, body = browser.get(f"{pages}/signin/me")
    return json.loads(body) if status == 200 else status


# --- the way in and out -------------------------------------------------------------------------


def test_somebody_signs_in_and_comes_to_the_page_they_wanted(pages, provider, browser):
    """By the provider, with PKCE, state and nonce; no code or token stays in an address."""
    status, body, way = browser.follow(f"{pages}/service/play%20back?w=1h")
    assert (status, way[-1]) == (200, f"{pages}/service/play%20back?w=1h")
    assert "<footer>" in body
    assert [urllib.parse.urlsplit(one).path for one in way] == [
        "/service/play%20back", "/signin", "/authorize", "/signin/callback", "/service/play%20back",
    ]  # fmt: skip
    assert browser.get(f"{pages}/_dash-layout")[0] == 200
    told = me(browser, pages)
    assert (told["name"], told["scopes"]) == ("ada@example.com", ["admin", "read"])
    assert abs(told["ends_unix_s"] - time.time() - 28_800) < 120
    assert "Sign out" in browser.get(f"{pages}/_dash-layout")[2]


def test_the_cookie_is_for_us_alone(pages, provider, browser):
    """No script reads it, no other site's form sends it, nobody reads what is in it."""
    signed_in(browser, pages)
    session = next(one for one in browser.set_cookies if one.startswith("davylamp_session="))
    for word in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=28800"):
        assert word in session.split("; ")
    value = session.partition("=")[2].partition(";")[0]
    raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    assert b"ada" not in raw
    assert set(browser.cookies) == {"davylamp_session"}


def test_a_changed_or_foreign_cookie_lets_nobody_in(pages, provider, browser):
    """One character, another kind's content, another key."""
    browser.get(f"{pages}/signin")
    attempt = browser.cookies["davylamp_signin"]
    signed_in(browser, pages)
    whole = browser.cookies["davylamp_session"]
    middle = len(whole) // 2
    other = "A" if whole[middle] != "A" else "B"
    for value in (whole[:middle] + other + whole[middle + 1 :], attempt, "", "x", whole[:-8]):
        browser.cookies = {"davylamp_session": value}
        assert browser.get(f"{pages}/")[0] == 302
        assert browser.get(f"{pages}/_dash-layout", accept="application/json")[0] == 401


def test_signing_out_ends_the_session_wherever_a_copy_of_it_is(pages, provider, browser):
    """A link alone does not; a post does."""
    signed_in(browser, pages)
    copy = dict(browser.cookies)
    status, headers, body = browser.get(f"{pages}/signout")
    assert (status, "ada@example.com" in body) == (200, True)
    assert "form-action 'self'" in headers["Content-Security-Policy"]
    assert browser.get(f"{pages}/")[0] == 200
    status, _, body = browser.post(f"{pages}/signout")
    assert (status, "You are signed out" in body) == (200, True)
    assert browser.cookies == {}
    browser.cookies = copy
    assert browser.get(f"{pages}/")[0] == 302
    assert me(browser, pages) == 401


def test_programs_show_tokens_as_before(pages, provider, browser):
    """Parts of pages get a plain 401 that opens no dialogue; probes are open."""
    assert browser.get(f"{pages}/", authorization=f"Bearer {OWNER}")[0] == 200
    basic = base64.b64encode(f"x:{OWNER}".encode()).decode()
    assert browser.get(f"{pages}/", authorization=f"Basic {basic}")[0] == 200
    status, headers, _ = browser.get(f"{pages}/metrics", accept="*/*")
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert browser.get(f"{pages}/healthz")[0] == 200
    signed_in(browser, pages)
    # A wrong token is told, not covered up by the cookie beside it.
    assert browser.get(f"{pages}/", authorization="Bearer wrong")[0] == 401


def test_nobody_is_sent_elsewhere_after_signing_in(pages, provider, browser):
    """An address of ours, or the first page."""
    for wanted in ("https://evil.example/", "//evil.example", "/\\evil.example", "/nope", "",
                   "javascript:alert(1)", "/signout"):  # fmt: skip
        browser.cookies = {}
        status, _, way = browser.follow(f"{pages}/signin?next={urllib.parse.quote(wanted)}")
        assert (status, way[-1]) == (200, f"{pages}/"), wanted


def test_somebody_makes_a_token_that_the_other_processes_know(pages, state, provider, browser):
    """Asked first; shown once; named after the person whom the provider knows."""
    status, body, way = browser.follow(f"{pages}/signin/token")
    assert (status, way[-1]) == (200, f"{pages}/signin/token"), way
    assert "It allows admin and read" in body
    assert not (state / "secrets" / "tokens.json").exists()
    status, headers, body = browser.post(f"{pages}/signin/token")
    assert (status, headers["cache-control"]) == (200, "no-store")
    text = body.partition("<code>")[2].partition("</code>")[0]
    config = AccessConfig(True, state / "secrets" / "tokens.json", state / "none")
    caller = AccessDesk(config, SystemClock()).caller(f"Bearer {text}")
    assert (caller.name, sorted(caller.scopes)) == ("ada@example.com", ["admin", "read"])
    browser.cookies = {}
    assert browser.get(f"{pages}/", authorization=f"Bearer {text}")[0] == 200
    provider.claims = {"sub": "u-1", "groups": ["sre"]}
    signed_in(browser, pages)
    status, _, body = browser.post(f"{pages}/signin/token")
    assert (status, "an address that the provider has verified" in body) == (403, True)


# --- who is let in --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"email": "ADA@EXAMPLE.COM", "email_verified": True}, ["admin", "read"]),
        ({"email": "bob@staff.example", "email_verified": True}, ["read"]),
        ({"groups": ["sre", "other"]}, ["read"]),
        ({"groups": "sre"}, ["read"]),
        ({"email": "ada@example.com"}, None),
        ({"email": "ada@example.com", "email_verified": False}, None),
        ({"email": "ada@example.com", "email_verified": "true"}, None),
        ({"email": "eve@example.com", "email_verified": True}, None),
        ({"email": "eve@staff.example.evil.example", "email_verified": True}, None),
        ({"email": "bob@evil.example@x.staff.example", "email_verified": True}, None),
        ({"groups": ["SRE", "group:sre"]}, None),
        ({"groups": {"sre": 1}}, None),
        ({"email": ["ada@example.com"], "email_verified": True}, None),
        ({}, None),
    ],
)
def test_who_is_let_in(pages, provider, browser, claims, scopes):
    """An address only if the provider has verified it; everybody else is told in words."""
    provider.claims = {"sub": "u-1", **claims}
    status, body, _ = browser.follow(f"{pages}/signin")
    if scopes is None:
        assert status == 403
        assert "is nobody who may read these pages" in body
        assert me(browser, pages) == 401
        assert browser.cookies == {}
    else:
        assert status == 200
        assert me(browser, pages)["scopes"] == scopes


def test_a_thin_token_is_filled_from_userinfo_about_the_same_person(pages, provider, browser):
    """Some providers keep groups there; another person's are refused."""
    provider.claims = {"sub": "u-1"}
    provider.userinfo = {"sub": "u-1", "groups": ["sre"]}
    signed_in(browser, pages)
    assert me(browser, pages)["scopes"] == ["read"]
    browser.cookies = {}
    provider.userinfo = {"sub": "u-2", "groups": ["sre"]}
    status, body, _ = browser.follow(f"{pages}/signin")
    assert (status, "userinfo is about somebody else" in body) == (400, True)


# --- what is refused ------------------------------------------------------------------------------

STRANGER = RSAKey.generate_key(2048, {"kid": "one"}, auto_kid=False)


def unsigned(claims):
    """As ``alg: none`` has it."""
    parts = [json.dumps(one).encode() for one in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts) + "."


def with_our_secret(claims):
    """HS256 under what the client knows, too."""
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET + "x" * 16))


def by_a_stranger(claims):
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, STRANGER)


def with_unknown_key(claims):
    return jwt.encode({"alg": "RS256", "kid": "two"}, claims, STRANGER)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"nonce": "another"}, "nonce of the ID token is not ours"),
        ({"nonce": None}, "nonce of the ID token is missing"),
        ({"aud": "another"}, "aud of the ID token is not ours"),
        ({"aud": ["another"]}, "aud of the ID token is not ours"),
        ({"aud": ["davylamp-pages", "another"]}, "azp of the ID token is missing"),
        ({"azp": "another"}, "azp of the ID token is not ours"),
        ({"iss": "https://evil.example"}, "iss of the ID token is not ours"),
        ({"exp": int(time.time()) - 3_600}, "the ID token has expired"),
        ({"exp": None}, "exp of the ID token is missing"),
        ({"sub": None}, "sub of the ID token is missing"),
        ({"sub": ""}, "sub of the ID token"),
        ({"iat": int(time.time()) + 3_600}, "ID token"),
        ({"at_hash": "AAAA"}, "at_hash of the ID token is not ours"),
    ],
    ids=itertools.count(),
)
def test_a_token_that_is_not_for_us_now_is_refused_in_words(
    pages, provider, browser, changed, words
):
    """Signed by the right provider, but wrong."""
    provider.changed = changed
    status, body, _ = browser.follow(f"{pages}/signin")
    assert (status, words in body) == (400, True), body
    assert me(browser, pages) == 401


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (unsigned, "the ID token cannot be read"),
        (with_our_secret, "the ID token cannot be read"),
        (by_a_stranger, "not signed by the provider"),
        (with_unknown_key, "not signed by the provider"),
        (lambda _: "a.b.c", "the ID token cannot be read"),
        (lambda _: "", "the ID token cannot be read"),
    ],
    ids=itertools.count(),
)
def test_a_token_that_the_provider_did_not_sign_is_refused(pages, provider, browser, make, words):
    """Also one that says it needs no signature, and one signed with the client's own secret."""
    provider.make = make
    status, body, _ = browser.follow(f"{pages}/signin")
    assert (status, words in body) == (400, True), body
    assert me(browser, pages) == 401


def test_a_key_that_is_new_is_asked_for_once(pages, provider, browser):
    """Providers change keys without telling."""
    signed_in(browser, pages)
    provider.keys.insert(0, RSAKey.generate_key(2048, {"kid": "new"}, auto_kid=False))
    provider.make = lambda claims: jwt.encode(
        {"alg": "RS256", "kid": "new"}, claims, provider.keys[0]
    )
    browser.cookies, provider.asked = {}, []
    signed_in(browser, pages)
    assert provider.asked.count("/jwks") == 1
    provider.keys.pop(0)


def test_an_answer_for_another_browser_is_refused(pages, provider, browser):
    """Bad state, no state, another's cookie, an attempt that was used up, a code of another."""
    way = browser.follow(f"{pages}/signin")[2]
    callback = way[-2]
    assert browser.get(callback)[0] == 400  # the cookie is gone
    browser.cookies = {}
    status, _, body = browser.get(callback)
    assert (status, "has not begun to sign in" in body) == (400, True)
    browser.get(f"{pages}/signin")
    cookies = dict(browser.cookies)
    status, _, body = browser.get(callback)
    assert (status, "state is not that of this browser" in body) == (400, True)
    browser.cookies = dict(cookies)
    status, _, body = browser.get(f"{pages}/signin/callback?code=x")
    assert (status, "state is not that" in body) == (400, True)
    browser.cookies = dict(cookies)
    status, _, body = browser.get(f"{pages}/signin/callback?state=a&state=b")
    assert (status, "says something twice" in body) == (400, True)
    assert me(browser, pages) == 401


def test_a_stolen_code_is_of_no_use(pages, provider, browser):
    """Its verifier is in the other browser; so the provider refuses it."""
    start_of = browser.get(f"{pages}/signin")[1]["location"]
    victims = dict(browser.cookies)
    stolen = browser.get(start_of)[1]["location"]
    code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(stolen).query))["code"]
    browser.cookies = {}
    mine = dict(urllib.parse.parse_qsl(browser.get(f"{pages}/signin")[1]["location"]))
    assert victims != browser.cookies
    status, _, body = browser.get(f"{pages}/signin/callback?code={code}&state={mine['state']}")
    assert (status, "the provider refuses the code: invalid_grant" in body) == (400, True)


def test_what_the_provider_refuses_is_told(pages, provider, browser):
    """Its word, as text."""
    provider.refusal = "<b>access_denied</b>"
    status, body, _ = browser.follow(f"{pages}/signin")
    assert status == 400
    assert "&lt;b&gt;access_denied" in body
    assert "<b>access" not in body
    assert browser.cookies == {}


def test_no_secret_is_shown(process, pages, provider, browser):
    """Not on pages, not in cookies' headers, not in addresses."""
    provider.changed = {"nonce": "another"}
    browser.follow(f"{pages}/signin")
    provider.reset()
    _, body, way = browser.follow(f"{pages}/signin")
    shown = [body, *way, *browser.set_cookies, browser.get(f"{pages}/metrics")[2]]
    for secret in (CLIENT_SECRET, urllib.parse.quote_plus(CLIENT_SECRET), OWNER, "at-1", "u-1"):
        assert not any(secret in text for text in shown), secret


# --- what does not start, and a provider that is not well -----------------------------------------


def test_a_provider_that_is_somebody_else_or_away_is_told(state, provider, tmp_path):
    """Another issuer, an endpoint without TLS, nobody there: 502, and the pages stay closed."""
    provider.reset()

    async def begin(issuer, discovery):
        file = tmp_path / "davylamp.toml"
        file.write_text(settings_text(state, issuer, 8050))
        provider.discovery = discovery
        flow = SignInFlow(dashboards_config(load_settings([file], {})).oidc, SystemClock())
        return await flow.begin("/")

    for issuer, discovery, words in (
        (provider.issuer, {"issuer": "https://evil.example"}, "calls itself"),
        (provider.issuer, {"token_endpoint": "http://evil.example/t"}, "token_endpoint"),
        (provider.issuer, {"jwks_uri": None}, "jwks_uri"),
        (provider.url, {}, "answers 404"),
        ("http://127.0.0.1:9", {}, "cannot be asked"),
    ):
        with pytest.raises(ProviderError, match=words):
            asyncio.run(begin(issuer, discovery))
    assert asyncio.run(begin(provider.issuer, {}))[0].startswith(f"{provider.url}/authorize?")
    provider.reset()
