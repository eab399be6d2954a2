"""Which addresses a webhook may be sent to. Pure: text in, a reason to refuse out.

Refused is what the IANA special-purpose registries (IPv4: RFC 6890 and successors, IPv6 the same)
do not call globally reachable, multicast and class E, the deprecated transition prefixes that can
carry an IPv4 address inside (so that nothing private hides in one), and the addresses under which
clouds answer about the machine itself. An operator may name networks of their own that are allowed
all the same.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Network, and why nothing is sent there.
REFUSED_IPV4: Final = (
    ("0.0.0.0/8", "this host"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared by a carrier's customers"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local, also a cloud's metadata"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "IETF protocols"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112 service"),
    ("192.52.193.0/24", "AMT relays"),
    ("192.88.99.0/24", "6to4 relays"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "AS112 service"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved, also broadcast"),
    ("168.63.129.16/32", "a cloud's wire server: public by number, internal in fact"),
)
#: Only 2000::/3 is handed out for use on the internet; the rest is refused whatever it is.
GLOBAL_IPV6: Final = ipaddress.IPv6Network("2000::/3")
REFUSED_IPV6: Final = (
    ("2001::/23", "IETF protocols, Teredo, ORCHID"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112 service"),
    ("3fff::/20", "documentation"),
)

_IPV4: Final = tuple((ipaddress.IPv4Network(text), why) for text, why in REFUSED_IPV4)
_IPV6: Final = tuple((ipaddress.IPv6Network(text), why) for text, why in REFUSED_IPV6)


def refusal(text: str, allowed: Sequence[Network] = ()) -> str | None:
    """Why nothing is sent to this address; None if it may be.

    An IPv4 address inside IPv6 (``::ffff:…``) is judged as itself. What is not an address at all is
    refused too, and so is an address with a zone.
    """
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return f"{text!r} is not an IP address"
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return f"{text} names a zone"
        address = address.ipv4_mapped or address
    if any(address in network for network in allowed):
        return None
    why = _reserved_for(address)
    return None if why is None else f"{text} is not a public address ({why})"


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """``["127.0.0.0/8"]`` as networks. Raises ValueError that names the wrong one."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def _reserved_for(address: Address) -> str | None:
    if isinstance(address, ipaddress.IPv4Address):
        return next((why for network, why in _IPV4 if address in network), None)
    if address not in GLOBAL_IPV6:
        return "outside 2000::/3"
    return next((why for network, why in _IPV6 if address in network), None)
