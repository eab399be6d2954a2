"""Who of the people a provider vouches for may what: addresses, domains and groups to scopes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from collector.access.tokens import Scope
from dashboards.signin.errors import NotAllowedError, SignInSettingsError

MAX_RULES: Final = 500
MAX_GROUPS: Final = 1_000
_ADDRESS: Final = re.compile(r"[^@\s=]{1,64}@[^@\s=]{1,190}")
_DOMAIN: Final = re.compile(r"@[^@\s=]{1,190}")
_GROUP: Final = re.compile(r"group:\S.{0,199}")
#: What a scope gives; who may change guards may look at them, too.
_GIVES: Final = {"read": frozenset({Scope.READ}), "admin": frozenset({Scope.READ, Scope.ADMIN})}


@dataclass(frozen=True, slots=True)
class Rule:
    """Somebody and what they may."""

    who: str
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody a provider vouches for."""

    subject: str
    #: Only if the provider has verified it, in lower case; else empty.
    email: str
    groups: frozenset[str]

    @property
    def name(self) -> str:
        """For pages and logs."""
        return self.email or self.subject


def parse_rules(words: Iterable[str]) -> tuple[Rule, ...]:
    """Rules as they are set. Raises SignInSettingsError."""
    rules = []
    for word in words:
        who, _, scope = word.rpartition("=")
        if (
            not any(one.fullmatch(who) for one in (_ADDRESS, _DOMAIN, _GROUP))
            or scope not in _GIVES
        ):
            raise SignInSettingsError(
                f"allowed: {word!r}; accepted: ada@example.com, @example.com or group:name, "
                "then =read or =admin"
            )
        # Addresses and domains have no case worth telling apart; groups may.
        rules.append(Rule(who if _GROUP.fullmatch(who) else who.lower(), _GIVES[scope]))
    if len(rules) > MAX_RULES:
        raise SignInSettingsError(f"allowed: at most {MAX_RULES} are accepted")
    return tuple(rules)


def person_of(claims: Mapping[str, Any], groups_claim: str) -> Person:
    """Whom verified claims are about. An address nobody has verified is no address."""
    email = claims.get("email")
    is_known = isinstance(email, str) and claims.get("email_verified") is True
    groups = claims.get(groups_claim)
    if isinstance(groups, str):
        groups = [groups]
    listed = groups if isinstance(groups, list) else []
    return Person(
        str(claims["sub"]),
        str(email).strip().lower() if is_known else "",
        frozenset(one for one in listed[:MAX_GROUPS] if isinstance(one, str)),
    )


def scopes_of(person: Person, rules: Iterable[Rule]) -> frozenset[Scope]:
    """Everything that some rule gives; empty: nothing."""
    found: frozenset[Scope] = frozenset()
    for rule in rules:
        if rule.who in _names(person):
            found |= rule.scopes
    return found


def require_known(person: Person, rules: tuple[Rule, ...]) -> frozenset[Scope]:
    """The person's scopes. Raises NotAllowedError."""
    scopes = scopes_of(person, rules)
    if not scopes:
        unverified = "" if person.email else " (the provider gives no address it has verified)"
        raise NotAllowedError(
            f"{person.name[:200]} is nobody who may read these pages{unverified}; "
            "whoever runs Davylamp can change allowed in [dashboards.oidc]"
        )
    return scopes


def only_named(person: Person, rules: Iterable[Rule]) -> Person:
    """Without the groups no rule is about: a session has to fit into a cookie."""
    named = {rule.who.removeprefix("group:") for rule in rules if rule.who.startswith("group:")}
    return Person(person.subject, person.email, person.groups & named)


def _names(person: Person) -> frozenset[str]:
    groups = frozenset(f"group:{one}" for one in person.groups)
    if not person.email:
        return groups
    # What stands before the last at-sign may itself hold one, in quotes.
    return groups | {person.email, "@" + person.email.rpartition("@")[2]}
