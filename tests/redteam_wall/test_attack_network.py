"""Red team: out of the cell by the network. There is none; each family is refused besides."""

from __future__ import annotations

import asyncio
import socket

from tests.redteam_wall.attacks import attack

# RFC 5737: addresses that belong to nobody.
OUTSIDE = "203.0.113.1"


async def test_raw_packet_and_datagram_sockets_are_refused() -> None:
    refused = await attack("""
        for name, family, kind, protocol in (
            ("raw", 2, 3, 1), ("raw6", 10, 3, 58), ("ping", 2, 2, 1), ("udp", 2, 2, 0),
            ("udp6", 10, 2, 0), ("packet", 17, 3, 768), ("sctp", 2, 1, 132), ("mptcp", 2, 1, 262),
            ("netlink", 16, 3, 0), ("vsock", 40, 1, 0), ("alg", 38, 5, 0), ("bluetooth", 31, 3, 0),
            ("xdp", 44, 3, 0), ("can", 29, 3, 1), ("tipc", 30, 5, 0), ("rds", 21, 5, 0),
            ("key", 15, 3, 2), ("smc", 43, 1, 0), ("unix", 1, 1, 0),
        ):
            attempt(name, lambda: socket.socket(family, kind, protocol))
    """)
    assert len(refused) == 19
    assert set(refused.values()) == {"EPERM", "EAFNOSUPPORT"}


async def test_high_bits_in_an_argument_hide_nothing() -> None:
    """The kernel reads 32 bits of a family; a filter that compared 64 would be passed by."""
    await attack("""
        import platform
        number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
        for name, family, kind in (("unix", 1, 1), ("udp", 2, 2), ("netlink", 16, 3)):
            call(name, number, ctypes.c_ulong(1 << 32 | family), ctypes.c_ulong(1 << 40 | kind), 0)
    """)


async def test_tcp_reaches_nothing_but_the_cell_itself() -> None:
    """Not the machine's loopback, not its other addresses, not the world."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"host")
        writer.close()

    async with await asyncio.start_server(greet, "0.0.0.0", 0) as server:  # noqa: S104  a target
        port = server.sockets[0].getsockname()[1]
        hosts = {"127.0.0.1", OUTSIDE, socket.gethostbyname(socket.gethostname())}
        refused = await attack(f"""
            for host in {sorted(hosts)!r} + ["::1", "fe80::1", "169.254.169.254"]:
                attempt(host, lambda: socket.create_connection((host, {port}), 3))
        """)
    assert set(refused.values()) <= {"ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "EINVAL"}


async def test_names_are_not_looked_up() -> None:
    await attack("""
        for name in ("example.com", "localhost.example.com", "1.2.3.4.in-addr.arpa"):
            attempt(name, lambda: socket.getaddrinfo(name, 80))
        print("ok")
    """)


async def test_the_namespace_has_loopback_and_no_route() -> None:
    await attack("""
        cards = [l.split(":")[0].strip() for l in open("/proc/net/dev") if ":" in l]
        routes = open("/proc/net/route").read().splitlines()[1:]
        print("ok" if cards == ["lo"] and not routes else f"GOT {cards} {routes}")
    """)
