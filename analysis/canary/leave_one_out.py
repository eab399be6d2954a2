"""One metric judged again without each instance: what stands then does not hang on one machine.

``whole`` is the metric as without the setting. Beside it runs one process per instance of either
arm, fed everything but what that instance reported. "Worse" is said when the whole and every other
process said it, "safe" when all of them show it. Both ask for more than the whole alone, so the
chance of a false FAIL and of a false PASS can only fall and the budget's union bound stands. More:
if all instances but one keep within the margin, whatever that one reports, the process that leaves
it out is an e-process of honest data, so the chance of FAIL is at most ``alpha w`` still; and
likewise of a PASS while the honest ones are beyond the margin. What one instance can do is keep a
verdict from being reached.

At most ``SLOTS_MAX`` instances per arm are left out one by one. The first so many have a slot
each; later ones share these slots by a hash of their name, and a slot is left out as a whole. A
slot opened later starts as a copy of the whole, which its instance was not part of until then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analysis.blocks import ArmData, Block, CountArm
from analysis.canary.config import CanaryConfig, MetricConfig
from analysis.canary.count_metric import CountMetric
from analysis.canary.evidence import MetricLook, MetricState, finite
from analysis.canary.histogram_metric import HistogramMetric
from analysis.canary.intake import BlockFeed
from analysis.stats.ratio_eprocess import anytime_p_value

#: Processes per arm beside the whole: each costs as much as the whole does.
SLOTS_MAX: Final = 8
#: Instances per arm below which leaving one out leaves one machine, or none, to stand for the arm.
INSTANCES_MIN: Final = 3
ARMS: Final = ("baseline", "canary")
_NS_PER_S: Final = 1_000_000_000

Process = CountMetric | HistogramMetric


@dataclass(slots=True)
class _Slot:
    """One instance of an arm, with those dealt to it, and the process without them."""

    arm: str
    owner: str
    heard_unix_nano: int
    without: Process


class LeaveOneOut:
    """A metric whose findings must stand without any one instance (roles: :class:`CountMetric`)."""

    def __init__(
        self,
        kind: type[Process],
        key: str,
        config: MetricConfig,
        rule: CanaryConfig,
        *,
        split: str,
        weight: float,
    ) -> None:
        self.config = config
        self.split = split
        self.weight = weight
        self._kind, self._key, self._rule = kind, key, rule
        self.whole: Process = self._process()
        self._slots: list[_Slot] = []
        #: Arms of which the last block did not tell instances apart.
        self._untold: set[str] = set()

    def _process(self) -> Process:
        return self._kind(self._key, self.config, self._rule, split=self.split, weight=self.weight)

    # --- data -------------------------------------------------------------------------------

    @property
    def feed(self) -> BlockFeed:
        """Of the whole: what was taken, with every instance's part."""
        return self.whole.feed

    def learn(self, blocks: Sequence[Block]) -> None:
        """Baseline blocks from before the canary; bets learn from all instances of then."""
        for process in self._processes():
            if isinstance(process, HistogramMetric):
                process.learn(blocks)

    def take(self, blocks: Sequence[Block]) -> None:
        """Feed new closed blocks."""
        for block in sorted(blocks, key=lambda b: (b.start_unix_nano, b.end_unix_nano)):
            if not self.feed.is_late(block):
                for arm in ARMS:
                    self._hear(arm, block)
            for slot in self._slots:
                slot.without.take([self._reduced(block, slot)])
            self.whole.take([block])

    def _hear(self, arm: str, block: Block) -> None:
        """Note who reported; open slots for new instances while there are any."""
        data: ArmData | None = getattr(block, arm)
        if data is None:
            return
        if data.parts is None:
            self._untold.add(arm)
            return
        self._untold.discard(arm)
        for name in sorted(data.parts):
            slot = self._slot_of(arm, name)
            if slot is None:
                copy = self._process()
                copy.restore(self.whole.to_state())
                self._slots.append(_Slot(arm, name, block.end_unix_nano, copy))
            else:
                slot.heard_unix_nano = max(slot.heard_unix_nano, block.end_unix_nano)

    def _slot_of(self, arm: str, name: str) -> _Slot | None:
        """``None`` when it is new and a slot is free."""
        of_arm = [slot for slot in self._slots if slot.arm == arm]
        for slot in of_arm:
            if slot.owner == name:
                return slot
        if len(of_arm) < SLOTS_MAX:
            return None
        digest = hashlib.sha256(name.encode()).digest()
        return of_arm[int.from_bytes(digest[:8]) % SLOTS_MAX]

    def _reduced(self, block: Block, slot: _Slot) -> Block:
        """``block`` without what the slot's instances reported; an arm of nobody else is silent."""
        data: ArmData | None = getattr(block, slot.arm)
        if data is None:
            return block
        # Of an arm that does not tell its instances apart nothing is known without one of them.
        names = [n for n in data.parts or () if self._slot_of(slot.arm, n) is not slot]
        left = _sum(data, names) if names else None
        if slot.arm == "baseline":
            return replace(block, baseline=left)
        return replace(block, canary=left)

    # --- findings ---------------------------------------------------------------------------

    def _processes(self) -> list[Process]:
        return [self.whole, *(slot.without for slot in self._slots)]

    def instances(self, arm: str) -> int:
        """Instances of the arm heard in the last ``silence_s``, counted up to SLOTS_MAX."""
        since = self.feed.heard_unix_nano.get(arm, 0) - int(self._rule.silence_s * _NS_PER_S)
        return sum(s.arm == arm and s.heard_unix_nano > since for s in self._slots)

    @property
    def why_held(self) -> str | None:
        """Why no verdict can stand without one instance, in words."""
        for arm in ARMS:
            name = self.config.name
            if arm in self._untold:
                count = self.feed.instances.get(arm, 0)
                return (
                    f"The {arm} reports {name} from {count} instances that could not be told "
                    "apart: none of them could be left out."
                )
            count = self.instances(arm)
            if arm in self.feed.heard_unix_nano and count < INSTANCES_MIN:
                return (
                    f"The {arm} reports {name} from {count} instances, a verdict that stands "
                    f"without any one of them needs {INSTANCES_MIN}."
                )
        return None

    @property
    def log_e(self) -> float:
        """Log evidence of "worse" that stands whichever instance is left out."""
        return min(process.log_e for process in self._processes())

    @property
    def max_log_e(self) -> float:
        """The lowest of all processes' highest: FAIL needs each to have been beyond doubt."""
        return min(process.max_log_e for process in self._processes())

    @property
    def requests(self) -> tuple[int, int]:
        """Events per arm in paired blocks that are left without any one instance."""
        found = [process.requests for process in self._processes()]
        return min(a for a, _ in found), min(b for _, b in found)

    @property
    def blocks_used(self) -> int:
        """Of the whole."""
        return self.whole.blocks_used

    @property
    def is_waiting(self) -> bool:
        """Never: it says at every look what it knows."""
        return False

    @property
    def is_worse(self) -> bool:
        """Whether "worse" was beyond doubt without any one instance."""
        return self.why_held is None and all(p.is_worse for p in self._processes())

    @property
    def is_suspect(self) -> bool:
        """Whether it looks worse to any process: one instance cannot hide the others' harm."""
        return any(process.is_suspect for process in self._processes())

    @property
    def accuses(self) -> bool:
        """Whether the harm is large enough without any one instance."""
        return all(process.accuses for process in self._processes())

    @property
    def certified(self) -> bool:
        """Whether it is shown safe without any one instance."""
        return self.why_held is None and all(p.certified for p in self._processes())

    @property
    def why_not_certified(self) -> str:
        """Who it hangs on, for behind the name."""
        slot = self._hangs_on()
        return f" (hangs on the {slot.arm}'s instance {_shown(slot)})" if slot else ""

    def bad_arms(self, now_unix_nano: int) -> tuple[bool, bool]:
        """Whether (baseline, canary) miss their objective, with all instances or without one."""
        found = [process.bad_arms(now_unix_nano) for process in self._processes()]
        return any(bad for bad, _ in found), any(bad for _, bad in found)

    def _hangs_on(self) -> _Slot | None:
        """The instance without which the least is left of a finding of the whole."""
        if self.whole.is_worse:
            missing = [s for s in self._slots if not s.without.is_worse]
            return min(missing, key=lambda s: s.without.max_log_e, default=None)
        if self.whole.certified:
            return next((s for s in self._slots if not s.without.certified), None)
        return None

    def state(self) -> MetricState:
        """Of the whole, but nothing is called worse or safe that hangs on one instance."""
        found = self.whole.state()
        stands = {MetricState.WORSE: self.is_worse, MetricState.CERTIFIED: self.certified}
        judged = found in (MetricState.OBSERVING, *stands)
        if judged and self.is_suspect and not (found is MetricState.WORSE and self.is_worse):
            return MetricState.SUSPECT
        return found if stands.get(found, True) else MetricState.OBSERVING

    def look(self, *, with_intervals: bool) -> MetricLook:
        """The whole's counts and effects, with the evidence that stands without one instance."""
        slot = self._hangs_on()
        found = [process.certificates for process in self._processes()]
        whole = self.whole.look(with_intervals=with_intervals)
        certificates = {name: min(one[name] for one in found) for name in whole.certificates}
        return replace(
            whole,
            state=self.state(),
            log_e_value=self.log_e,
            p_value=anytime_p_value(self.max_log_e),
            certificates=certificates,
            one_instance={
                "instances": {arm: self.instances(arm) for arm in ARMS},
                "log_e_value_of_all": finite(whole.log_e_value),
                "log_e_value_without": {
                    arm: {_shown(s): finite(s.without.log_e) for s in self._slots if s.arm == arm}
                    for arm in ARMS
                },
                "hangs_on_arm": slot.arm if slot else None,
                "hangs_on_instance": _shown(slot) if slot else None,
            },
        )

    def describe(self) -> str:
        """The whole's words, and who the evidence hangs on, or who hides it."""
        without = max(self._slots, key=lambda s: s.without.log_e, default=None)
        if without is not None and without.without.is_suspect and not self.whole.is_suspect:
            hides = f"worse without the {without.arm}'s instance {_shown(without)}"
            return f"{self.whole.describe()}; {hides}"
        slot = self._hangs_on()
        hangs = f"; it hangs on the {slot.arm}'s instance {_shown(slot)}" if slot else ""
        return f"{self.whole.describe()}{hangs}"

    # --- state ------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "split": self.split,
            "whole": self.whole.to_state(),
            "untold": sorted(self._untold),
            "slots": [
                [s.arm, s.owner, s.heard_unix_nano, s.without.to_state()] for s in self._slots
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        self.whole.restore(state["whole"])
        self._untold = {str(arm) for arm in state["untold"]}
        self._slots = [slot for saved in state["slots"] for slot in self._restored(saved)]

    def _restored(self, saved: Sequence[Any]) -> Iterator[_Slot]:
        arm, owner, heard, state = saved
        process = self._process()
        process.restore(state)
        yield _Slot(str(arm), str(owner), int(heard), process)


def _shown(slot: _Slot) -> str:
    return slot.owner or "without instance id"


def _sum(data: ArmData, names: Sequence[str]) -> ArmData:
    """What these instances reported together."""
    assert data.parts is not None
    if isinstance(data, CountArm):
        parts = data.parts
        good, total = (sum(getattr(parts[n], of) for n in names) for of in ("good", "total"))
        return CountArm(good, total, len(names))
    rows = np.stack([data.parts[n] for n in names])
    counts: npt.NDArray[np.int64] = rows.sum(axis=0, dtype=np.int64)
    return replace(data, counts=counts, instance_count=len(names), parts=None)
