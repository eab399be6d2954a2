"""Settings of signing in: what cannot work is refused before anything starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from collector.access.sealed import SealingKey
from dashboards.signin.config import check, is_trusted_url
from dashboards.signin.errors import SignInSettingsError
from dashboards.signin.flow import SignInFlow
from dashboards.signin.keeping import cookies
from davylamp.config import dashboards_config, load_settings
from telemetry.clock import FixedClock

GOOD = replace(
    dashboards_config(load_settings(environ={})).oidc,
    issuer="https://login.example/realms/x",
    client_id="lamp",
    allowed=("@example.com=read",),
    public_url="https://lamp.example",
)


def test_the_shipped_settings_let_nobody_sign_in():
    off = dashboards_config(load_settings(environ={})).oidc
    assert not off.is_on
    check(off, is_access_required=False)
    assert off.public_url == "http://127.0.0.1:8050"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"issuer": "http://login.example"}, "issuer = .*accepted: https"),
        ({"issuer": "login.example"}, "issuer"),
        ({"issuer": "https://user:pw@login.example"}, "issuer"),
        ({"issuer": "https://login.example?x=1"}, "issuer"),
        ({"issuer": "https://login.example:port"}, "issuer"),
        ({"public_url": "http://lamp.example"}, "public_url"),
        ({"public_url": "https://lamp.example/under"}, "without a path"),
        ({"client_id": ""}, "client_id is empty"),
        ({"groups_claim": ""}, "groups_claim"),
        ({"session_s": 0.0}, "session_s = 0.0"),
        ({"session_s": 1e9}, "session_s"),
        ({"session_s": float("nan")}, "session_s"),
        ({"allowed": ()}, "allowed is empty"),
        ({"allowed": ("*=read",)}, "accepted: ada@example.com"),
        ({"allowed": ("ada@example.com",)}, "then =read or =admin"),
        ({"allowed": ("ada@example.com=deploy",)}, "then =read or =admin"),
        ({"allowed": ("group:=read",)}, "group:name"),
        ({"allowed": ("@x=read",) * 501}, "at most 500"),
    ],
)
def test_what_cannot_work_is_named(changes, words):
    with pytest.raises(SignInSettingsError, match=words):
        check(replace(GOOD, **changes), is_access_required=True)


def test_it_needs_a_closed_door():
    """Where nobody must sign in, signing in would only look like safety."""
    check(GOOD, is_access_required=True)
    with pytest.raises(SignInSettingsError, match=r"\[access\] required = true"):
        check(GOOD, is_access_required=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:5556/dex", "http://[::1]:1", "https://x"])
def test_a_port_of_this_machine_needs_no_tls(url):
    assert is_trusted_url(url)


def test_files_that_cannot_be_read_stop_the_start(tmp_path):
    """The client's secret, the authority's file, the key of sessions; never what is in them."""
    for name, value in (
        ("client_secret_file", str(tmp_path / "none")),
        ("ca_file", str(tmp_path / "none")),
    ):
        with pytest.raises(SignInSettingsError, match=f"{name}.*none.*No such file"):
            SignInFlow(replace(GOOD, **{name: value}), FixedClock())
    with pytest.raises(SignInSettingsError, match=r"sessions have no key: .*No such file"):
        cookies(replace(GOOD, session_key_file=tmp_path / "none"))
    (tmp_path / "plain").write_text("the client's own")
    strict = replace(
        GOOD, client_secret_file=str(tmp_path / "plain"), secrets_must_be_encrypted=True
    )
    with pytest.raises(SignInSettingsError, match="is not encrypted") as refused:
        SignInFlow(strict, FixedClock())
    assert "own" not in str(refused.value)


def test_behind_tls_cookies_insist_on_it(tmp_path: Path):
    """And on this very host."""
    (tmp_path / "key").write_text(SealingKey(b"s" * 32).to_text())
    session, attempt = cookies(replace(GOOD, session_key_file=tmp_path / "key"))
    assert session.made({}, 0.0, 60.0).startswith("__Host-davylamp_session=")
    for one in (session, attempt):
        assert one.made({}, 0.0, 60.0).endswith("; HttpOnly; SameSite=Lax; Secure")
