"""Ports on the loopback address."""

from __future__ import annotations

import socket

from ml.errors import SeamUnavailable

HOST = "127.0.0.1"
TRIED = 100


def is_free(port: int) -> bool:
    """Whether nothing listens on the port: neither on the loopback address nor on all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) != 0


def next_free(preferred: int, taken: frozenset[int] = frozenset()) -> int:
    """The preferred port, or the first free one after it; `taken` are promised to others already."""
    for port in range(preferred, preferred + TRIED):
        if port not in taken and is_free(port):
            return port
    raise SeamUnavailable(
        f"no free port on {HOST}",
        found=f"{preferred} to {preferred + TRIED - 1} are all taken",
        expected="one of them to be free",
        next_step=f"see who listens (`ss -ltnp`), free port {preferred}, and run `make up` again",
    )
