"""Fuzz of the HTTP surfaces: whatever bytes arrive, there is one answer to each request or none.

The real process, exact bytes. The laws: nothing passes without a valid credential, and never more
than was asked; no answer is a crash (500); what two readers could cut in two different places is
refused; and the process serves on.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_tokens import chain, writing
from tests.sidecar.stage import HOST, Sidecar, sidecar
from tests.support import world
from tests.support.patience import until

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
SECONDS = 20.0
# Nobody says that nothing more will come; what comes later is looked for in the log.
SETTLE = 0.05
CLOSES = re.compile(rb"\AGET \S+ HTTP/1.1\r\nHost: \S+\r\nConnection: close\r\n")
ENDS = ("nginx", "forward-auth", "envoy-http")
LISTENERS = "".join(
    f'[listeners.{name}]\nconvention = "{name}"\naddress = "unix:{{folder}}/{name}.sock"\n'
    for name in ENDS
)
PREFIX = {"nginx": "x-original-", "forward-auth": "x-forwarded-", "envoy-http": ""}
KNOWN = {
    b"200", b"400", b"403", b"404", b"405", b"408", b"411", b"413", b"414", b"417", b"426", b"431",
    b"501", b"503", b"505",
}  # fmt: skip
FUZZ = settings(max_examples=120 * SCALE)


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("fuzz"), LISTENERS) as made:
        yield made
        assert made.ready() == (200, {"ready": True, "missing": []})


def exchange(tool: Sidecar, end: str, data: bytes) -> bytes:
    """Everything that comes back until it closes, or waits for more than we have to say."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(SECONDS)
        sock.connect(str(tool.folder / f"{end}.sock"))
        found = b""
        try:
            sock.sendall(data)
            while select.select([sock], [], [], SETTLE if not CLOSES.search(data) else SECONDS)[0]:
                chunk = sock.recv(65536)
                if not chunk:
                    break
                found += chunk
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert b"nuc1_" not in found, "what was sent comes back"
        return found


def statuses(answer: bytes) -> list[bytes]:
    """Of each answer; anything between answers fails."""
    found = []
    while answer:
        head, blank, rest = answer.partition(b"\r\n\r\n")
        assert blank, answer
        status, *lines = head.split(b"\r\n")
        assert status.startswith(b"HTTP/"), answer
        found.append(status.split(b" ", 2)[1])
        fields = {k.lower(): v for k, _, v in (line.partition(b": ") for line in lines)}
        answer = rest[int(fields.get(b"content-length", b"0")) :]
    return found


def head(
    end: str, token: str, *more: str, method: str = "GET", body: bool = False, last: bool = False
) -> bytes:
    target = "/notes" if body else "/notes/one"
    at = f"/check{target}" if end == "envoy-http" else "/"
    lines = [f"{method} {at} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {token}"]
    if last:
        lines.insert(2, "Connection: close")
    if end != "envoy-http":
        start = PREFIX[end]
        lines += [f"{start}method: {method}", f"{start}host: {HOST}", f"{start}uri: {target}"]
    return "\r\n".join((*lines, *more, "", "")).encode()


NAMES = st.sampled_from(
    [
        "Host", "Authorization", "X-Original-URI", "X-Original-Method", "X-Original-Host",
        "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Host", "Content-Length",
        "Transfer-Encoding", "Connection", "Expect", "Upgrade", "X-Envoy-Auth-Partial-Body",
        "Content-Encoding", "Content-Type", "Te", "Trailer", "X", ":path", "X Y", "",
    ]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [
            "", "0", "5", "-1", "+5", "0x5", "5, 5", "99999999999999999999", "chunked",
            "chunked, chunked", "xchunked", "identity", "close", "100-continue", "h2c",
            "websocket", "gzip", "GET", "/notes/one", HOST, "Bearer x", "Bearer nuc1_AAAA",
            "\tchunked", "chunked\x0b", "a\x00b", "é",
        ]
    ),
    st.text(max_size=30),
)  # fmt: skip
LINES = st.lists(
    st.builds(
        lambda n, c, v: f"{n}{c}{v}", NAMES, st.sampled_from([":", ": ", " : ", "\t:"]), VALUES
    ),
    max_size=6,
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"5;x=y\r\nhello\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\n", b"-1\r\n\r\n", b"5\r\nhel", b"0\r\nX: y\r\n\r\n", b"{}",
            b'{"name":"one","text":"t"}',
        ]
    ),
)  # fmt: skip


@FUZZ
@given(st.sampled_from(ENDS), st.one_of(st.binary(max_size=300), st.text(max_size=300)))
def test_noise_is_refused(tool: Sidecar, end: str, noise: bytes | str) -> None:
    data = noise.encode("utf-8", "surrogatepass") if isinstance(noise, str) else noise
    assert set(statuses(exchange(tool, end, data))) <= KNOWN - {b"200"}


@FUZZ
@given(
    st.sampled_from(ENDS),
    st.sampled_from(["GET", "POST", "PRI", "get", "G ET", "CONNECT", "OPTIONS", ""]),
    st.sampled_from(
        [
            " / HTTP/1.1", " /check/notes/one HTTP/1.1", " /\x00 HTTP/1.1", " http://x/ HTTP/1.1",
            " * HTTP/1.1", " / HTTP/1.0", " / HTTP/2.0", " /", "", " //check//notes HTTP/1.1",
        ]
    ),
    LINES,
    st.sampled_from(["\r\n", "\n", "\r"]),
    BODIES,
)  # fmt: skip
def test_without_a_credential_nothing_passes(
    tool: Sidecar, end: str, method: str, line: str, lines: list[str], ends: str, body: bytes
) -> None:
    text = ends.join((method + line, *lines, "", ""))
    found = statuses(exchange(tool, end, text.encode("utf-8", "surrogatepass") + body))
    assert set(found) <= KNOWN - {b"200"}, found


@FUZZ
@given(st.sampled_from(ENDS), LINES, BODIES, st.data())
def test_beside_a_valid_credential_nothing_else_passes(
    tool: Sidecar, end: str, lines: list[str], body: bytes, data: st.DataObject
) -> None:
    """One request is asked for: whatever stands around it, at most one passes."""
    token = tool.bearer(world.levels(read_files="always"), name="fuzz")
    pieces = head(end, token).removesuffix(b"\r\n\r\n").split(b"\r\n")
    for each in lines:
        at = data.draw(st.integers(1, len(pieces)))
        pieces.insert(at, each.encode("utf-8", "surrogatepass"))
    found = statuses(exchange(tool, end, b"\r\n".join((*pieces, b"", b"")) + body))
    assert set(found) <= KNOWN, found
    assert found.count(b"200") <= 1, found


SMUGGLES = {
    "both lengths": ("Content-Length: 5", "Transfer-Encoding: chunked"),
    "two lengths": ("Content-Length: 0", "Content-Length: 5"),
    "a list of lengths": ("Content-Length: 0, 5",),
    "a signed length": ("Content-Length: +5",),
    "space before the colon": ("Content-Length : 5",),
    "folded": ("Transfer-Encoding:", " chunked"),
    "another coding": ("Transfer-Encoding: xchunked",),
    "chunked is not last": ("Transfer-Encoding: chunked, identity",),
    "a bare carriage return": ("X: a\rTransfer-Encoding: chunked",),
    "a NUL": ("X: a\0b",),
    "an underscore for a dash": ("Content_Length: 5", "Transfer-Encoding : chunked"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("lines", SMUGGLES.values(), ids=SMUGGLES.keys())
def test_a_request_that_can_be_cut_in_two_ways_hides_no_second_one(
    tool: Sidecar, end: str, lines: tuple[str, ...]
) -> None:
    """What a gateway might take for a body, and we for a request of its own, or the other way."""
    tokens = [
        tool.mint(world.levels(read_files="always"), name=f"{which} {end} {lines}")
        for which in ("smuggled", "clear")
    ]
    smuggled, clear = map(writing.write_credential, tokens)
    hidden = head(end, smuggled, last=True)
    answer = statuses(exchange(tool, end, head(end, smuggled, *lines) + b"0\r\n\r\n" + hidden))
    assert answer.count(b"200") <= 1, answer
    # Asked in the clear such a hidden one passes: it was the framing that stopped it.
    assert statuses(exchange(tool, end, head(end, clear, last=True))) == [b"200"]
    of_it, after = (chain.rid(token.tag) for token in tokens)
    until(lambda: tool.events(event="admitted", rid=after), "the last of the log")
    assert len(tool.events(event="admitted", rid=of_it)) <= 1


@FUZZ
@given(st.binary(max_size=200), st.sampled_from(["application/json", "text/plain", "", "a/b; c=d"]))
def test_bodies_decide_nothing_but_their_own_call(tool: Sidecar, body: bytes, media: str) -> None:
    limits = ["arg", "notes.write", {"/body/name": ["equals", "one"], "/body/text": ["any"]}]
    token = tool.bearer(world.all_levels(), limits, name="bodies")
    length = f"Content-Length: {len(body)}"
    given_ = head("envoy-http", token, length, f"Content-Type: {media}", method="POST", body=True)
    found = statuses(exchange(tool, "envoy-http", given_ + body))
    assert found in ([b"200"], [b"403"], [b"400"]), found
    if found == [b"200"]:
        assert json.loads(body)["name"] == "one"
