"""What is sent on a stream arrives, in order and once, however the bytes are split."""

from __future__ import annotations

import os
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_vmhost.vm.frames import FRAME, LARGEST, Kind, Reader, spelled
from nucleus_vmhost.vm.streams import (
    MOST,
    WINDOW,
    Ended,
    Opened,
    Received,
    Reset,
    Side,
    Streams,
)

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in zip(places, places[1:], strict=False)]


@settings(max_examples=100 * SCALE)
@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.lists(st.integers(min_value=0), max_size=20),
)
def test_a_frame_does_not_depend_on_how_its_bytes_are_split(
    bodies: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(spelled(Kind.DATA, n + 1, body) for n, body in enumerate(bodies))
    reader = Reader()
    found = [frame for piece in pieces(data, cuts) for frame in reader.frames(piece)]
    assert [(f.stream, f.body) for f in found] == [(n + 1, b) for n, b in enumerate(bodies)]
    assert reader.kept == 0


def test_the_largest_frame_is_64_kib() -> None:
    frame = spelled(Kind.DATA, 1, bytes(LARGEST))
    assert len(frame) == FRAME
    assert [len(f.body) for f in Reader().frames(frame)] == [LARGEST]


@settings(max_examples=20 * SCALE)
@given(
    st.lists(st.integers(0, 3 * WINDOW), min_size=1, max_size=4),
    st.lists(st.integers(min_value=0), max_size=6),
    st.integers(1, WINDOW),
)
def test_every_stream_arrives_whole_through_its_window(
    sizes: list[int], cuts: list[int], bite: int
) -> None:
    guest, host = Streams(Side.GUEST), Streams(Side.HOST)
    names = [guest.open("tools") for _ in sizes]
    left = {n: bytes([i + 1]) * size for i, (n, size) in enumerate(zip(names, sizes, strict=True))}
    whole = dict(left)
    got: dict[int, bytearray] = defaultdict(bytearray)
    unread: dict[int, int] = defaultdict(int)
    opened, ended = set[int](), set[int]()
    while len(ended) < len(sizes) or any(unread.values()):
        for stream, data in left.items():
            assert stream is not None
            left[stream] = data[guest.send(stream, data) :]
            if not left[stream]:
                guest.end(stream)
        for piece in pieces(guest.taken(), cuts):
            for event in host.heard(piece):
                if isinstance(event, Opened):
                    opened.add(event.stream)
                elif isinstance(event, Received):
                    got[event.stream] += event.data
                    unread[event.stream] += len(event.data)
                elif isinstance(event, Ended):
                    ended.add(event.stream)
        assert all(size <= WINDOW for size in unread.values())
        for stream, size in unread.items():
            # Less than a window at a time, so that it is refilled in the midst.
            if eaten := min(size, bite):
                host.consumed(stream, eaten)
                unread[stream] -= eaten
        list(guest.heard(host.taken()))
    assert opened == set(names)
    assert {n: bytes(got[n]) for n in opened} == whole
    for stream in opened:
        host.end(stream)
    list(guest.heard(host.taken()))
    assert guest.live == host.live == 0


def test_a_dropped_stream_is_dropped_at_both_ends_and_what_was_on_its_way_is_passed_over() -> None:
    guest, host = Streams(Side.GUEST), Streams(Side.HOST)
    stream = guest.open("tools")
    assert stream is not None
    assert [type(e) for e in host.heard(guest.taken())] == [Opened]
    host.reset(stream)
    guest.send(stream, b"late")
    assert list(host.heard(guest.taken())) == []
    assert list(guest.heard(host.taken())) == [Reset(stream)]
    assert guest.live == host.live == 0


def test_no_more_streams_than_may_be() -> None:
    guest = Streams(Side.GUEST)
    assert all(guest.open("tools") is not None for _ in range(MOST))
    assert guest.open("tools") is None
