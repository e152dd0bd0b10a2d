"""The inside of tests/support/internet.py: run by it in namespaces of its own.

Brings loopback up, gives it the sites' addresses, serves them on 443 and 80, answers names on
127.0.0.1:53 and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {}
_asked: dict[str, int] = {}


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, one answer."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        name = headers.get("host", "").partition(":")[0]
        tls = writer.get_extra_info("ssl_object")
        entry = {
            "site": name, "method": method, "path": path, "headers": headers,
            "body": body.decode("latin-1"), "tls": None if tls is None else tls.version(),
            "address": writer.get_extra_info("sockname")[0],
        }  # fmt: skip
        with Path(CONFIG["log"]).open("a") as log:
            log.write(json.dumps(entry) + "\n")
        pages = CONFIG["pages"].get(name)
        page: dict[str, Any] = (
            {"body": name} if pages is None else pages.get(path, {"status": 404, "body": "none"})
        )
        text = page.get("body", "").encode()
        lines = [
            f"HTTP/1.1 {page.get('status', 200)} Answer",
            f"Content-Type: {page.get('type', 'text/plain')}",
            f"Content-Length: {len(text)}",
            "Connection: close",
            *(f"{key}: {value}" for key, value in page.get("headers", {}).items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + text)
        await writer.drain()
    except (ValueError, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
        pass
    finally:
        writer.close()


class Names(asyncio.DatagramProtocol):
    """A name server (RFC 1035) for addresses of the names in the configuration."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        at, labels = 12, []
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode("latin-1"))
            at += 1 + data[at]
        kind = struct.unpack("!H", data[at + 1 : at + 3])[0]
        question = data[12 : at + 5]
        name = ".".join(labels).lower()
        answers = CONFIG["names"].get(name)
        found: list[str] = []
        if answers is not None and kind == 1:
            turn = _asked.get(name, 0)
            _asked[name] = turn + 1
            found = answers[min(turn, len(answers) - 1)]
        flags = 0x8180 if answers is not None else 0x8183  # no such name
        reply = data[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + question
        for address in found:
            packed = bytes(int(part) for part in address.split("."))
            reply += b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + packed
        self.transport.sendto(reply, addr)


async def main(folder: Path) -> None:
    CONFIG.update(json.loads((folder / "internet.json").read_text()))
    subprocess.run(["mount", "--bind", CONFIG["resolv"], "/etc/resolv.conf"], check=True)
    ip("link", "set", "lo", "up")
    for address in sorted(set(CONFIG["sites"].values())):
        ip("addr", "add", f"{address}/32", "dev", "lo")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CONFIG["chain"], CONFIG["key"])
    await asyncio.get_running_loop().create_datagram_endpoint(Names, ("127.0.0.1", 53))
    for address in sorted({*CONFIG["sites"].values(), "127.0.0.1"}):
        await asyncio.start_server(serve, address, 443, ssl=tls)
        await asyncio.start_server(serve, address, 80)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
