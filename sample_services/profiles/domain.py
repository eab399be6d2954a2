"""Accounts, derived from their name: the same account is the same everywhere. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from sample_services.routing import unit_interval

#: Share of the accounts whose plan has lapsed; refusing them is business, not a failure.
LAPSED_RATIO: Final = 0.004
#: (share up to here, plan).
PLANS: Final = ((0.35, "basic"), (0.80, "standard"), (1.00, "premium"))


@dataclass(frozen=True, slots=True)
class Account:
    """What the other services may know of an account."""

    account: str
    plan: str
    entitled: bool
    language: str

    def to_json(self) -> dict[str, Any]:
        """The published form."""
        return asdict(self)


def account_of(account: str) -> Account:
    """The account called ``account``."""
    position = unit_interval("plan", account)
    plan = next(name for limit, name in PLANS if position < limit)
    return Account(
        account=account,
        plan=plan,
        entitled=unit_interval("lapsed", account) >= LAPSED_RATIO,
        language="en" if unit_interval("language", account) < 0.6 else "de",
    )
