"""The receiver's verifier: a retyped core of the vectors, its limits, and its lightness.

The values were computed by two independent routes (stdlib hmac, standardwebhooks 1.1.0); the
first signing vector is printed in the Standard Webhooks test suite.
"""

from __future__ import annotations

import ast
import base64
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.webhooks import verify as module
from analysis.webhooks.signing import sign
from analysis.webhooks.verify import VerificationError, verify

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KEY = bytes(range(32))
NEW_SECRET = "whsec_" + "A" * 43 + "="
NOW = 1_735_689_610
ID = "msg_01JGFJJZ00000000000000000A"
BODY = (
    b'{"type":"davylamp.rollback.requested.v1","timestamp":"2025-01-01T00:00:00Z",'
    b'"data":{"decision_id":"dec_01JGFJJZ00000000000000000A","service":"playback",'
    b'"environment":"prod","canary_version":"1.4.2","target_version":"1.4.1"}}'
)
GOOD = "v1,ZWm/CAE3jbD9Sm7Ey7lbs2e9yqYB6/9bLX0tWZdvwgs="
OTHER = "v1,08qf/YVIcxMBjZHCM4DgY7mwg1sS8Rt8sHCJy4Fj9VA="


def headers(timestamp="1735689600", signature=GOOD, webhook_id=ID):
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }


ACCEPTED = [
    ("good", headers(), BODY),
    ("300 s old", headers("1735689310", "v1,dWdo01P0I/SpAlaAItHC7NveUebizVGWqrIM8guPFrM="), BODY),
    ("300 s ahead", headers("1735689910", "v1,c6fyIJwaBYDCPFt79VHseGAbAHH7CVLKueWJvlnXBxI="), BODY),
    ("rotated", headers(signature=f"{OTHER} {GOOD}"), BODY),
    ("unknown version first", headers(signature=f"v2,AAAA {GOOD}"), BODY),
    ("no comma first", headers(signature=f"garbage {GOOD}"), BODY),
    ("two spaces", headers(signature=f"v1,AAAA  {GOOD}"), BODY),
    ("any case", {name.upper(): value for name, value in headers().items()}, BODY),
    (
        "not UTF-8",
        headers(signature="v1,eSiX7D/I15O4qT3eJj3OaqpUI0x+WyOqEsvwdrWH4MY="),
        b"\xff\xfe",
    ),
    ("empty", headers(signature="v1,AKlEx0LFAxwV8lPJ95dhy/qucCr/kOz17FhMXzhuNIk="), b""),
]

REFUSED = [
    ("301 s old", headers("1735689309", "v1,D/Iz0HnVln93KU0r1g1QmjF/KSvp3vtEXzEujhb+3ww="), "old"),
    (
        "301 s ahead",
        headers("1735689911", "v1,osuBIYBZbw1qOf7NaYOP54JTHkcus4FKvqIjLGnVA+E="),
        "old",
    ),
    ("fraction", headers("1735689600.5"), "decimal"),
    ("space", headers(" 1735689600"), "decimal"),
    ("underscores", headers("1_735_689_600"), "decimal"),
    ("full width", headers("１７３５６８９６００"), "decimal"),
    ("leading zero", headers("01735689600"), "decimal"),
    ("newline", headers("1735689600\n"), "decimal"),
    ("full stop in the id", headers(webhook_id="a.1"), "webhook-id"),
    ("other id", headers(webhook_id="msg_other"), "matches"),
    ("wrong key", headers(signature=OTHER), "matches"),
    ("two commas", headers(signature="v1,a,b"), "matches"),
    ("bad base64", headers(signature="v1,abc"), "matches"),
    ("junk in base64", headers(signature=GOOD.replace("v1,", "v1,!")), "matches"),
    ("truncated", headers(signature=GOOD[:-8]), "matches"),
    ("17th entry", headers(signature=" ".join([OTHER] * 16 + [GOOD])), "matches"),
    ("no signature", headers(signature=""), "matches"),
]


@pytest.mark.parametrize(("name", "sent", "body"), ACCEPTED, ids=[c[0] for c in ACCEPTED])
def test_genuine_messages_are_accepted(name, sent, body):
    """Good signatures pass whatever stands beside them."""
    verify(sent, body, [SECRET], NOW)


@pytest.mark.parametrize(("name", "sent", "why"), REFUSED, ids=[c[0] for c in REFUSED])
def test_everything_else_is_refused(name, sent, why):
    """Each fault is refused for its own reason."""
    with pytest.raises(VerificationError, match=why):
        verify(sent, BODY, [SECRET], NOW)


def test_the_published_vector():
    """The first vector of the Standard Webhooks test suite, 2021."""
    sent = headers(
        "1614265330",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
    )
    body = b'{"test": 2432232314}'
    verify(sent, body, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], 1_614_265_330)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(missing):
    """All three headers are needed."""
    sent = {name: value for name, value in headers().items() if name != missing}
    with pytest.raises(VerificationError, match=f"{missing} is missing"):
        verify(sent, BODY, [SECRET], NOW)


def test_two_different_values_of_one_header_are_refused():
    """Whoever chose between them would choose for the attacker."""
    with pytest.raises(VerificationError, match="webhook-id is ambiguous"):
        verify({**headers(), "Webhook-Id": "msg_other"}, BODY, [SECRET], NOW)


def test_any_of_several_secrets_will_do():
    """During a rotation old and new secret both verify, in any order."""
    verify(headers(), BODY, [NEW_SECRET, SECRET], NOW)
    verify(headers(), BODY, [SECRET, NEW_SECRET], NOW)
    both = sign([bytes(32), KEY], ID, 1_735_689_600, BODY)
    verify(headers(signature=both), BODY, [NEW_SECRET], NOW)
    verify(headers(signature=both), BODY, [SECRET], NOW)


def test_without_secrets_nothing_is_genuine():
    """An empty list of secrets, an empty secret and a malformed one all refuse."""
    for secrets, why in (([], "no secret"), ([""], "empty"), (["whsec_$$"], "not base64")):
        with pytest.raises(VerificationError, match=why) as refused:
            verify(headers(), BODY, secrets, NOW)
        assert "$$" not in str(refused.value)


def test_an_hmac_of_an_empty_key_is_not_accepted():
    """Signing with nothing must not verify with nothing."""
    forged = headers(signature=sign([b""], ID, 1_735_689_600, BODY))
    with pytest.raises(VerificationError):
        verify(forged, BODY, ["whsec_"], NOW)


def test_the_verifier_is_one_file_of_standard_library(tmp_path):
    """Copied elsewhere it works alone: no import of ours or of anybody else's."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module]
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in names)
    (tmp_path / "copied.py").write_text(source)
    code = f"import copied; copied.verify({headers()!r}, {BODY!r}, [{SECRET!r}], {NOW})"
    # -S: without site-packages; -E: without PYTHONPATH.
    subprocess.run([sys.executable, "-S", "-E", "-c", code], cwd=tmp_path, check=True)


def test_importing_the_verifier_loads_nothing_heavy():
    """Through the package it costs the standard library only."""
    code = (
        "import sys; import analysis.webhooks.verify; "
        "sys.exit(bool({'numpy', 'sqlalchemy', 'aiohttp', 'fastapi'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=True)


WHPK = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
ASYMMETRIC = (
    "v1a,UXba/w0z2ah6VWQewjevZrQ/bqeau7Sr+6WWROWXyll+hJenFXxqyEfdSfg1YZRjdJWmMAuYtxTcaF2/+/QfBA=="
)


def test_a_public_key_verifies_beside_shared_secrets():
    """The published rotation header: any one key of the receiver is enough."""
    sent = headers(signature=f"{OTHER} {GOOD} {ASYMMETRIC}")
    for keys in ([WHPK], [SECRET], [NEW_SECRET, WHPK]):
        verify(sent, BODY, keys, NOW)
    with pytest.raises(VerificationError, match="no signature"):
        verify(headers(signature=GOOD), BODY, [WHPK], NOW)
    with pytest.raises(VerificationError, match="no signature"):
        verify(sent, BODY + b" ", [WHPK, SECRET], NOW)


def test_a_public_key_of_small_order_verifies_nothing():
    """With the neutral point as key, R = neutral and S = 0 would fit every message."""
    neutral = (1).to_bytes(32, "little")
    forged = "v1a," + base64.b64encode(neutral + bytes(32)).decode()
    key = "whpk_" + base64.b64encode(neutral).decode()
    with pytest.raises(VerificationError, match="no signature"):
        verify(headers(signature=forged), BODY, [key], NOW)


@pytest.mark.parametrize("text", ["whpk_AAAA", "whpk_", "whpk_!"])
def test_a_broken_public_key_is_an_error_of_the_receiver_told_plainly(text):
    """Not "no signature matches": the operator must see what to mend."""
    with pytest.raises(VerificationError, match=r"32 bytes|base64"):
        verify(headers(), BODY, [text], NOW)
