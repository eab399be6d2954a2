"""What an answer means: delivered, try again, or never again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class OutcomeKind(StrEnum):
    """What is to be done with the delivery."""

    DELIVERED = "delivered"  # accepted by the receiver
    RETRY = "retry"  # the same bytes again later
    DEAD = "dead"  # never again


@dataclass(frozen=True, slots=True)
class Outcome:
    """``reason`` is a short word for metrics; ``wants_retry_after``: the answer's hint counts.

    ``is_well``: the endpoint works, whatever it thinks of this command; None = we did not ask it.
    """

    kind: OutcomeKind
    reason: str
    wants_retry_after: bool = False
    is_well: bool | None = True


#: Sending the same bytes again cannot help. 410 also says that the endpoint is gone: commands
#: are never switched off in silence, so people are told through the dead letter.
DEAD_STATUSES: Final = {
    410: "gone",
    413: "too_large",
    415: "unsupported_type",
    422: "refused",
}
#: The receiver asks for patience; only with these statuses Retry-After has a meaning.
THROTTLED_STATUSES: Final = frozenset({429, 502, 503, 504})
#: People must look, but the credentials may be mended before the command's time is over.
CREDENTIAL_STATUSES: Final = frozenset({401, 403})


def of_status(status: int) -> Outcome:
    """What a status means. Only 2xx is success; redirects are not followed."""
    if 200 <= status <= 299:
        return Outcome(OutcomeKind.DELIVERED, "accepted")
    if status in DEAD_STATUSES:
        return Outcome(OutcomeKind.DEAD, DEAD_STATUSES[status])
    if 300 <= status <= 399:
        return Outcome(OutcomeKind.RETRY, "redirect")
    if status in CREDENTIAL_STATUSES:
        return Outcome(OutcomeKind.RETRY, "credentials")
    if status in THROTTLED_STATUSES:
        return Outcome(OutcomeKind.RETRY, "throttled", wants_retry_after=True, is_well=False)
    if 400 <= status <= 499:
        return Outcome(OutcomeKind.RETRY, "client_error")
    return Outcome(OutcomeKind.RETRY, "server_error", is_well=False)


#: No answer at all: refused, reset, timed out. It may have been acted on, so the id stays.
NO_ANSWER: Final = Outcome(OutcomeKind.RETRY, "no_answer", is_well=False)
#: We could not even sign: the operator may mend the file before the time is over.
NO_SECRET: Final = Outcome(OutcomeKind.RETRY, "no_secret", is_well=None)
#: The row names an endpoint that the settings do not.
NO_ENDPOINT: Final = Outcome(OutcomeKind.RETRY, "no_endpoint", is_well=None)
#: The URL leads where webhooks must not go; a name may lead elsewhere by the next attempt.
REFUSED_TARGET: Final = Outcome(OutcomeKind.RETRY, "refused_target", is_well=None)
