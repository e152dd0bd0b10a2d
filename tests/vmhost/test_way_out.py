"""The one way out of a cell: loopback ports that lead to the proxy's sockets, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from nucleus_vmhost import cell
from nucleus_vmhost.arguments import PROXY_PORT, TOOLS_PORT
from nucleus_vmhost.cell import Extras
from nucleus_vmhost.work import Limits
from tests.vmhost.cells import Job, python, ran, shell


@contextlib.asynccontextmanager
async def answering(path: Path) -> AsyncIterator[list[bytes]]:
    """A proxy that answers every request in the same way and remembers what it was asked."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, path):
        yield asked


async def test_a_program_that_knows_only_http_proxy_reaches_the_proxy(tmp_path: Path) -> None:
    socket = tmp_path / "proxy.sock"
    program = """
        import urllib.request
        print(urllib.request.urlopen("http://somewhere.test/path").read().decode())
    """
    async with answering(socket) as asked:
        done = await ran(python(program, socket=str(socket)))
    assert done.stdout == b"hello\n", done
    assert asked[0].startswith(b"GET http://somewhere.test/path HTTP/1.1\r\n")


async def test_many_connections_at_once_are_kept_apart(tmp_path: Path) -> None:
    socket = tmp_path / "proxy.sock"

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    program = """
        import socket, threading
        def one(n):
            with socket.create_connection(("127.0.0.1", 3128)) as s:
                s.sendall(bytes([n]) * 300_000)
                s.shutdown(socket.SHUT_WR)
                got = b""
                while data := s.recv(65536):
                    got += data
                assert got == bytes([n]) * 300_000, (n, len(got))
                print("same")
        threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
        [t.start() for t in threads]; [t.join() for t in threads]
    """
    async with await asyncio.start_unix_server(echo, socket):
        done = await ran(python(program, socket=str(socket)))
    assert done.stdout == b"same\n" * 20, done


async def test_when_the_proxy_is_gone_nothing_leaves(tmp_path: Path) -> None:
    socket = tmp_path / "proxy.sock"
    async with answering(socket):
        pass
    program = "import urllib.request; print(urllib.request.urlopen('http://x.test/').read())"
    done = await ran(python(program, socket=str(socket)))
    assert (done.code, done.stdout) == (1, b"")


async def test_code_and_streams_are_those_of_the_work_beside_a_pump(tmp_path: Path) -> None:
    socket = tmp_path / "proxy.sock"
    async with answering(socket):
        job = shell("cat; echo e >&2; exit 9", stdin=b"in", socket=str(socket))
        done = await ran(job)
        assert (done.code, done.stdout, done.stderr) == (9, b"in", b"e\n")
        assert (await ran(shell("kill -9 $$", socket=str(socket)))).code == 137


async def test_an_mcp_client_starts_the_connector_and_speaks(tmp_path: Path) -> None:
    socket = tmp_path / "tools.sock"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = {"jsonrpc": "2.0", "method": "nucleus/hello", "params": {}}
        writer.write(json.dumps(hello, separators=(",", ":")).encode() + b"\n")
        asked = json.loads(await reader.readline())
        writer.write(json.dumps({"id": asked["id"], "result": "x" * 200_000}).encode() + b"\n")
        await writer.drain()
        writer.close()

    extras = Extras(routes={TOOLS_PORT: str(socket)})
    script = """exec 3>&1; echo '{"id": 7}' | $NUCLEUS_MCP | tail -c 50"""
    async with (
        await asyncio.start_unix_server(serve, socket),
        cell.opened(shell(script), Limits(), extras) as process,
    ):
        out, complaint = await process.communicate()
    assert out.endswith(b'xx"}\n'), (out, complaint)


async def test_the_pump_is_no_way_to_other_sockets(tmp_path: Path) -> None:
    """A unix socket in a folder that is shown: the pump could reach it, so nobody may touch the
    pump, and the work itself cannot."""
    (tmp_path / "shown").mkdir()
    async with answering(tmp_path / "p.sock"), answering(tmp_path / "shown" / "s.sock") as asked:
        done = await ran(
            python(
                f"""
                import os, socket
                for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
                    for name in ("mem", "environ", "maps", "fd/0", "fd/3", "root/etc/passwd"):
                        try:
                            path = f"/proc/{{pid}}/{{name}}"
                            os.readlink(path) if "fd" in name else open(path, "rb").read(1)
                            print("read", int(pid) == os.getpid(), name)
                        except OSError as error:
                            pass
                    try:
                        open(f"/proc/{{pid}}/mem", "r+b")
                        print("write", int(pid) == os.getpid())
                    except OSError as error:
                        pass
                try:
                    socket.socket(socket.AF_UNIX).connect("{tmp_path}/shown/s.sock")
                    print("connected")
                except OSError:
                    pass
                """,
                socket=str(tmp_path / "p.sock"),
                readable=(str(tmp_path / "shown"),),
            )
        )
        assert done.code == 0, done
        assert not asked
    lines = set(done.stdout.decode().splitlines())
    assert not {line for line in lines if "False" in line or "connected" in line}, lines


async def test_a_cell_without_a_socket_has_no_port_to_go_out(tmp_path: Path) -> None:
    done = await ran(
        python(f"import socket; socket.create_connection(('127.0.0.1', {PROXY_PORT}))")
    )
    assert b"ConnectionRefusedError" in done.stderr
    assert b"PROXY" not in (await ran(Job(("env",)))).stdout.upper()
