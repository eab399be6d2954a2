"""URLs of receivers: what is accepted before any name is looked up, and by what it leads to."""

from __future__ import annotations

import pytest

from analysis.webhooks.addresses import parse_networks
from analysis.webhooks.targets import (
    MAX_URL_CHARS,
    Rules,
    TargetError,
    check_answers,
    check_peer,
    parse_target,
)

PUBLIC = Rules()
OWN = Rules(allowed=parse_networks(["10.0.0.0/8"]))


def test_the_parts_of_an_accepted_url():
    """Default port, a named one, an address."""
    plain = parse_target("https://Hooks.example.com/a?b=c", PUBLIC)
    assert (plain.host, plain.port, plain.is_tls, plain.address) == (
        "hooks.example.com", 443, True, None,
    )  # fmt: skip
    assert parse_target("https://hooks.example.com:8443/", PUBLIC).port == 8443
    assert parse_target("http://10.1.2.3:7000/x", OWN).address == "10.1.2.3"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://a.example/ x", "no blank"),
        ("https://a.example\\@b/", "backslash"),
        ("https://" + "a" * MAX_URL_CHARS, "characters"),
        ("ftp://a.example/", "scheme"),
        ("https://u:p@a.example/", "user name"),
        ("https://a.example/#x", "fragment"),
        ("https:///x", "host name"),
        ("https://-a.example/", "host name"),
        ("https://a..example/", "host name"),
        ("https://0x7f.1/", "four-part"),
        ("https://1.2.3.4.5/", "four-part"),
        ("https://a.example:0/", "port 0"),
        ("https://a.example:70000/", "not a URL"),
        ("https://a.example:22/", "port 22"),
        ("http://a.example/", "only https"),
        ("https://10.0.0.1/", "private"),
        ("https://[::1]/", "2000::/3"),
        ("https://[fe80::1%25eth0]/", "zone"),
    ],
)
def test_a_refused_url_says_why(url, words):
    """One reason each."""
    with pytest.raises(TargetError, match=words):
        parse_target(url, PUBLIC)


def test_own_networks_take_any_port_and_plain_http_only_by_address():
    """A name may lead elsewhere tomorrow, and a secret-free body would travel in the clear."""
    parse_target("http://10.0.0.1:81/", OWN)
    with pytest.raises(TargetError, match="only https"):
        parse_target("http://deployer.internal:81/", OWN)
    target = parse_target("https://deployer.internal:81/", OWN)
    check_answers(target, ["10.9.9.9"], OWN)
    with pytest.raises(TargetError, match="port 81"):
        check_answers(target, ["8.8.8.8"], OWN)


def test_one_refused_answer_refuses_the_name():
    """The next connection might take that one."""
    target = parse_target("https://a.example/", PUBLIC)
    check_answers(target, ["8.8.8.8", "2606:4700::1"], PUBLIC)
    with pytest.raises(TargetError, match="loopback"):
        check_answers(target, ["8.8.8.8", "127.0.0.1"], PUBLIC)
    with pytest.raises(TargetError, match="no address"):
        check_answers(target, [], PUBLIC)


def test_the_peer_is_one_of_the_answers():
    """However the address is written."""
    check_peer(["2606:4700:0::1"], "2606:4700::1")
    for peer in ("8.8.4.4", "", "x"):
        with pytest.raises(TargetError, match="not among"):
            check_peer(["8.8.8.8"], peer)
