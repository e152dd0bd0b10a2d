"""The documented configuration of each gateway, on the real server, in front of a real tool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.sidecar.gateways import GATEWAYS, ask, gateway, talk
from tests.sidecar.stage import NAMES, Sidecar, Tool, sidecar
from tests.support import world
from tests.support.patience import until

SHOWING = ("envoy", "envoy-http")
HIDING = ("nginx", "caddy")
STRANGER = {"code": "credential.refused", "sentence": "The credential was refused."}


@dataclass(frozen=True)
class Scene:
    sidecar: Sidecar
    tool: Tool
    ports: dict[str, int]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    root = tmp_path_factory.mktemp("gateways")
    with ExitStack() as stack:
        tool = Tool()
        stack.callback(tool.close)
        made = stack.enter_context(sidecar(root))
        ports = {
            name: stack.enter_context(gateway(name, root, tool.port, made.folder / f"{name}.sock"))
            for name in NAMES
        }
        yield Scene(made, tool, ports)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    given: str = request.param
    return given


def refused(scene: Scene, name: str, *args: object, **kwargs: object) -> None:
    """It does not pass, and the tool hears nothing of it."""
    before = len(scene.tool.seen)
    answer = ask(scene.ports[name], *args, **kwargs)  # type: ignore[arg-type]
    assert answer.status != 200, (name, args, answer)
    assert len(scene.tool.seen) == before, (name, args, scene.tool.seen[-1])


def test_a_valid_token_passes_and_never_reaches_the_tool(scene: Scene, name: str) -> None:
    token = scene.sidecar.bearer()
    answer = ask(scene.ports[name], "/notes/one", token, "X-Nucleus-Decision: 999999")
    assert answer.status == 200, answer
    assert answer.json["path"] == "/notes/one"
    assert "authorization" not in answer.upstream
    assert token not in answer.body.decode()
    (decision,) = answer.upstream["x-nucleus-decision"]
    assert 0 < int(decision) < 999999


def test_what_the_token_does_not_permit_is_refused(scene: Scene, name: str) -> None:
    token = scene.sidecar.bearer(world.levels(read_files="always"), name="reader")
    refused(scene, name, "/notes/keys", token)
    assert ask(scene.ports[name], "/notes/one", token).status == 200
    refused(scene, name, "/search?q=x", token)


def test_a_stranger_gets_one_answer(scene: Scene, name: str) -> None:
    bad = scene.sidecar.bearer()[:-4] + "AAAA"
    answers = [
        ask(scene.ports[name], target, token)
        for target, token in (("/notes/one", None), ("/notes/one", bad), ("/nowhere", "x"))
    ]
    assert {(a.status, a.body) for a in answers} == {(answers[0].status, answers[0].body)}
    assert answers[0].status == 403
    if name != "nginx":  # nginx has a page of its own
        assert answers[0].json == STRANGER


SPELLINGS = [
    "//notes/one", "/notes//one", "/./notes/one", "/notes/./one", "/x/../notes/one",
    "/notes/../notes/one", "/notes/one/..", "/notes/%2e%2e/notes/one", "/%2e/notes/one",
    "/notes%2fone", "/notes%2Fone", "/notes/one%2f..", "/notes%5cone", "/notes\\one",
    "/notes/%6fne", "/notes/one;a=b", "/notes;x/one", "/notes/one%3Bx", "/notes/one%00",
    "/notes/one%0a", "/notes/%252e", "/notes/one#frag", "/NOTES/one", "/notes/one/",
    "/notes/%C0%AE", "/notes/%ff", "/notes/%e2%82%ac", "/notes/one?", "/notes/one?a",
    "/notes/KEYS", "/notes/Keys", "notes/one", "*", "http://other.example.org/notes/one",
    "/search?q=a&q=b", "/search?q=a;q=b", "/search?q=a+b", "/search?q=%2e",
]  # fmt: skip


@pytest.mark.parametrize("target", SPELLINGS)
def test_a_path_has_one_spelling(scene: Scene, target: str) -> None:
    """Either it is refused, or what reaches the tool is exactly what was judged."""
    token = scene.sidecar.bearer(world.levels(read_files="always", grep_search="always"))
    for name, port in scene.ports.items():
        before = len(scene.tool.seen)
        answer = ask(port, target, token)
        if answer.status == 200:
            # Envoy settles the path first and judges what it forwards; Caddy escapes a fragment.
            settled = {"envoy": "/notes/one", "envoy-http": "/notes/one"}
            if target == "/notes/one#frag":
                settled["caddy"] = "/notes/one%23frag"
            assert answer.json["path"] == settled.get(name), (name, target)
        else:
            assert len(scene.tool.seen) == before, (name, target, scene.tool.seen[-1])


@pytest.mark.parametrize(
    "host", ["tool.example.org.", "other.example.org", "tool.example.org:81", "", "a b", "127.1"]
)
def test_another_host_is_another_tool(scene: Scene, name: str, host: str) -> None:
    before = len(scene.tool.seen)
    answer = ask(scene.ports[name], "/notes/one", scene.sidecar.bearer(), host=host)
    if name == "nginx" and host.startswith("tool.example.org"):
        # nginx cuts the dot and the port off, and forwards what it judged.
        assert answer.status != 200 or answer.upstream["host"] == ["tool.example.org"]
        return
    assert answer.status != 200, answer
    assert len(scene.tool.seen) == before


FOREIGN = [
    "X-Original-URI: /notes/one", "X-Original-Url: /notes/one", "X-Forwarded-Uri: /notes/one",
    "X_Original_URI: /notes/one", "X_Forwarded_Uri: /notes/one", "X-Original-Method: GET",
    "X-Forwarded-Method: GET", "X-Forwarded-Host: tool.example.org", "X-Rewrite-URL: /notes/one",
    "X-HTTP-Method-Override: GET", "X-Envoy-Original-Path: /notes/one", ":path: /notes/one",
    "X-Original-Host: tool.example.org", "X-Original-Length: 0",
    "X-Original-Peer: spiffe://example.org/agent",
]  # fmt: skip


def test_a_client_cannot_speak_as_a_gateway(scene: Scene, name: str) -> None:
    """The headers of every convention, once and twice: the request stays what it is."""
    token = scene.sidecar.bearer(world.levels(read_files="always"), name="smuggler")
    for header in FOREIGN:
        refused(scene, name, "/notes/keys", token, header)
        refused(scene, name, "/notes/keys", token, header, header)
    refused(scene, name, "/notes/keys", token, *FOREIGN)
    bound = scene.sidecar.bearer(
        name="peer", holder=world.Holder("spiffe://example.org/agent", None)
    )
    refused(scene, name, "/notes/one", bound, "X-Original-Peer: spiffe://example.org/agent")
    refused(scene, name, "/notes/one", bound, "X-Original-Client-Cert: x")


def test_a_credential_stands_in_one_place(scene: Scene, name: str) -> None:
    token = scene.sidecar.bearer()
    again = f"Authorization: Bearer {token}"
    port = scene.ports[name]
    before = len(scene.tool.seen)
    assert ask(port, "/notes/one", "x", again).status != 200
    assert ask(port, "/notes/one", None, f"X-Token: {token}").status != 200
    assert ask(port, f"/notes/one?token={token}", None).status != 200
    assert ask(port, "/notes/one", None, f"Proxy-Authorization: Bearer {token}").status != 200
    assert ask(port, "/notes/one", None, f"authorization : Bearer {token}").status != 200
    assert len(scene.tool.seen) == before


def test_a_request_in_two_readings_is_no_request(scene: Scene, name: str) -> None:
    """Smuggling between client, gateway and sidecar: no second request appears behind the first."""
    token = scene.sidecar.bearer(world.levels(read_files="always"), name="two")
    head = f"GET /notes/one HTTP/1.1\r\nHost: tool.example.org\r\nAuthorization: Bearer {token}\r\n"
    hidden = "GET /notes/keys HTTP/1.1\r\nHost: tool.example.org\r\n\r\n"
    for more in (
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\nContent-Length: 64\r\n\r\n",
        "Content-Length: +0\r\n\r\n",
        f"Content-Length: {len(hidden)}\r\n\r\n",
    ):
        talk(scene.ports[name], (head + more + hidden).encode())
    assert not any(each["path"] == "/notes/keys" for each in scene.tool.seen)


@pytest.mark.parametrize("name", SHOWING)
def test_a_body_that_is_shown_is_judged(scene: Scene, name: str) -> None:
    limits = ["arg", "notes.write", {"/body/name": ["equals", "one"], "/body/text": ["any"]}]
    token = scene.sidecar.bearer(world.all_levels(), limits, name=f"body-{name}")
    port, json_type = scene.ports[name], "Content-Type: application/json"
    good = b'{"name":"one","text":"hello"}'
    answer = ask(port, "/notes", token, json_type, method="POST", body=good)
    assert answer.status == 200, answer
    assert answer.json["body"].encode() == good
    for bad in (
        b'{"name":"two","text":"hello"}',
        b'{"name":"one","name":"two"}',
        b'{"name":"one","text":"x","more":1}',
        b"not json",
        b'{"name":"one","text":"' + b"x" * (1 << 20) + b'"}',
    ):
        refused(scene, name, "/notes", token, json_type, method="POST", body=bad)
    refused(scene, name, "/notes", token, "Content-Type: text/plain", method="POST", body=good)
    gzip = "Content-Encoding: gzip"
    refused(scene, name, "/notes", token, json_type, gzip, method="POST", body=good)
    refused(scene, name, "/notes/one", scene.sidecar.bearer(), method="GET", body=good)


@pytest.mark.parametrize("name", HIDING)
def test_a_body_that_is_not_shown_is_not_spoken_about(scene: Scene, name: str) -> None:
    port = scene.ports[name]
    body = b'{"name":"one","text":"hello"}'
    assert ask(port, "/notes", scene.sidecar.bearer(), method="POST", body=body).status == 200
    limits = ["arg", "notes.write", {"/body/name": ["equals", "one"], "/body/text": ["any"]}]
    token = scene.sidecar.bearer(world.all_levels(), limits, name="hidden")
    before = len(scene.tool.seen)
    answer = ask(port, "/notes", token, method="POST", body=body)
    assert answer.status == 403
    if name == "caddy":
        assert answer.json["code"] == "body.unseen"
        assert "Envoy" in answer.json["hint"]
    signed = scene.sidecar.signed("notes.write", {})
    assert ask(port, "/notes", signed, method="POST", body=body).status == 403
    about = "HTTP/1.1\r\nHost: tool.example.org\r\nAuthorization: Bearer"
    chunked = f"POST /notes {about} {signed}\r\n"
    chunk = "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    assert talk(port, (chunked + chunk).encode()).status == 403
    assert len(scene.tool.seen) == before
    # A route without a body has none, whoever asks.
    for method, target in (("GET", "/notes/one"), ("POST", "/ping")):
        assert ask(port, target, scene.sidecar.bearer(), method=method, body=body).status != 200
    length = "Content-Length: 0"
    assert ask(port, "/ping", scene.sidecar.bearer(), length, method="POST").status == 200
    # And a GET with one is refused.
    signed = scene.sidecar.signed("notes.read", {"path": {"name": "one"}})
    for more in (f"Content-Length: {len(body)}\r\n\r\n{body.decode()}", chunk):
        head = f"GET /notes/one {about} {signed}\r\n"
        assert talk(port, (head + more).encode()).status != 200
    assert {each["path"] for each in scene.tool.seen[before:]} == {"/ping"}


def test_a_request_is_good_once_and_here(scene: Scene, name: str) -> None:
    port, args = scene.ports[name], {"path": {"name": "one"}}
    signed = scene.sidecar.signed("notes.read", args)
    assert ask(port, "/notes/two", signed).status == 403
    assert ask(port, "/notes/one", signed).status == 200
    assert ask(port, "/notes/one", signed).status == 403
    elsewhere = scene.sidecar.signed("notes.read", args, instance="verifier:other")
    assert ask(port, "/notes/one", elsewhere).status == 403
    assert ask(port, "/notes/one", scene.sidecar.bearer(holder=world.AGENT)).status == 403


def test_a_budget_is_one_through_all_gateways(scene: Scene) -> None:
    token = scene.sidecar.bearer(world.all_levels(), ["budget", "calls", 6], name="budget")
    passed = [
        ask(port, "/notes/one", token).status == 200
        for _ in range(3)
        for port in scene.ports.values()
    ]
    assert passed == [True] * 6 + [False] * 6


def test_a_path_caveat_is_about_the_path_that_is_named(scene: Scene, name: str) -> None:
    token = scene.sidecar.bearer(world.all_levels(), ["path", "in", ["/docs"]], name="paths")
    assert ask(scene.ports[name], "/files/docs/a.txt", token).status == 200
    refused(scene, name, "/files/etc/passwd", token)
    refused(scene, name, "/files/docs/../etc/passwd", token)


def test_reasons_are_in_the_log_alone(scene: Scene) -> None:
    wanted = {"route.unknown", "path.segments", "request.replayed"}
    until(lambda: wanted <= {str(e.get("why")) for e in scene.sidecar.events()}, str(wanted))
    assert scene.sidecar.ready() == (200, {"ready": True, "missing": []})


def test_the_configurations_say_what_traefik_needs() -> None:
    assert "not run" in (GATEWAYS / "traefik.yaml").read_text()


def test_without_a_sidecar_nothing_passes(scene: Scene) -> None:
    """The last one here: it takes the sidecar away."""
    token = scene.sidecar.bearer()
    scene.sidecar.kill()
    for name in NAMES:
        refused(scene, name, "/notes/one", token)
    scene.sidecar.start()
    for name in NAMES:
        assert ask(scene.ports[name], "/notes/one", token).status == 200, name
