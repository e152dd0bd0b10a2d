"""Whatever a client makes of a request, it has one reading or none, and no answer is a crash."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from nucleus_tokens.errors import CallerError
from nucleus_verifier.sidecar import conventions
from nucleus_verifier.sidecar.asked import Unreadable, bears_body, read_host, read_target
from nucleus_verifier.sidecar.settings import Listener, load

SCALE = int(os.environ.get("NUCLEUS_SCALE", "1"))
HOSTILE = st.text(alphabet="/.%2eEfF5cC;?&=#+aA\\\0\n \t~é@:", max_size=24)
LISTENERS = {
    name: Listener("it", name, "unix:/run/it", peer=True)  # type: ignore[arg-type]
    for name in ("nginx", "forward-auth")
}


@settings(max_examples=400 * SCALE)
@given(HOSTILE)
def test_what_is_read_is_what_every_reader_reads(text: str) -> None:
    """Folding, decoding twice, lower case escapes or a cut at `;` change nothing of what passes."""
    try:
        found = read_target("/" + text)
    except Unreadable:
        return
    path = ("/" + text).partition("?")[0]
    assert os.path.normpath(path) in (path, path[:-1]), "nothing to fold"
    assert unquote(unquote(path)) == unquote(path), "nothing to decode twice"
    assert ";" not in unquote(path)
    assert "\\" not in unquote(path)
    assert [unquote(s) for s in path[1:].split("/")] == list(found.segments)


@settings(max_examples=200 * SCALE)
@given(st.lists(st.text(min_size=1, max_size=8), max_size=3), st.dictionaries(
    st.text(min_size=1, max_size=5), st.text(max_size=5), max_size=3))  # fmt: skip
def test_an_honest_spelling_is_read_back(segments: list[str], query: dict[str, str]) -> None:
    def spelled(text: str) -> str:
        return quote(text, safe="~")

    target = "/" + "/".join(map(spelled, segments))
    if query:
        target += "?" + "&".join(f"{spelled(k)}={spelled(v)}" for k, v in query.items())
    try:
        found = read_target(target)
    except (Unreadable, UnicodeEncodeError):
        return
    assert found.segments == (tuple(segments) or ("",))
    assert found.query == query


NAMES = st.sampled_from(
    [*conventions.NGINX, *conventions.FORWARD, "authorization", "x_original_uri", "x-original-url"]
)
VALUES = st.one_of(
    HOSTILE, st.sampled_from(["GET", "POST", "/notes/one", "tool.example.org", "Bearer x", "0", ""])
)


@settings(max_examples=400 * SCALE)
@given(st.sampled_from(sorted(LISTENERS)), st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_headers_of_another_convention_change_nothing(
    name: str, sent: list[tuple[str, str]]
) -> None:
    listener = LISTENERS[name]
    own = conventions.NGINX if name == "nginx" else conventions.FORWARD
    ours = {*own, "authorization"}

    def read(pairs: list[tuple[str, str]]) -> Any:
        try:
            return conventions.from_subrequest(listener, CIMultiDict(pairs))
        except Unreadable as error:
            return str(error)

    found = read(sent)
    assert found == read([pair for pair in sent if pair[0] in ours])
    names = [key for key, _ in sent if key in ours]
    if not isinstance(found, str):
        assert len(set(names)) == len(names), "twice is never"


@given(HOSTILE)
def test_a_host_is_lower_case_and_plain_or_unknown(text: str) -> None:
    try:
        found = read_host(text)
    except Unreadable:
        return
    assert found == text.lower()
    assert not found.endswith(".")


@pytest.mark.parametrize(
    ("method", "length", "encoding", "bears"),
    [
        ("GET", None, None, False), ("GET", "", "", False), ("GET", "0", None, False),
        ("GET", "1", None, True), ("GET", "00", None, True), ("GET", None, "chunked", True),
        ("POST", "0", None, False), ("POST", "0", "chunked", True), ("POST", None, None, True),
        ("FOO", None, None, True),
    ],
)  # fmt: skip
def test_a_body_is_there_unless_somebody_says_otherwise(
    method: str, length: str | None, encoding: str | None, bears: bool
) -> None:
    assert bears_body(method, length, encoding) is bears


ROUTE = 'tool="t"\nhost="a.example"\nmethod="GET"\npath="/x"\noperation="read_files"\n'
TOP = 'version=1\ninstance="i"\n'
FAR = '[listeners.a]\nconvention="nginx"\naddress="127.0.0.1:80"\n'
DOOR = '[listeners.a]\nconvention="nginx"\naddress="unix:/run/a"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TOP + DOOR + "surprise=1\n[[routes]]\n" + ROUTE, "surprise"),
        (TOP + DOOR.replace("unix:/run/a", "0.0.0.0:80") + "[[routes]]\n" + ROUTE, "gateway"),
        (TOP + DOOR.replace("nginx", "guess") + "[[routes]]\n" + ROUTE, "convention"),
        (TOP + FAR + "peer=true\n[[routes]]\n" + ROUTE, "peer"),
        (TOP + DOOR + 'header="x_token"\n[[routes]]\n' + ROUTE, "underscores"),
        (TOP + DOOR + "[[routes]]\n" + ROUTE + "[[routes]]\n" + ROUTE, "two routes"),
        (TOP + DOOR + "[[routes]]\n" + ROUTE.replace("/x", "/x/../y"), "path"),
        (TOP + DOOR + "[[routes]]\n" + ROUTE.replace("/x", "/{a}/{a}"), "once"),
        (TOP + DOOR + "[[routes]]\n" + ROUTE.replace("/x", "/{a...}/b"), "end"),
        (TOP + DOOR + "[[routes]]\n" + ROUTE.replace("a.example", "A.example."), "host"),
        (TOP + DOOR + "[[routes]]\n" + ROUTE + 'payload=["/header/x"]', "pointer"),
        (TOP + DOOR + "[[routes]]\n" + ROUTE.replace("read_files", "fly"), "fly"),
        (TOP.replace("1", "2", 1) + DOOR + "[[routes]]\n" + ROUTE, "version"),
    ],
)  # fmt: skip
def test_a_file_with_a_mistake_is_refused(text: str, why: str) -> None:
    from pathlib import Path

    with pytest.raises(CallerError, match=why):
        load(Path("sidecar.toml"), text.encode())
    assert load(Path("x"), (TOP + DOOR + "[[routes]]\n" + ROUTE).encode()).instance == "i"
