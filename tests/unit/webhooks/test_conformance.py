"""The rehearsals are what they say: recognisable, and right or wrong in the one way they name."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from analysis.webhooks.conformance import Audience, Expected, Messages, checks, judge_acted
from analysis.webhooks.events import MAX_BODY_BYTES
from analysis.webhooks.signing import parse_secret, public_keys
from analysis.webhooks.verify import VerificationError, verify

NOW_UNIX_S = 1_735_689_600
SHARED = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PRIVATE = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def counted():
    """Bytes that never come twice, and are the same in every run."""
    numbers = iter(range(1, 1_000_000))
    return lambda size: next(numbers).to_bytes(size)


def planned(*secrets, now_unix_s=NOW_UNIX_S):
    messages = Messages(Audience("deployer"), now_unix_s * 10**9, counted())
    return checks(messages, [parse_secret(secret) for secret in secrets])


def is_genuine(check, secrets):
    try:
        verify(check.headers(NOW_UNIX_S), check.body, secrets, NOW_UNIX_S)
    except VerificationError:
        return False
    return True


@pytest.mark.parametrize("secrets", [(SHARED,), (PRIVATE,), (SHARED, PRIVATE)])
def test_forgeries_are_forged_and_the_rest_is_genuine(secrets):
    """By our own verifier: eight are refused before anything in them is read."""
    known = [SHARED, *public_keys([parse_secret(PRIVATE)])]
    held = [known[[SHARED, PRIVATE].index(secret)] for secret in secrets]
    found = planned(*secrets)
    forged = [check for check in found if not is_genuine(check, held)]
    assert len(forged) == 8
    assert {check.expected for check in forged} == {Expected.REFUSED}
    assert len({check.name for check in found}) == len(found) == 19


def test_every_body_is_a_rehearsal_and_names_itself():
    """Whoever looks at one body alone can tell; only what tests the type has another one."""
    types = Counter()
    for check in planned(SHARED):
        event = json.loads(check.body)
        assert event["subject"] == "conformance/conformance-check"
        assert event["data"]["audience"]["environment"] == "conformance"
        assert "rehearsal" in event["data"]["reason"]["summary"]
        assert event["id"] == event["data"]["decision_id"] == check.decision_id
        types[event["type"]] += 1
    assert types == {"davylamp.rollback.requested": 18, "davylamp.conformance.unknown": 1}


def test_sequences_grow_and_later_runs_are_newer():
    """But for the one that tests it; all fit into 53 bits, which JSON keeps everywhere."""
    by_id = {check.decision_id: check for check in planned(SHARED)}
    first = [json.loads(check.body)["data"]["sequence"] for check in by_id.values()]
    assert first[0] == first[1]
    assert first[1:] == sorted(set(first[1:]))
    later = json.loads(planned(SHARED, now_unix_s=NOW_UNIX_S + 1)[0].body)["data"]["sequence"]
    assert max(first) < later < 2**53


def test_one_body_is_as_large_as_any_may_be():
    """Not a byte more, and it is still JSON."""
    sizes = [len(check.body) for check in planned(SHARED)]
    assert max(sizes) == MAX_BODY_BYTES
    assert sizes.count(MAX_BODY_BYTES) == 1


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        (Expected.ACCEPTED, (200, 202, 204, 299), (None, 100, 199, 300, 422, 500)),
        (Expected.REFUSED, (400, 401, 403, 409, 410, 422), (None, 200, 302, 408, 429, 500, 503)),
        (Expected.ENDED, (200, 204, 422), (None, 302, 400, 410, 500)),
    ],
)
def test_which_statuses_are_right(expected, right, wrong):
    assert [status for status in right if not expected.holds(status)] == []
    assert [status for status in wrong if expected.holds(status)] == []


def test_what_was_done_is_counted():
    """Missing, twice and forbidden are told apart; a longer word that holds an id is not it."""
    sent = planned(SHARED)
    wanted = [check.decision_id for check in sent if check.acts]
    obeyed = list(dict.fromkeys(wanted))
    assert len(obeyed) == 4
    assert judge_acted(sent, [f"done {one}." for one in obeyed]) == []
    assert judge_acted(sent, obeyed[1:]) == [
        f"genuine command: {obeyed[0]} is there 0 x, expected 1 x"
    ]
    assert judge_acted(sent, [*obeyed[1:], f"{obeyed[0]}X"]) == judge_acted(sent, obeyed[1:])
    expired = next(check for check in sent if check.name == "expired command")
    assert judge_acted(sent, [*obeyed, obeyed[0], expired.decision_id]) == [
        f"genuine command: {obeyed[0]} is there 2 x, expected 1 x",
        f"expired command: {expired.decision_id} is there 1 x, expected 0 x",
    ]
