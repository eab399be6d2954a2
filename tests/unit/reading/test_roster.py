"""Nobody but a declared instance of the declared version moves an arm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.reading.roster import DeclaredArm


def _sender(cohort, instance, version):
    return {
        "davylamp.canary.cohort": cohort,
        "service.instance.id": instance,
        "service.version": version,
    }


@pytest.mark.parametrize(
    ("arm", "sender"),
    [
        ("baseline", _sender("baseline", "b-1", "2.3.0")),
        ("canary", _sender("canary", "c-0", "2.4.0")),
        (None, _sender("canary", "c-9", "2.4.0")),  # nobody declared it
        (None, _sender("canary", "c-0", "2.5.0")),  # another version than declared
        (None, _sender("canary", "b-0", "2.3.0")),  # the baseline's, with the canary's label
        (None, _sender("baseline", "c-0", "2.4.0")),
        (None, _sender("", "c-0", "2.4.0")),
        (None, _sender("Canary", "c-0", "2.4.0")),
        (None, {}),
    ],
)
def test_in_the_service_itself_label_instance_and_version_must_agree(roster, arm, sender):
    """Each of the three alone is not enough."""
    assert arm == roster.arm_of(sender, scoped=True)


def test_elsewhere_the_label_alone_tells_the_arm(roster):
    """The edge counts the canary's viewers; it is no instance of either arm."""
    assert roster.arm_of(_sender("canary", "edge-a", "5.1.0"), scoped=False) == "canary"


def test_without_declared_instances_the_version_identifies_the_arm(roster):
    """A deployer that does not know instances in advance declares none."""
    open_roster = replace(roster, canary=DeclaredArm("2.4.0", frozenset()))
    senders = [_sender("canary", "new", version) for version in ("2.4.0", "2.3.0")]
    assert [open_roster.arm_of(one, scoped=True) for one in senders] == ["canary", None]
