"""Networks nothing is sent to, at both of their edges, and what hides one inside another."""

from __future__ import annotations

import ipaddress

import pytest

from analysis.webhooks.addresses import REFUSED_IPV4, REFUSED_IPV6, parse_networks, refusal


@pytest.mark.parametrize(("network", "why"), [*REFUSED_IPV4, *REFUSED_IPV6])
def test_a_refused_network_is_refused_from_edge_to_edge(network, why):
    """First and last address; the text says why."""
    parsed = ipaddress.ip_network(network)
    for address in (parsed[0], parsed[-1]):
        assert why in refusal(str(address))


@pytest.mark.parametrize(
    "address",
    ["1.0.0.0", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "223.255.255.255",
     "168.63.129.15", "168.63.129.17", "2003::1", "2001:200::1", "2620:4f:8001::"],
)  # fmt: skip
def test_neighbours_of_refused_networks_are_public(address):
    """The tables refuse no more than they name."""
    assert refusal(address) is None


@pytest.mark.parametrize("address", ["::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::a00:1"])
def test_ipv4_inside_ipv6_hides_nothing(address):
    """Mapped, compatible and translated forms."""
    assert refusal(address) is not None


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "1.2.3.4/8", "fe80::1%lo", "２.2.2.2"])
def test_what_is_no_address_is_refused(text):
    """A resolver's odd answer must not pass for want of a rule."""
    assert refusal(text) is not None


def test_an_allowed_network_opens_itself_alone():
    """Also for the mapped form of its addresses."""
    allowed = parse_networks(["10.1.0.0/16"])
    assert refusal("10.1.255.1", allowed) is None
    assert refusal("::ffff:10.1.255.1", allowed) is None
    assert refusal("10.2.0.0", allowed) is not None


def test_a_network_with_host_bits_is_refused():
    """10.1.2.3/16 is a slip of the pen; nobody guesses which part was meant."""
    with pytest.raises(ValueError, match="host bits"):
        parse_networks(["10.1.2.3/16"])
