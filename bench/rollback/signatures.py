"""Signatures and verdicts: our signer and verifier, and the reference library beside them."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook
from standardwebhooks.webhooks import datetime as library_clock

from analysis.webhooks import verify as receiver
from analysis.webhooks.signing import parse_secret, public_keys, sign
from analysis.webhooks.verify import VerificationError, verify

Case = Mapping[str, Any]
LIBRARY = "standardwebhooks"


def judge_hmac(case: Case) -> list[str]:
    """The primitive that v1 stands on."""
    digest = hmac.digest(
        bytes.fromhex(case["key_hex"]), bytes.fromhex(case["data_hex"]), "sha256"
    ).hex()
    wanted = case["hmac_sha256_hex"]
    # RFC 4231 test 5 publishes a truncated output.
    return _unless(digest.startswith(wanted), f"{digest}, wanted {wanted}")


def judge_ed25519(case: Case) -> list[str]:
    """What we sign with, and the receivers' verifier, on the same message; then a changed one."""
    seed, message = bytes.fromhex(case["seed_hex"]), bytes.fromhex(case["message_hex"])
    public, signature = bytes.fromhex(case["public_hex"]), bytes.fromhex(case["signature_hex"])
    key = Ed25519PrivateKey.from_private_bytes(seed)
    check = receiver._ed25519  # noqa: SLF001 - the primitive has no other door
    return [
        *_unless(key.public_key().public_bytes_raw() == public, "another public key"),
        *_unless(key.sign(message) == signature, "another signature"),
        *_unless(check(public, message, signature), "the verifier refuses it"),
        *_unless(not check(public, message + b"x", signature), "an altered message is accepted"),
    ]


def judge_v1(case: Case) -> list[str]:
    """Header and key bytes."""
    key, body = parse_secret(case["secret"]), base64.b64decode(case["body_b64"])
    signed = sign([key], case["webhook-id"], int(case["webhook-timestamp"]), body)
    wanted = case["webhook-signature"]
    is_key = isinstance(key, bytes) and key.hex() == case.get("secret_hex", key.hex())
    return [
        *_unless(is_key, "another key"),
        *_unless(signed == wanted, f"{signed}, wanted {wanted}"),
    ]


def judge_v1a(case: Case) -> list[str]:
    """Both forms of the private key give the same public key and header, and it verifies."""
    body, wrong = base64.b64decode(case["body_b64"]), []
    headers = {
        name: case[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    }
    for form in ("secret_key_seed", "secret_key_64_byte_form"):
        key = parse_secret(case[form])
        signed = sign([key], case["webhook-id"], int(case["webhook-timestamp"]), body)
        wrong += _unless(public_keys([key]) == (case["public_key"],), f"{form}: another public key")
        wrong += _unless(signed == case["webhook-signature"], f"{form}: signed {signed}")
    now_unix_s = int(case["webhook-timestamp"])
    for altered in (b"", b"x"):
        try:
            verify(headers, body + altered, [case["public_key"]], now_unix_s)
        except VerificationError as error:
            wrong += [] if altered else [f"verifying: {error}"]
        else:
            wrong += ["an altered body is accepted"] if altered else []
    return wrong


def rotations(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rotation header with the message it signs, which stands among the signed ones."""
    found = content.get("standard_webhooks", {})
    example = found.get("rotation_header_example")
    if not example:
        return []
    entries = example["webhook-signature"].split(" ")
    message = next(
        case
        for case in found["v1_hmac_sha256"] + found.get("v1a_ed25519", [])
        if case["webhook-signature"] in entries
    )
    return [{**message, **example}]


def judge_rotation(case: Case) -> list[str]:
    """Each key alone accepts the header that all signed."""
    headers = {
        name: case[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    }
    body, now_unix_s, wrong = base64.b64decode(case["body_b64"]), int(case["webhook-timestamp"]), []
    for key in case["verifies_with"]:
        try:
            verify(headers, body, [key], now_unix_s)
        except VerificationError as error:
            wrong.append(f"{key[:5]}…: {error}")
    return wrong


def judge_message_signature(case: Case) -> list[str]:
    """RFC 9421's example: the same primitive over another base."""
    key, base, signature = (
        base64.b64decode(case[name])
        for name in ("public_b64", "signature_base_b64", "signature_b64")
    )
    check = receiver._ed25519  # noqa: SLF001
    return _unless(check(key, base, signature), "the verifier refuses it")


def judge_verdict(case: Case) -> list[str]:
    """Accept or reject, nothing else raised. A known id is the receiver's register's business."""
    wanted = case["expected"].removesuffix("-first-then-duplicate")
    try:
        verify(
            case["headers"],
            base64.b64decode(case["body_b64"]),
            [case["secret"]],
            case["now_unix"],
            case["tolerance_seconds"],
        )
    except VerificationError as error:
        return _unless(wanted == "reject", f"rejected: {error}")
    return _unless(wanted == "accept", "accepted")


def reference_verdicts(cases: list[dict[str, Any]]) -> Mapping[str, int]:
    """How many verdicts the reference library gets right at the case's own time."""
    right = 0
    for case in cases:
        wanted = case["expected"].removesuffix("-first-then-duplicate")
        now = datetime.fromtimestamp(case["now_unix"], UTC)
        with mock.patch("standardwebhooks.webhooks.datetime", wraps=library_clock) as clock:
            clock.now.return_value = now
            try:
                hook = Webhook(case["secret"])
                hook.verify(base64.b64decode(case["body_b64"]), dict(case["headers"]))
                said = "accept"
            except Exception as error:  # noqa: BLE001 - a peer's crash is its answer
                said = "reject" if type(error).__name__ == "WebhookVerificationError" else "crash"
                # A body that is not JSON is refused after the signature was found right.
                said = "accept" if type(error).__name__ == "JSONDecodeError" else said
        right += said == wanted
    return {LIBRARY: right}


def reference_signs(cases: list[dict[str, Any]]) -> Mapping[str, int]:
    """How many signatures the reference library makes alike."""
    right = 0
    for case in cases:
        moment = datetime.fromtimestamp(int(case["webhook-timestamp"]), UTC)
        try:
            body = base64.b64decode(case["body_b64"]).decode()
            right += (
                Webhook(case["secret"]).sign(case["webhook-id"], moment, body)
                == (case["webhook-signature"])
            )
        except Exception:  # noqa: BLE001 - a peer's crash is no match
            continue
    return {LIBRARY: right}


def _unless(is_right: bool, problem: str) -> list[str]:
    return [] if is_right else [problem]
