"""The `egress` section: what it opens, and what refuses the whole file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nucleus_proxy import policy
from nucleus_proxy.egress import compose
from nucleus_proxy.egress.dial import Private
from nucleus_proxy.egress.resolving import PinnedResolver
from nucleus_proxy.egress.routes import Price
from nucleus_proxy.egress.rules import Egress
from nucleus_proxy.live import Live
from nucleus_tokens import label_names, names
from nucleus_tokens.errors import CallerError
from tests.egress.fake_provider import provider
from tests.egress.far import HOST
from tests.egress.model_stage import ROUTES
from tests.egress.out_stage import BASE, KEY
from tests.house.source import ROOT
from tests.proxy.stage import Stage, within
from tests.support import internet, world

WHOLE = """
connect = ["git.example.org:443", "*.example.net:443"]
hosts = ["example.com", "*.example.org"]
ports = [80, 443, 8443]
types = ["text/*"]
answer_bytes = 1000
body_bytes = 500
seconds = 5
[egress.methods]
"api.example.org" = ["POST"]
[egress.pins]
"git.example.org" = ["93.184.215.14"]
[egress.private]
"index.local:8080" = "127.0.0.1"
[egress.secrets]
a = { file = "keys/a" }
b = { fd = 7 }
[egress.routes.claude]
class = "model"
shape = "anthropic"
url = "https://api.example.com"
secret = "a"
models = { "m-1" = { input = 3, output = 15 } }
[egress.routes.tracker]
class = "trusted_sink"
url = "https://tracker.example.com/api"
secret = "b"
header = "X-Token: Key {}"
methods = ["GET", "POST"]
paths = ["/tickets"]
operation = "create_pr"
sink = "ticket_write"
"""


def parsed(section: str) -> Egress:
    text = BASE.replace("{gate}", "").replace("{egress}", section)
    return policy.parse(text.encode(), base=Path("/etc/nucleus")).egress


def test_a_whole_section() -> None:
    rules = parsed(WHOLE)
    assert rules.connect == {"git.example.org:443", "*.example.net:443"}
    assert rules.hosts == frozenset(("example.com", "*.example.org"))
    assert rules.limits.ports == {80, 443, 8443}
    assert (rules.limits.answer_bytes, rules.limits.types) == (1000, ("text/*",))
    assert rules.methods == {"api.example.org": frozenset(("POST",))}
    assert rules.pins == {"git.example.org": ("93.184.215.14",)}
    assert rules.private == (Private("index.local", 8080, "127.0.0.1"),)
    assert rules.secrets["a"].file == Path("/etc/nucleus/keys/a")
    assert rules.secrets["b"].fd == 7
    claude, tracker = rules.routes["claude"], rules.routes["tracker"]
    assert (claude.tool, claude.header, claude.prefix) == ("model/claude", "x-api-key", "")
    assert claude.models == {"m-1": Price(3, 15)}
    assert claude.operation == names.operation("web_fetch")
    assert claude.sink == label_names.sink("secret_read")
    assert (tracker.header, tracker.prefix) == ("x-token", "Key ")
    assert tracker.sink == label_names.sink("ticket_write")
    assert tracker.methods == {"GET", "POST"}


def test_by_default_nothing_is_open_but_a_fetch() -> None:
    rules = parsed("")
    assert rules == Egress()
    assert (rules.connect, rules.routes, rules.methods, rules.private) == (frozenset(), {}, {}, ())
    assert rules.limits.ports == {80, 443}


ROUTE = """
secrets.k.file = "k"
[egress.routes.r]
class = "model"
url = "https://api.example.com"
secret = "k"
models.m = { input = 1, output = 1 }
"""
SINK = """
secrets.k.file = "k"
[egress.routes.r]
class = "trusted_sink"
url = "https://api.example.com"
secret = "k"
"""


def test_the_examples_below_start_from_good_ones() -> None:
    assert parsed(ROUTE).routes["r"].kind == "model"
    assert parsed(SINK).routes["r"].methods == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "section",
    [
        "open = true", 'connect = ["example.org"]', 'connect = ["*:443"]', 'connect = "x:443"',
        'connect = ["127.0.0.1:443"]', 'connect = ["[::1]:443"]', 'connect = ["EXAMPLE.org:443"]',
        'connect = ["example.org:0"]', 'connect = ["*.*.org:443"]', 'hosts = ["*"]',
        'hosts = ["exa mple"]', "ports = [0]", 'ports = ["80"]', "ports = [true]", "ports = 80",
        "seconds = 0", "seconds = 1.5", "seconds = 99999", "answer_bytes = -1", "types = [1]",
        'methods = { "a.test" = "POST" }', 'methods = { "a.test" = ["BREW"] }',
        'methods = { "A.test" = ["POST"] }', 'pins = { "a.test" = [] }',
        'pins = { "a.test" = ["a.test"] }', 'pins = { "a.test" = ["127.1"] }',
        'private = { "a.test" = "127.0.0.1" }', 'private = { "a.test:80" = "93.184.215.14" }',
        'private = { "a.test:80" = "127.0.0.0/8" }', 'private = { "*.test:80" = "127.0.0.1" }',
        'secrets.k = {}', 'secrets.k = { file = "a", fd = 4 }', 'secrets.k = { env = "KEY" }',
        'secrets.k = { value = "x" }', "secrets.k = { fd = 2 }", 'secrets.k = "x"',
        ROUTE.replace('class = "model"', 'class = "open"'), ROUTE.replace("https:", "http:"),
        ROUTE.replace("https://api", "https://user@api"), ROUTE.replace(".com", ".com/?x=1"),
        ROUTE.replace('secret = "k"', 'secret = "other"'), ROUTE.replace('secret = "k"', ""),
        ROUTE.replace("models.m = { input = 1, output = 1 }", ""), ROUTE + "paths = ['/']",
        ROUTE.replace("input = 1", "input = -1"), ROUTE.replace("input = 1", "input = 0.5"),
        ROUTE.replace("input = 1, ", ""), ROUTE + 'shape = "gemini"', ROUTE + 'operation = "x"',
        ROUTE + 'header = "Host: {}"', ROUTE + 'header = "x {}"', ROUTE + 'header = "x: {}{}"',
        ROUTE + 'header = "x: a"', ROUTE + 'sink = "x"', ROUTE + "max_output_tokens = 0",
        ROUTE.replace("routes.r", 'routes."a/b"'), SINK + 'paths = ["x"]', SINK + "paths = []",
        SINK + 'methods = ["TRACE"]', SINK + 'shape = "openai"', SINK + 'operation = "run_bash"',
    ],
)  # fmt: skip
def test_what_refuses_the_whole_file(section: str) -> None:
    with pytest.raises(CallerError) as caught:
        parsed(section)
    assert caught.value.code in ("policy.value", "policy.unknown_key")


async def test_a_composition_from_a_policy_file_alone(tmp_path: Path) -> None:
    """A socket of its own directory, a secret from a file, a route, and an answer."""
    roots, _, _ = internet.make_authority(tmp_path, [HOST])
    key = tmp_path / "key"
    key.write_text(KEY)
    async with provider(KEY) as far:
        text = BASE.replace("{gate}", "").replace(
            "{egress}", ROUTES.replace("{port}", str(far.port)).replace("{operation}", "read_files")
        )
        key.chmod(0o644)
        made = policy.parse(text.encode(), base=tmp_path)
        with pytest.raises(CallerError, match="yours alone"):
            compose.secrets(made.egress)
        key.chmod(0o600)
        stage = Stage()
        stage.mediator.judge.policy = made
        live = Live()
        names_of = PinnedResolver({HOST: ["127.0.0.1"]})
        client = compose.fetcher(made.egress, resolver=names_of, roots=roots)
        folder = tmp_path / "run"
        async with compose.outward(
            folder / "egress.sock", mediator=stage.mediator, live=live,
            ledger=live.watched(stage.ledger), fetching=client,
            secrets=compose.secrets(made.egress), held=world.text(stage.token()),
        ):  # fmt: skip
            assert (folder / "egress.sock").stat().st_mode & 0o777 == 0o600
            reader, writer = await asyncio.open_unix_connection(folder / "egress.sock")
            writer.write(b"GET /model/openai/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b" 200 " in await within(reader.readline())
            writer.close()
    assert far.asked[0]["headers"]["authorization"] == f"Bearer {KEY}"


def test_the_example_of_the_documentation_is_a_policy() -> None:
    page = (ROOT / "docs" / "spec" / "policy.md").read_text()
    example = page.split("## `egress`")[1].split("```toml\n")[1].split("```")[0]
    rules = policy.parse(b"version = 1\n" + example.encode(), base=Path("/etc")).egress
    assert sorted(rules.routes) == ["openai", "tracker"]
