"""A hostile other end: whatever it says, one clear refusal, or nothing but bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_vmhost.vm.frames import FRAME, LARGEST, Broken, Kind, spelled
from nucleus_vmhost.vm.streams import (
    GREETING,
    MOST,
    WAITING,
    WINDOW,
    Opened,
    Side,
    Streams,
)

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
HELLO = spelled(Kind.HELLO, 0, GREETING)
OPEN = spelled(Kind.OPEN, 1, b"tools")


def host(*said: bytes) -> Streams:
    """A host that was greeted and heard what is given."""
    one = Streams(Side.HOST)
    list(one.heard(HELLO + b"".join(said)))
    return one


def refusal(one: Streams, said: Iterable[bytes]) -> str:
    """Why what is said is refused, or nothing where it is not."""
    try:
        for piece in said:
            list(one.heard(piece))
    except Broken as refused:
        return str(refused)
    return ""


HEADS = st.builds(
    lambda kind, stream, length, body: (
        kind.to_bytes(1, "big") + stream.to_bytes(4, "big") + length.to_bytes(2, "big") + body
    ),
    st.integers(0, 8),
    st.integers(0, 6) | st.integers(0, 2**32 - 1),
    st.integers(0, 40) | st.integers(0, 65535),
    st.binary(max_size=40),
)
FRAMES = st.builds(
    spelled,
    st.sampled_from(Kind),
    st.integers(0, 6),
    st.sampled_from((b"", b"tools", b"\0\0\0\1", GREETING)) | st.binary(max_size=40),
)


@settings(max_examples=300 * SCALE)
@given(st.booleans(), st.lists(st.binary(max_size=80) | HEADS | FRAMES, max_size=12))
def test_any_bytes_are_refused_clearly_or_kept_within_bounds(
    greeted: bool, said: list[bytes]
) -> None:
    one = host(OPEN) if greeted else Streams(Side.HOST)
    if why := refusal(one, said):
        assert len(why) < 100
        assert refusal(one, [HELLO + OPEN]) == why
        assert one.live == 0
    assert one.live <= MOST
    assert one.kept < FRAME + MOST * WINDOW


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ((OPEN,), "the greeting comes first"),
        ((HELLO, HELLO), "the greeting comes first"),
        ((spelled(Kind.HELLO, 0, b"nucleus-vm/2"),), "another version"),
        ((b"\x07" + bytes(6),), "of kind 7"),
        ((HELLO, b"\x03\0\0\0\1\xff\xff"), "does not carry 65535"),
        ((HELLO, b"\x03\0\0\0\1\0\0"), "does not carry 0"),
        ((HELLO, b"\x04\0\0\0\1\0\3"), "does not carry 3"),
        ((HELLO, b"\x03\0\0\0\0\0\1x"), "not of stream 0"),
        ((HELLO, spelled(Kind.OPEN, 2, b"tools")), "not the other end's"),
        ((HELLO, OPEN, OPEN), "not the other end's"),
        ((HELLO, spelled(Kind.OPEN, 3, b"tools"), OPEN), "not the other end's"),
        ((HELLO, spelled(Kind.OPEN, 1, b"../tools")), "no name of a service"),
        ((HELLO, spelled(Kind.DATA, 1, b"x")), "never opened"),
        ((HELLO, spelled(Kind.RESET, 2)), "never opened"),
        ((HELLO, OPEN, spelled(Kind.END, 1), spelled(Kind.DATA, 1, b"x")), "after its end"),
        ((HELLO, OPEN, spelled(Kind.END, 1), spelled(Kind.END, 1)), "after its end"),
        ((HELLO, OPEN, spelled(Kind.CREDIT, 1, b"\0\0\0\1")), "a window it cannot have"),
        ((HELLO, OPEN, spelled(Kind.CREDIT, 1, bytes(4))), "a window it cannot have"),
    ],
)
def test_what_may_not_be_said_ends_the_channel(said: tuple[bytes, ...], why: str) -> None:
    assert why in refusal(Streams(Side.HOST), said)


def test_a_giant_frame_is_refused_from_its_head() -> None:
    one = host(OPEN)
    with pytest.raises(Broken, match="does not carry"):
        list(one.heard(b"\x03\0\0\0\1" + (LARGEST + 1).to_bytes(2, "big")))
    assert one.kept <= FRAME


def test_a_flood_of_one_stream_ends_at_its_window() -> None:
    one = host(OPEN)
    piece = spelled(Kind.DATA, 1, bytes(32768))
    assert refusal(one, [piece] * (WINDOW // 32768)) == ""
    assert one.kept == WINDOW
    assert "more than its window" in refusal(one, [spelled(Kind.DATA, 1, b"x")])


def test_a_flood_of_streams_is_dropped_and_keeps_nothing() -> None:
    one = host()
    opened = 0
    for n in range(10 * MOST):
        opened += sum(isinstance(e, Opened) for e in one.heard(spelled(Kind.OPEN, 2 * n + 1, b"t")))
    assert opened == one.live == MOST


def test_half_read_streams_count_until_they_are_read() -> None:
    one = host()
    for n in range(2 * MOST):
        stream = 2 * n + 1
        said = spelled(Kind.OPEN, stream, b"t") + spelled(Kind.DATA, stream, bytes(1000))
        list(one.heard(said + spelled(Kind.END, stream)))
        one.end(stream)
    assert one.live == MOST
    assert one.kept == MOST * 1000


def test_who_does_not_read_is_not_answered_without_end() -> None:
    one = host(*(spelled(Kind.OPEN, 2 * n + 1, b"t") for n in range(MOST)))
    stream = 2 * MOST + 1
    while not one.full:
        list(one.heard(spelled(Kind.OPEN, stream, b"t")))
        stream += 2
    assert one.waiting < WAITING + FRAME
    assert one.send(1, b"more") == 0


def test_a_channel_cut_inside_a_frame_says_so() -> None:
    one = host(OPEN[:-1])
    with pytest.raises(Broken, match="cut inside a frame"):
        one.over()
