"""Signing gives what verifiers expect, ours and the reference one; bad secrets are told kindly."""

from __future__ import annotations

import base64

import pytest
from standardwebhooks.webhooks import Webhook

from analysis.errors import SecretError
from analysis.webhooks.signing import headers, parse_secret, public_keys, read_secrets, sign
from analysis.webhooks.verify import VerificationError, verify

KEY = bytes(range(32))
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OLD = "whsec_" + "A" * 43 + "="


@pytest.mark.parametrize(
    ("secret", "webhook_id", "timestamp", "body", "expected"),
    [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (SECRET, "msg_empty_object", 1_735_689_600, b"{}",
         "v1,koRc2d0b9bMZSWVoRCqVH4S5RFl6kHDPFXKLRZwQ1FY="),
        (SECRET, "msg_zero", 1_735_689_600, b"",
         "v1,IwcJtzmkecHhbp/z+9esLfZW+XBAO0I8cRH4+VkyVXI="),
        (SECRET, "msg_binary", 1_735_689_600, b"\xff\xfe\x00\x80",
         "v1,z68caOf38+6C/savG13mcjmjJx7QCFi+9HQUOW86Y1s="),
        (SECRET, "msg_t0", 0, b"{}", "v1,tBtepDynH7a7zsomqIeMW+gBY/2TNX0/17AH/8v0CEQ="),
    ],
)  # fmt: skip
def test_published_and_computed_vectors(secret, webhook_id, timestamp, body, expected):
    """A retyped core of the signing vectors."""
    assert sign([parse_secret(secret)], webhook_id, timestamp, body) == expected


def test_the_newest_key_signs_first():
    """One signature per key, in the order of the file."""
    both = sign([KEY, bytes(32)], "msg_1", 5, b"x").split(" ")
    assert both == [sign([KEY], "msg_1", 5, b"x"), sign([bytes(32)], "msg_1", 5, b"x")]


def test_the_reference_library_accepts_our_headers():
    """standardwebhooks verifies what we send, with the new secret and with the old one."""
    import time

    now = int(time.time())
    sent = headers([KEY, bytes(32)], "msg_1", now, b'{"a": 1}')
    assert Webhook(SECRET).verify(b'{"a": 1}', sent) == {"a": 1}
    assert Webhook(OLD).verify(b'{"a": 1}', sent) == {"a": 1}


def test_a_secret_file_is_read_newest_first(tmp_path):
    """One secret a line; blank lines do not matter."""
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n\n{OLD}\n")
    assert read_secrets(path) == (KEY, bytes(32))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds 0 secrets"),
        (f"{SECRET}\n".encode() * 5, "holds 5 secrets"),
        (b"whsec_%%%%", "not base64"),
        (b"whsec_AAAA", "has 3 bytes, accepted: 24 to 64"),
        (b"whsec_" + b"A" * 88, "has 66 bytes"),
        ("whsec_é".encode(), "not ASCII"),
    ],
)
def test_a_bad_secret_file_is_refused_without_being_shown(tmp_path, content, why):
    """The message says what is wrong and repeats none of the file."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SecretError, match=why) as refused:
        read_secrets(path)
    assert "AAAA" not in str(refused.value)
    assert "%%" not in str(refused.value)


def test_an_absent_secret_file_is_named(tmp_path):
    """The path and the operating system's word."""
    with pytest.raises(SecretError, match="absent cannot be read: No such file"):
        read_secrets(tmp_path / "absent")


SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
WHPK = "whpk_" + base64.b64encode(PUBLIC).decode()


def whsk(raw):
    return "whsk_" + base64.b64encode(raw).decode()


@pytest.mark.parametrize("raw", [SEED, SEED + PUBLIC])
def test_a_private_key_in_both_forms_signs_what_its_public_key_verifies(raw):
    """RFC 8032 test 1's key; the receiver's code is our own, the signer's OpenSSL's."""
    key = parse_secret(whsk(raw))
    sent = headers([key, KEY], "msg_1", 1_735_689_600, b"{}")
    assert public_keys([KEY, key]) == (WHPK,)
    assert [e.split(",")[0] for e in sent["webhook-signature"].split(" ")] == ["v1a", "v1"]
    verify(sent, b"{}", [WHPK], 1_735_689_600)
    with pytest.raises(VerificationError):
        verify(sent, b"{ }", [WHPK], 1_735_689_600)


@pytest.mark.parametrize(
    ("raw", "words"),
    [(SEED[:-1], "31 bytes"), (SEED + SEED, "does not belong"), (b"", "0 bytes")],
)
def test_a_broken_private_key_is_refused_without_showing_it(raw, words):
    """Its text never reaches a log."""
    with pytest.raises(SecretError, match=words) as caught:
        parse_secret(whsk(raw))
    assert base64.b64encode(raw).decode() not in str(caught.value) or not raw
