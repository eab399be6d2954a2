"""Listening sockets, bound before anything else starts, so that a wrong setting ends at once."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Final

from collector.errors import HostNotLoopback, PortTaken

#: Connections the kernel queues while the event loop is busy.
BACKLOG: Final = 1024


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_loopback(host: str) -> None:
    """Raises HostNotLoopback."""
    if not is_loopback(host):
        raise HostNotLoopback(
            f"collector.host is {host!r}: without [access] required = true only loopback addresses "
            "such as 127.0.0.1 are accepted, because nobody who connects is authenticated"
        )


def listening(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises PortTaken, naming ``setting``."""
    try:
        return socket.create_server((host, port), family=_family(host), backlog=BACKLOG)
    except OSError as error:
        raise PortTaken(port_message(host, port, setting, error)) from error


def port_message(host: str, port: int, setting: str, error: OSError) -> str:
    """What the operator reads."""
    why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
    return f"port {port} on {host} {why}; change collector.{setting}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
