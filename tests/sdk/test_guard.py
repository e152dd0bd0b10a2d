"""A guarded function runs under a decision for its very arguments, recorded before it starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nucleus import ApprovalRequired, NucleusError, PolicyDenied, approve, guard
from nucleus.aio import Session as AsyncSession
from nucleus.aio import approve as approve_async
from nucleus.approver import Approve
from nucleus_tokens.names import OPERATIONS
from tests.cli.command import Desk
from tests.sdk.stage import Served, serving
from tests.sdk.test_approvals import answered_by

ran: list[tuple[str, int]] = []


@guard("read_files", selectors={"path": "path"})
def count(path: str, times: int = 1) -> int:
    """How often."""
    ran.append((path, times))
    return times


@guard("git_push", selectors={"ref": "ref", "repo": "path"})
def publish(ref: str, repo: str) -> None:
    ran.append((ref, 0))


@guard("web_fetch", selectors={"url": "url"}, labels=["private_data"], name="inbox")
async def mail(url: str) -> str:
    ran.append((url, 0))
    return "mail"


@pytest.fixture(autouse=True)
def _clean() -> None:
    ran.clear()


def test_it_runs_once_it_was_allowed(served: Served, folder: Path) -> None:
    with served.session("codegen") as s:
        assert count(str(folder), times=3) == 3
        records = [r["record"] for r in served.trace()]
        mine = [r for r in records if r.get("token", {}).get("tid") == s.about.tid]
        assert [r["call"]["tool"] for r in mine] == ["guard:count"]
        assert [r["ok"] for r in records if r["type"] == "outcome"][-1] is True
    assert ran == [(str(folder), 3)]
    assert count.__doc__ == "How often."


def test_it_does_not_run_when_it_is_denied(served: Served) -> None:
    with served.session("codegen"):
        with pytest.raises(PolicyDenied, match=r"scope\.outside"):
            count("/etc/passwd")
        with pytest.raises(PolicyDenied, match=r"level\.never"):
            publish("refs/heads/main", str(served.workspace))
    assert not ran
    with pytest.raises(NucleusError, match=r"session\.none"):
        count("x")
    assert not ran


def test_its_failure_is_recorded_and_its_own(served: Served, folder: Path) -> None:
    @guard("read_files", selectors={"path": "path"})
    def fail(path: str) -> None:
        raise KeyError(path)

    with served.session("codegen"), pytest.raises(KeyError):
        fail(str(folder))
    outcomes = [r["record"] for r in served.trace() if r["record"]["type"] == "outcome"]
    assert outcomes[-1]["ok"] is False


def test_it_waits_for_a_person(served: Served) -> None:
    where = str(served.workspace)
    with served.session("release") as s:
        with pytest.raises(ApprovalRequired) as asked:
            publish("refs/heads/main", where)
        assert {"op:git_push", "gate:exposure", "input:/ref"} <= set(asked.value.obligations)
        assert s.explain(publish, "refs/heads/main", where).verdict == "ask"
        with answered_by(served.desk, lambda _: Approve()):
            approve("publish", publish, "refs/heads/main", where)
            approve("git_push", publish, "refs/heads/next", where)
        with pytest.raises(ApprovalRequired):
            publish("refs/heads/main", where)
    assert ran == [("refs/heads/main", 0), ("refs/heads/next", 0)]


async def test_a_coroutine_is_guarded_in_a_session_to_be_awaited(served: Served) -> None:
    async with AsyncSession("research-web", workspace=served.workspace, socket=served.socket) as s:
        with pytest.raises(ApprovalRequired):
            await mail("https://mail.example/")
        assert (await s.explain(mail, "https://mail.example/")).verdict == "ask"
        with answered_by(served.desk, lambda _: Approve()):
            assert await approve_async("inbox", mail, "https://mail.example/") == "mail"
    with (
        served.session("research-web"),
        pytest.raises(NucleusError, match=r"session\.other_kind"),
    ):
        await mail("https://mail.example/")
    assert ran == [("https://mail.example/", 0)]


PROFILE = """
name = "wide"
description = "Everything but what must be told apart here."
ttl_seconds = 600
[levels]
{levels}
[budget]
usd = "0"
tokens_in = 0
tokens_out = 0
"""
POLICY = 'version = 1\n[wall]\nid = "{wall}"\nshows = []\n[workspace]\nroot = "."\nshows = []\n'
KINDS: list[tuple[str, str, object, list[Any], object]] = [
    # operation, kind, an argument inside, the caveat, an argument outside
    ("read_files", "path", "{here}/a", ["path", "in", ["{here}/a"]], "{here}/b"),
    ("web_fetch", "url", "https://a.example/x", ["host", "in", ["a.example"]], "https://b.example"),
    ("web_fetch", "host", "a.example:8443", ["host", "in", ["a.example"]], "a.example.b"),
    ("git_push", "ref", "refs/heads/main", ["ref", "in", ["main"]], "refs/heads/other"),
    ("run_bash", "argv", ["make", "all"], ["cmd", "in", [["make"]]], ["sh", "-c", "make"]),
    ("manage_pods", "payee", "shop", ["arg", "guard:it", {"/it": ["equals", "shop"]}], "thief"),
    ("manage_pods", "amount", 10, ["arg", "guard:it", {"/it": ["range", 0, 10]}], 11),
    ("manage_pods", "recipient", "a", ["arg", "guard:it", {"/it": ["one-of", ["a", "b"]]}], "c"),
    ("manage_pods", "id", "71", ["arg", "guard:it", {"/it": ["prefix", "7"]}], "81"),
]


@pytest.fixture(scope="module")
def wide(host: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    levels = "\n".join(f'{name} = "always"' for name in OPERATIONS)
    profile = host.file("wide.toml", PROFILE.format(levels=levels))
    policy = host.file("walled.toml", POLICY.format(wall="wide"))
    folder = tmp_path_factory.mktemp("wide")
    with serving(host, folder, "--profile", profile, "--policy", policy) as made:
        yield made


@pytest.mark.parametrize(("operation", "kind", "inside", "caveat", "outside"), KINDS)
def test_each_kind_of_selector_is_held_to_its_scope(
    wide: Served, operation: str, kind: str, inside: object, caveat: list[Any], outside: object
) -> None:
    def here(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("{here}", str(wide.workspace)))

    if kind == "path":

        @guard(operation, selectors={"it": kind}, name="it")
        def call(it: object) -> None:
            ran.append((str(it), 0))

        given: dict[str, Any] = {}
    else:
        # What may touch a file says which.
        @guard(operation, selectors={"it": kind, "at": "path"}, name="it")
        def call(it: object, at: str = "") -> None:
            ran.append((str(it), 0))

        given = {"at": str(wide.workspace)}
        if caveat[0] == "arg":
            caveat[2]["/at"] = ["any"]
    with wide.session() as s:
        s.attenuate(here(caveat))
        assert s.explain(call, here(inside), **given).verdict in ("allow", "ask")
        with pytest.raises(PolicyDenied, match=r"scope\.(outside|arguments)") as denied:
            call(here(outside), **given)
        assert (denied.value.step, json.loads(denied.value.caveat)) == (10, here(caveat))
    assert not ran


def test_what_it_brings_the_session_has_seen(host: Desk, tmp_path: Path) -> None:
    """Its labels are added to what its operation records, before it runs."""

    @guard("glob_search", selectors={"at": "path"}, labels=["untrusted_content"])
    def letters(at: str) -> str:
        assert here.exposure == {"private_data", "untrusted_content"}
        return "letters"

    @guard("glob_search", selectors={"at": "path"})
    def names(at: str) -> str:
        return "names"

    policy = host.file("labels.toml", POLICY.format(wall="labels"))
    words = ("--profile", "codegen", "--policy", policy)
    with serving(host, tmp_path, *words) as made, made.session() as here:
        assert here.exposure == set()
        assert names(str(tmp_path)) == "names"
        before = here.exposure
        assert "untrusted_content" not in before
        assert letters(str(tmp_path)) == "letters"
        assert here.exposure == before | {"untrusted_content"}


def test_the_operators_binding_is_worth_more(host: Desk, tmp_path: Path) -> None:
    policy = host.file("guard.toml", 'version = 1\n[tools."guard:count"]\noperation = "git_push"\n')
    with (
        serving(host, tmp_path, "--profile", "codegen", "--policy", policy) as made,
        made.session(),
        pytest.raises(PolicyDenied, match=r"level\.never"),
    ):
        count(str(tmp_path))
    assert not ran


def test_a_mistake_is_found_when_it_is_written() -> None:
    with pytest.raises(NucleusError, match=r"guard\.operation"):
        guard("fly")
    with pytest.raises(NucleusError, match=r"guard\.labels"):
        guard("read_files", labels=["secret"])
    with pytest.raises(NucleusError, match=r"guard\.selectors"):
        guard("read_files", selectors={"pat": "path"})(len)


def test_what_is_no_json_does_not_run(served: Served) -> None:
    with served.session("codegen"), pytest.raises(NucleusError, match=r"call\.arguments"):
        count(object())  # type: ignore[arg-type]
    assert not ran
