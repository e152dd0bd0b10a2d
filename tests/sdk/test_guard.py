"""A guarded function runs under a decision for its very arguments, recorded before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus import ApprovalRequired, NucleusError, PolicyDenied, approve, guard
from nucleus.aio import Session as AsyncSession
from nucleus.aio import approve as approve_async
from nucleus.approver import Approve
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
