"""What runs without a reason once a deployer has died in the middle of something. Pure.

Arms that belong to no deployment lost the process that would have ended them. Two generations of
stable instances are a promotion cut short: the newest complete one stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sample_services.instances import ARM_STABLE, Instance
from sample_services.layout import slot_label


def leftovers(instances: Iterable[Instance], service: str) -> list[str]:
    """Positions to be emptied while no deployment is active; ``service`` is the deployable one."""
    extra: list[str] = []
    generations: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for instance in instances:
        spec = instance.spec
        if spec.arm != ARM_STABLE:
            extra.append(spec.slot)
        elif spec.service == service:
            generations[slot_label(spec.slot)][spec.zone] = spec.slot
    kept = max(generations, key=lambda label: (len(generations[label]), _age(label)), default="")
    for label, zones in generations.items():
        if label != kept:
            extra.extend(zones.values())
    return sorted(extra)


def _age(label: str) -> str:
    """Sorts labels by when they came: the first stack's, then by deployment, whose ids begin with
    the service and the second they were made.
    """
    return "" if label == ARM_STABLE else label
