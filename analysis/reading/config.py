"""Settings of reading; no defaults here, values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadingConfig:
    """How the collector is asked, and when a step counts as complete."""

    #: Deadline of one question, connecting included.
    request_timeout_s: float
    #: Larger answers are refused, not read.
    max_answer_bytes: int
    #: A step is never read sooner after its end: exports of other instances may be under way.
    settle_min_s: float
    #: An arm that is not heard while the other is delays a step by this long at most.
    settle_max_s: float
    #: Width of a step, and of one when traffic is low. Whole seconds; the second is a multiple.
    step_s: int
    low_traffic_step_s: int
    #: Traffic is low while the quieter arm has fewer events per second than this.
    low_traffic_events_per_s: float
    #: Steps fetched at once when catching up after a pause.
    catch_up_max_steps: int
    #: Taken steps are counted again, in tiles of this width, once they are so old.
    audit_tile_s: int
    audit_age_s: int
    #: Baseline history read before a canary's first look.
    prime_s: int
