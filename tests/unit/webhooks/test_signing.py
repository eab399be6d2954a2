"""Signing gives what verifiers expect, ours and the reference one; bad secrets are told kindly."""

from __future__ import annotations

import pytest
from standardwebhooks.webhooks import Webhook

from analysis.errors import SecretError
from analysis.webhooks.signing import headers, parse_secret, read_secrets, sign

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
