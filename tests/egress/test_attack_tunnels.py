"""CONNECT: closed by default, names only, the greeting's name, and an end when the world moves."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nucleus_proxy.egress import tunnel
from nucleus_proxy.egress.dial import Private
from nucleus_proxy.egress.resolving import PinnedResolver
from nucleus_proxy.egress.tunnel import TunnelLimits
from nucleus_tokens.errors import CallerError, CredentialError
from tests.egress.far import HOST, Far, far, fetcher
from tests.egress.live_stage import POLLED
from tests.egress.out_stage import OutStage
from tests.egress.test_attack_sni import greeting
from tests.proxy.stage import granted, until, within
from tests.support import internet, world

FILE = {"path": "/srv/a.txt"}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return internet.make_authority(tmp_path_factory.mktemp("pki"), [HOST])


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def secure(pki: tuple[Path, Path, Path]) -> AsyncIterator[Far]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki[1], pki[2])
    async with far(echo, context) as site:
        yield site


def staged(folder: Path, port: int, **rest: object) -> OutStage:
    client = fetcher(port)
    return OutStage(folder, f'connect = ["{HOST}:{port}"]', client=client, **rest)  # type: ignore[arg-type]


async def opened(
    stage: OutStage, at: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """A CONNECT, and its answer's head."""
    reader, writer = await stage.connection()
    writer.write(f"CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n\r\n".encode())
    head = await within(reader.readuntil(b"\r\n\r\n"))
    return reader, writer, head


async def inside(
    stage: OutStage, at: str, pki: tuple[Path, Path, Path], name: str = HOST
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TLS connection through a tunnel, as a real client makes it."""
    reader, writer, head = await opened(stage, at)
    assert head.startswith(b"HTTP/1.1 200"), head
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(pki[0])
    await within(writer.start_tls(context, server_hostname=name))
    return reader, writer


async def test_a_listed_tunnel_carries_tls(tmp_path: Path, pki: tuple[Path, Path, Path]) -> None:
    async with secure(pki) as site:
        stage = staged(tmp_path, site.port)
        async with stage.open():
            reader, writer = await inside(stage, f"{HOST}:{site.port}", pki)
            writer.write(b"hello " * 50_000)
            assert await within(reader.readexactly(300_000)) == b"hello " * 50_000
            writer.close()
            await until(stage.outcomes)
    (outcome,) = stage.outcomes()
    assert outcome["ok"] is True
    (decision,) = stage.ledger.records("decision")
    assert decision["call"]["tool"] == "net_connect"
    stage.verified()


async def test_by_default_there_is_no_tunnel(tmp_path: Path) -> None:
    stage = OutStage(tmp_path)
    async with stage.open():
        _, _, head = await opened(stage, "example.org:443")
    assert head.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "at",
    [
        "evil.test:443", f"x.{HOST}:443", f"{HOST}.evil.test:443", f"{HOST}:22", f"{HOST}:444",
        "127.0.0.1:443", "[::1]:443", "93.184.215.14:443",
    ],
)  # fmt: skip
async def test_what_is_not_listed_is_closed(tmp_path: Path, at: str) -> None:
    stage = OutStage(tmp_path, f'connect = ["{HOST}:443", "*.other.test:443"]')
    async with stage.open():
        reader, _, head = await opened(stage, at)
        assert head.startswith(b"HTTP/1.1 403"), head
        assert b"connect.closed" in await reader.read(4096)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("0x7f.1:443", "0x7f.1:443"), ("2130706433:443", "2130706433:443"),
        ("user@site.test:443", "site.test:443"), ("site.test", "site.test"),
        ("https://site.test:443", "site.test:443"), ("site.test:443", "evil.test:443"),
        ("site.test:443", "site.test"), ("site.test:443/", "site.test:443"),
        ("[::ffff:127.0.0.1]:443", "[::ffff:127.0.0.1]:443"),
    ],
)  # fmt: skip
async def test_another_spelling_or_another_host_header_is_no_connect(
    tmp_path: Path, target: str, host: str
) -> None:
    stage = OutStage(tmp_path, 'connect = ["site.test:443"]')
    async with stage.open():
        got = await stage.say(f"CONNECT {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert got.status == 400
    assert stage.ledger.records("decision") == []


def test_an_address_cannot_be_listed(tmp_path: Path) -> None:
    at = "93.184.215.14"
    with pytest.raises(CredentialError, match="No tunnel"):
        tunnel.bound(at, 443, frozenset((f"{at}:443",)))
    with pytest.raises(CallerError, match="needs a name"):
        OutStage(tmp_path, 'connect = ["127.0.0.1:443"]')


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (greeting("evil.test"), "connect.name"),
        (greeting(f"x.{HOST}"), "connect.name"),
        (greeting(None), "connect.name"),
        (b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n", "connect.hello"),
        (b"SSH-2.0-x\r\n", "connect.hello"),
    ],
)
async def test_the_greeting_must_name_the_host_of_the_connect(
    tmp_path: Path, first: bytes, code: str
) -> None:
    got: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read())

    async with far(listen) as site:
        stage = staged(tmp_path, site.port)
        async with stage.open():
            reader, writer, head = await opened(stage, f"{HOST}:{site.port}")
            assert head.startswith(b"HTTP/1.1 200")
            writer.write(first)
            try:
                assert await within(reader.read()) == b""
            except ConnectionError:
                pass
            await until(stage.outcomes)
        await until(lambda: bool(got) or None)
    assert b"".join(got) == b"", "not a byte of it was sent on"
    assert stage.outcomes()[0]["ok"] is False
    assert any(code in line for line in stage.log)


async def test_a_greeting_that_does_not_come(tmp_path: Path) -> None:
    async with far(echo) as site:
        stage = staged(tmp_path, site.port, tunnels=TunnelLimits(hello_seconds=0.05))
        async with stage.open():
            reader, writer, _ = await opened(stage, f"{HOST}:{site.port}")
            writer.write(greeting()[:20])
            assert await within(reader.read()) == b""
    assert any("connect.hello" in line for line in stage.log)


async def test_a_listed_name_that_leads_inside(tmp_path: Path) -> None:
    client = fetcher(names={HOST: ["169.254.169.254"]})
    stage = OutStage(tmp_path, f'connect = ["{HOST}:443"]', client=client)
    async with stage.open():
        reader, _, head = await opened(stage, f"{HOST}:443")
        assert head.startswith(b"HTTP/1.1 502")
        assert b"net.address" in await reader.read(4096)


async def test_a_tunnel_goes_where_the_pin_says(
    tmp_path: Path, pki: tuple[Path, Path, Path]
) -> None:
    async with secure(pki) as site:
        elsewhere = PinnedResolver({HOST: ["10.0.0.1"]})
        client = fetcher(
            names=PinnedResolver({HOST: ["127.0.0.1"]}, elsewhere),
            private=[Private(HOST, site.port, "127.0.0.1")],
        )
        stage = OutStage(tmp_path, f'connect = ["{HOST}:{site.port}"]', client=client)
        async with stage.open():
            _, writer = await inside(stage, f"{HOST}:{site.port}", pki)
            writer.close()


# Kept too long ----------------------------------------------------------------------------------


async def gone(reader: asyncio.StreamReader) -> None:
    """The tunnel ends, however it does."""
    try:
        while await within(reader.read(65536)):
            pass
    except (ConnectionError, ssl.SSLError):
        pass


async def test_a_tunnel_opened_clean_and_kept_after_the_third_leg(
    tmp_path: Path, pki: tuple[Path, Path, Path]
) -> None:
    async with secure(pki) as site:
        stage = staged(tmp_path, site.port)
        async with stage.open():
            reader, writer = await inside(stage, f"{HOST}:{site.port}", pki)
            writer.write(b"ping")
            assert await within(reader.readexactly(4)) == b"ping"
            granted(await stage.call(stage.held, "read", FILE))
            await gone(reader)
            await until(lambda: len(stage.outcomes()) >= 1)
    assert stage.outcomes()[-1]["ok"] is False
    assert any("effect.cut" in line for line in stage.log)


async def test_a_revoked_token_keeps_no_tunnel(
    tmp_path: Path, pki: tuple[Path, Path, Path]
) -> None:
    async with secure(pki) as site:
        stage = staged(tmp_path, site.port, poll=POLLED)
        async with stage.open():
            reader, _ = await inside(stage, f"{HOST}:{site.port}", pki)
            stage.ledger.revoked.add(world.opened(stage.held).prefix.rids[0])
            await gone(reader)
            await until(stage.outcomes)
    assert any("token.revoked" in line for line in stage.log)


async def test_expiry_ends_a_tunnel(tmp_path: Path, pki: tuple[Path, Path, Path]) -> None:
    async with secure(pki) as site:
        stage = staged(tmp_path, site.port, poll=POLLED)
        async with stage.open():
            reader, _ = await inside(stage, f"{HOST}:{site.port}", pki)
            stage.clock.now += 3600
            await gone(reader)
            await until(stage.outcomes)
    assert any("token.expired" in line for line in stage.log)


async def test_a_budget_of_bytes_ends_a_tunnel(
    tmp_path: Path, pki: tuple[Path, Path, Path]
) -> None:
    async with secure(pki) as site:
        ceil = (world.all_levels(), ["budget", "bytes_out", 20_000])
        stage = staged(tmp_path, site.port, ceil=ceil)
        async with stage.open():
            reader, writer = await inside(stage, f"{HOST}:{site.port}", pki)
            writer.write(b"x" * 100_000)
            await gone(reader)
            await until(stage.outcomes)
    assert any("budget.exhausted" in line for line in stage.log)
    (counter,) = [c for c in stage.ledger.spent if "bytes" in c or stage.ledger.spent[c] == 20_000]
    assert stage.ledger.spent[counter] == 20_000
    assert sum(r["charge"]["bytes_out"] for r in stage.ledger.records("charge")) >= 20_000


async def test_a_tunnel_ends_when_its_time_is_up(
    tmp_path: Path, pki: tuple[Path, Path, Path]
) -> None:
    async with secure(pki) as site:
        stage = staged(tmp_path, site.port, tunnels=TunnelLimits(seconds=0.2))
        async with stage.open():
            reader, writer, _ = await opened(stage, f"{HOST}:{site.port}")
            writer.write(greeting())
            await gone(reader)
            await until(stage.outcomes)
    assert any("connect.time" in line for line in stage.log)


async def test_low_risk_asks_about_a_tunnel_even_where_the_host_is_fixed(tmp_path: Path) -> None:
    """A host that the issuer fixed vouches for no URL inside."""
    ceil = (world.all_levels("low_risk"), ["host", "in", ["site.test"]])
    stage = OutStage(tmp_path, 'connect = ["site.test:443"]', ceil=ceil)
    async with stage.open():
        _, writer = await stage.connection()
        writer.write(b"CONNECT site.test:443 HTTP/1.1\r\nHost: site.test:443\r\n\r\n")
        request = await stage.asked()
        assert "input:/host" in {name for name, _ in request.obligations}
        assert json.loads(request.shown)["operation"] == "web_fetch"
        writer.close()
