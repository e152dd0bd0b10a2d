"""The proxy's secrets in any output: answers, errors, logs, traces, reprs, files of others."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy.egress import secrets
from nucleus_proxy.egress.secrets import BLANK, Secret, scrubbed
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from tests.egress.fake_provider import provider
from tests.egress.laws import LAW
from tests.egress.model_stage import ModelStage
from tests.egress.out_stage import KEY


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_provider_that_echoes_its_credential(tmp_path: Path) -> None:
    """Whole, in a header, in an error and in a stream."""
    async with provider(KEY, echo=True, headers={"X-Request-Id": f"id-{KEY}"}) as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            got = [await stage.chat(), await stage.messages()]
            sink = await stage.post("/sink/tickets/tickets/1", b"", method="GET")
    for each in (*got, sink):
        assert each.status == 200
        assert KEY.encode() not in each.raw
        assert BLANK in each.body
    async with provider(KEY, words=["a ", KEY, KEY[:10], KEY[10:], " b"]) as far:
        folder = tmp_path / "b"
        folder.mkdir()
        stage = ModelStage(folder, far)
        async with stage.open():
            streamed = await stage.chat(stream=True)
    assert KEY.encode() not in streamed.raw
    said = [*stage.log, *map(str, stage.ledger.lines), *map(str, stage.reveals)]
    assert not any(KEY in text for text in said)


async def test_a_wrong_credential_shows_itself_in_no_error(tmp_path: Path) -> None:
    async with provider("another-key-entirely") as far:
        stage = ModelStage(tmp_path, far)
        async with stage.open():
            got = await stage.chat()
    assert got.status == 401
    assert KEY.encode() not in got.raw
    assert not any(KEY in str(line) for line in stage.ledger.lines)


@LAW
@given(st.binary(max_size=60), st.binary(max_size=60), st.data())
async def test_a_secret_is_cut_out_wherever_it_is_split(
    before: bytes, after: bytes, data: st.DataObject
) -> None:
    secret = Secret("s", b"abcabcabd")
    whole = before + b"abcabcabd" + after + b"abcab" + b"abcabcabd"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    parts = [whole[i:j] for i, j in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    got = b"".join([piece async for piece in scrubbed(pieces_of(*parts), [secret])])
    assert got == whole.replace(b"abcabcabd", BLANK)


@LAW
@given(st.lists(st.sampled_from([b"abcabcabd", b"abc", b"d", b"x"]), max_size=12))
async def test_honest_bytes_pass_unchanged(parts: list[bytes]) -> None:
    secret = Secret("s", b"abcabcabd")
    got = b"".join([piece async for piece in scrubbed(pieces_of(*parts), [secret])])
    assert got == b"".join(parts).replace(b"abcabcabd", BLANK)


def test_a_secret_has_no_spelling() -> None:
    secret = Secret("name", KEY.encode())
    assert KEY not in f"{secret} {secret!r}"
    assert repr(secret) == "Secret('name')"
    for travel in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(CallerError, match="does not leave"):
            travel(secret)
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize(
    "value",
    [
        b"", b"short", b"with blank inside", b"two\nlines-here", b"x" * 20_000,
        b"caf\xc3\xa9-cafe", b"nul\0nul-nul",
    ],
)  # fmt: skip
def test_what_cannot_stand_in_a_header_is_no_secret(value: bytes) -> None:
    with pytest.raises(CallerError) as caught:
        Secret("name", value)
    assert len(value) < 3 or value.decode("latin-1") not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    for mode in (0o644, 0o640, 0o604, 0o660, 0o601):
        path.chmod(mode)
        with pytest.raises(CallerError, match="yours alone"):
            secrets.from_file("key", path)
    path.chmod(0o600)
    assert secrets.from_file("key", path).dangerously_value() == KEY.encode()
    link = tmp_path / "link"
    link.symlink_to(path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    for other in (link, tmp_path, fifo, tmp_path / "none", Path("/dev/null")):
        with pytest.raises(NucleusError) as caught:
            secrets.from_file("key", other)
        assert KEY not in str(caught.value)


def test_a_descriptor_is_read_once_and_closed() -> None:
    near, far = os.pipe()
    os.write(far, KEY.encode() + b"\n")
    os.close(far)
    assert secrets.from_fd("key", near).dangerously_value() == KEY.encode()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(near)
    with pytest.raises(WorldError, match="cannot be read"):
        secrets.from_fd("key", near)
