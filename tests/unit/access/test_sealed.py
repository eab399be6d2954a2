"""A sealed secret opens with its key for its purpose, and with nothing else."""

from __future__ import annotations

import base64
import os

import pytest

from collector.access.errors import SealedError
from collector.access.sealed import PREFIX, SealingKey, is_sealed, parse_keys, seal, unseal

KEY = SealingKey(bytes(range(32)))
OTHER = SealingKey(bytes(32))
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def sealed(secret=SECRET, key=KEY, purpose="signing/a"):
    return seal(secret, key, purpose, os.urandom(12))


def test_what_is_sealed_opens_again_and_no_two_are_alike():
    """Also beside keys that come and go."""
    one, two = sealed(), sealed()
    assert one != two
    assert one.startswith(PREFIX)
    assert is_sealed(one)
    assert not is_sealed(SECRET)
    assert SECRET not in base64.b64decode(one.removeprefix(PREFIX)).decode("latin-1")
    assert unseal(f"{one}\n", [OTHER, KEY], "signing/a") == (SECRET, KEY)


def test_the_published_vector_of_the_cipher():
    """AES-256-GCM as NIST's test case 14 has it, so that other programs can read the files."""
    zero = SealingKey(bytes(32))
    text = seal("\0" * 16, zero, "", bytes(12))
    raw = base64.b64decode(text.removeprefix(PREFIX))
    assert raw[4:16] == bytes(12)
    # The tag differs from NIST's: theirs has no associated data.
    assert raw[16:32].hex() == "cea7403d4d606b6e074ec5d3baf39d18"


@pytest.mark.parametrize(
    ("keys", "purpose", "why"),
    [
        ([], "signing/a", f"under the key {KEY.key_id}, and there is no key"),
        ([OTHER], "signing/a", f"under the key {KEY.key_id}; at hand: {OTHER.key_id}"),
        ([KEY], "signing/b", "for another file or another use"),
        ([KEY], "routing/a", "for another file or another use"),
    ],
)
def test_a_wrong_key_or_purpose_is_told_apart(keys, purpose, why):
    """And neither secret nor key is in the message."""
    with pytest.raises(SealedError, match=why) as refused:
        unseal(sealed(), keys, purpose)
    for hidden in (SECRET, KEY.to_text(), OTHER.to_text()):
        assert hidden not in str(refused.value)


def test_every_changed_bit_is_found():
    """Wherever it lies: key id, nonce, ciphertext, tag."""
    raw = base64.b64decode(sealed().removeprefix(PREFIX))
    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(SealedError):
            unseal(PREFIX + base64.b64encode(changed).decode(), [KEY], "signing/a")


@pytest.mark.parametrize("text", ["", "!", "AAAA", "davylamp-secret:v2:AAAA"])
def test_what_is_cut_off_or_of_another_version_is_refused(text):
    """In words."""
    whole = text if text.startswith("davylamp") else PREFIX + text
    with pytest.raises(SealedError, match=r"cut off|known way"):
        unseal(whole, [KEY], "signing/a")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds 0 keys"),
        (" ".join([KEY.to_text()] * 5), "holds 5 keys"),
        ("hunter2hunter2", "holds what is no key"),
        (base64.b64encode(b"k" * 31).decode(), "holds what is no key"),
    ],
)
def test_a_bad_key_is_refused_without_being_shown(text, why):
    """A pass phrase is no key."""
    with pytest.raises(SealedError, match=f"key.txt {why}") as refused:
        parse_keys(text, "key.txt")
    assert not text or text not in str(refused.value)


def test_no_repr_shows_a_key():
    """Frames of a traceback show reprs."""
    assert repr(KEY) == "SealingKey()"
    assert parse_keys(f"{KEY.to_text()}\n{OTHER.to_text()}\n", "x") == (KEY, OTHER)
