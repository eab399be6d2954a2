"""Whatever arrives, the verifier answers with a verdict; whatever was hinted, time is kept."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.webhooks.outcome import of_status
from analysis.webhooks.schedule import next_due, parse_retry_after
from analysis.webhooks.signing import headers, public_keys
from analysis.webhooks.verify import VerificationError, verify

NOW_S = 1_735_689_600
NOW = NOW_S * 10**9
keys = st.binary(min_size=24, max_size=64)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
bodies = st.binary(max_size=300)


def secret(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def is_genuine(sent, body, secrets, now_s=NOW_S):
    try:
        verify(sent, body, secrets, now_s)
    except VerificationError:
        return False
    return True


@given(st.lists(keys, min_size=1, max_size=4, unique=True), ids, bodies, st.integers(-300, 300))
def test_what_we_sign_verifies_with_each_key(several, webhook_id, body, age_s):
    """Any id, any bytes, any of the keys, anywhere within the tolerance."""
    sent = headers(several, webhook_id, NOW_S - age_s, body)
    assert all(is_genuine(sent, body, [secret(key)]) for key in several)


@given(keys, ids, st.binary(min_size=1, max_size=300), st.data())
def test_one_changed_bit_is_noticed(key, webhook_id, body, data):
    """In the body, the id, the time or the signature."""
    sent = headers([key], webhook_id, NOW_S, body)
    place = data.draw(st.sampled_from(["body", *sent]))
    if place == "body":
        changed = bytearray(body)
        changed[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        assert not is_genuine(sent, bytes(changed), [secret(key)])
        return
    text = sent[place]
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(exclude_characters=text[at]))
    sent[place] = text[:at] + other + text[at + 1 :]
    # The last character before the padding carries unused bits: decoders may ignore them.
    is_spare_bits = place == "webhook-signature" and at >= len(text) - 2
    assert is_spare_bits or not is_genuine(sent, body, [secret(key)])


@given(keys, keys, ids, bodies)
def test_another_key_does_not_verify(key, other, webhook_id, body):
    """Nobody without the secret can sign."""
    sent = headers([key], webhook_id, NOW_S, body)
    assert is_genuine(sent, body, [secret(other)]) is (key == other)


@given(
    st.dictionaries(
        st.sampled_from(["webhook-id", "Webhook-Timestamp", "WEBHOOK-SIGNATURE", "x"]), st.text()
    ),
    bodies,
    st.lists(st.text(max_size=80), max_size=3),
)
@example({"webhook-id": "m", "Webhook-Timestamp": "9" * 400, "WEBHOOK-SIGNATURE": "v1,"}, b"", [""])
def test_rubbish_is_refused_and_never_raises_anything_else(sent, body, secrets):
    """Only VerificationError ever comes out."""
    assert not is_genuine(sent, body, secrets)


@given(st.integers(0, 10**6), st.one_of(st.none(), st.floats(0, 1e12)), st.integers(1, 3600))
def test_a_retry_is_later_than_now_and_never_past_the_end(attempts, hint_s, left_s):
    """Due lies in [now, end]; equal to the end means never."""
    end = NOW + left_s * 10**9
    due = next_due(attempts, NOW, end, hint_s, np.random.default_rng(0))
    assert NOW <= due <= end
    if attempts >= 1 and due < end:
        assert due - NOW >= 0.8 * 10**9


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[0-9]{1,30}", fullmatch=True)))
def test_any_retry_after_is_read_or_ignored(value):
    """A number between 0 and an hour, or None; never an exception."""
    hint_s = parse_retry_after(value, NOW)
    assert hint_s is None or 0 <= hint_s <= 3600


@given(st.integers(-1, 2000))
def test_any_number_has_a_consequence(status):
    """Also numbers that are no HTTP statuses."""
    assert of_status(status).reason


@given(
    seed=st.binary(min_size=32, max_size=32), body=st.binary(max_size=200), flip=st.integers(0, 511)
)
@settings(max_examples=20, deadline=None)
def test_ed25519_agrees_with_openssl(seed, body, flip):
    """What OpenSSL signs we accept; with any bit of the signature flipped both refuse."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    sent = headers([key], "msg_1", 1_735_689_600, body)
    (public,) = public_keys([key])
    verify(sent, body, [public], 1_735_689_600)
    raw = bytearray(base64.b64decode(sent["webhook-signature"].removeprefix("v1a,")))
    raw[flip // 8] ^= 1 << flip % 8
    sent["webhook-signature"] = "v1a," + base64.b64encode(raw).decode()
    with pytest.raises(InvalidSignature):
        key.public_key().verify(bytes(raw), b"msg_1.1735689600." + body)
    with pytest.raises(VerificationError):
        verify(sent, body, [public], 1_735_689_600)
