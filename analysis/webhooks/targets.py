"""Which URLs a webhook may be sent to: the rules that need no look-up of names. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from analysis.webhooks.addresses import Network, refusal

MAX_URL_CHARS: Final = 2_048
#: Ports of public receivers. Inside networks that the operator allowed, any port.
PUBLIC_PORTS: Final = frozenset({443, 8443})

_CHARS: Final = re.compile(r"[!-\[\]^-~]+")  # printable ASCII without blank and backslash
_HOST: Final = re.compile(
    r"(?=.{1,253}\.?$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?"
)
#: What resolvers take for an IPv4 address in one of its old spellings: 127.1, 0x7f.1, 2130706433.
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")


class TargetError(ValueError):
    """A webhook must not be sent there; the text says why and what would be accepted."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``allowed``: networks of the operator's own, reachable though not public, on any port, and
    by http:// where the URL holds the address itself. ``plain_http``: http:// is always accepted.
    """

    allowed: tuple[Network, ...] = ()
    ports: frozenset[int] = PUBLIC_PORTS
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be tried. ``address``: the host if it is an IP address, else None."""

    host: str
    port: int
    is_tls: bool
    address: str | None


def parse_target(url: str, rules: Rules) -> Target:
    """The parts of an acceptable URL. Raises TargetError.

    A name may still lead to an address that is refused: :func:`check_answers` decides at every
    attempt, when it was looked up.
    """
    if len(url) > MAX_URL_CHARS or not _CHARS.fullmatch(url):
        raise TargetError(
            f"a URL has {MAX_URL_CHARS} ASCII characters at most, no blank, no backslash"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetError(f"not a URL: {error}") from None
    if parts.scheme not in ("https", "http"):
        raise TargetError(f"scheme {parts.scheme!r}: https is accepted")
    if "@" in parts.netloc:
        raise TargetError("a URL holds no user name or password; they belong in a secret file")
    if parts.fragment:
        raise TargetError("a URL of a receiver has no fragment")
    host = parts.hostname or ""
    address = _address_in(parts.netloc, host)
    is_tls = parts.scheme == "https"
    target = Target(host, port if port is not None else (443 if is_tls else 80), is_tls, address)
    _check_way(target, rules)
    return target


def check_answers(target: Target, answers: Sequence[str], rules: Rules) -> None:
    """All addresses a name led to: one that is refused refuses the name. Raises TargetError."""
    if not answers:
        raise TargetError(f"{target.host} has no address")
    for answer in answers:
        why = refusal(answer, rules.allowed)
        if why is not None:
            raise TargetError(f"{target.host}: {why}")
    if target.port not in rules.ports and not all(_is_own(answer, rules) for answer in answers):
        raise TargetError(_port_refused(target, rules))


def check_peer(answers: Sequence[str], peer: str) -> None:
    """The address a connection really has must be one that was checked. Raises TargetError."""
    known = {ipaddress.ip_address(answer) for answer in answers}
    try:
        is_known = ipaddress.ip_address(peer) in known
    except ValueError:
        is_known = False
    if not is_known:
        raise TargetError(f"connected to {peer}, which was not among the addresses checked")


def _address_in(netloc: str, host: str) -> str | None:
    if netloc.startswith("["):
        why = refusal(host)
        if why is not None and "not a public address" not in why:
            raise TargetError(why)
        return host
    if not _HOST.fullmatch(host):
        raise TargetError(f"{host!r} is not a host name; write international names in xn-- form")
    if not _NUMERIC.fullmatch(host):
        return None
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise TargetError(f"{host!r} is not an IPv4 address in its four-part form") from None


def _check_way(target: Target, rules: Rules) -> None:
    """What can be said before any look-up."""
    if not 1 <= target.port <= 65_535:
        raise TargetError(f"port {target.port} does not exist")
    is_own = target.address is not None and _is_own(target.address, rules)
    if not (target.is_tls or rules.plain_http or is_own):
        raise TargetError(f"http://{target.host}: only https is accepted")
    if target.address is not None:
        check_answers(target, [target.address], rules)
    elif target.port not in rules.ports and not rules.allowed:
        raise TargetError(_port_refused(target, rules))


def _port_refused(target: Target, rules: Rules) -> str:
    known = ", ".join(str(port) for port in sorted(rules.ports))
    return f"port {target.port} of {target.host} is not accepted for public receivers: {known}"


def _is_own(answer: str, rules: Rules) -> bool:
    address = ipaddress.ip_address(answer)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return any(address in network for network in rules.allowed)
