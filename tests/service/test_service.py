"""The issuer as a service: what the policy gives is given, once, and taken back for everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nucleus_issuer import keys
from nucleus_issuer.desk import ApprovalDesk
from nucleus_tokens import chain, exchanges, header, holding, names, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_tokens.header import UnverifiedHeader
from nucleus_verifier.rpc import issuer_pb2 as pb
from nucleus_verifier.rpc.client import IssuerClient
from tests.cli.command import PASSPHRASE
from tests.service.stage import Stage, order, revoked, running
from tests.support import world

AGENT = "spiffe://example.org/agent"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(tmp_path_factory.mktemp("service"), "--lease", "2s") as made:
        made.register()
        yield made


def opened(text: str) -> tuple[UnverifiedToken, UnverifiedHeader]:
    token = holding.read_token(text)
    return token, header.parse(token.identifier)


async def ordered(client: IssuerClient, key: str, **changes: Any) -> pb.Minted:
    holder = pb.Holder(key=world.public("agent"))
    return await client.issue(order(key, holder=holder, **changes))


async def code_of(awaited: Any) -> str:
    with pytest.raises(NucleusError) as said:
        await awaited
    return said.value.code


# Issuing ----------------------------------------------------------------------------------------


async def test_a_token_is_sealed_to_the_key_that_its_audience_registered(stage: Stage) -> None:
    async with stage.client("agent") as agent:
        made = await ordered(agent, "sealed")
    token, fields = opened(made.token)
    assert (fields.aud, fields.akid, fields.sub) == ("tool.example", "k1", AGENT)
    assert fields.holder == (AGENT, world.public("agent"))
    root_key = header.open_seal(
        fields.seal_audience, world.secret("audience"), world.AUDIENCE.public
    )
    assert chain.rid(chain.first_tag(root_key, token.identifier)) == made.rid


async def test_what_the_grant_restricts_is_in_every_token(stage: Stage) -> None:
    async with stage.client("agent") as agent:
        made = await ordered(agent, "narrow", caveats=['["host","in",["example.com"]]'])
    body = json.loads(opened(made.token)[1].signed.split(b"\0", 1)[0])
    assert ["path", "in", ["/srv/**"]] in body["ceil"]
    assert ["host", "in", ["example.com"]] in body["ceil"]


async def test_one_order_is_carried_out_once_and_a_key_is_its_callers_own(stage: Stage) -> None:
    async with stage.client("agent") as agent, stage.client("other") as other:
        made = await ordered(agent, "once")
        with pytest.raises(CallerError, match=made.tid) as said:
            await ordered(agent, "once")
        assert said.value.code == "token.already_issued"
        assert (await ordered(other, "once")).tid != made.tid


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"profile": "local-dev"}, "issue.grant"),
        ({"audience": "else.example"}, "issue.grant"),
        ({"ttl": 3601}, "issue.ttl"),
        ({"ttl": -1}, "issue.ttl"),
        ({"depth": 3}, "issue.depth"),
        ({"depth": -1}, "issue.depth"),
        ({"sub": "spiffe://example.org/ops"}, "issue.subject"),
        ({"holder": pb.Holder(spiffe="spiffe://example.org/other")}, "issue.holder"),
        ({"holder": pb.Holder(key=b"short")}, "issue.holder"),
        ({"holder": pb.Holder(bearer=True)}, "issue.bearer"),
        ({"caveats": ["[]"]}, "issuance.caveat"),
        ({"caveats": ['["or",[]]']}, "issuance.caveat"),
        ({"caveats": ['["path","in",["/"]]'] * 65}, "issue.too_many"),
        ({"idempotency_key": ""}, "issue.idempotency"),
        ({"idempotency_key": "k" * 129}, "issue.idempotency"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_subject_that_asks_for_more_than_its_grant_gets_nothing(
    stage: Stage, changes: dict[str, Any], code: str
) -> None:
    async with stage.client("agent") as agent:
        before = len(await agent.list())
        assert await code_of(agent.issue(order("more", **changes))) == code
        assert len(await agent.list()) == before


async def test_an_audience_key_is_never_replaced_under_its_id(stage: Stage) -> None:
    async with stage.client("tool") as tool:
        other = world.ELSEWHERE.public
        assert await code_of(tool.register_audience("tool.example", "k1", other)) == (
            "audience.taken"
        )
        assert await code_of(tool.register_audience("proxy:test", "k2", other)) == (
            "audience.not_yours"
        )
        await tool.register_audience("tool.example", "k1", world.AUDIENCE.public)
        bundle = await tool.trust_bundle("tool.example")
    assert [(a.akid, a.public) for a in bundle.audience_keys] == [("k1", world.AUDIENCE.public)]
    assert bundle.lease_millis == 2000
    known = stage.ring().bundle()
    assert [(i.iss, i.kid, i.public) for i in bundle.issuers] == [
        (i.iss, i.kid, i.public) for i in known.issuers
    ]
    assert [a.id for a in bundle.approvers] == ["person"]


# Exchanging -------------------------------------------------------------------------------------


def statement(token: UnverifiedToken, audience: str, nonce: str, holder: str = "agent") -> bytes:
    return exchanges.write(token, world.secret(holder), audience=audience, nonce=world.hex16(nonce))


async def test_an_exchanged_token_dies_with_what_it_came_from(stage: Stage) -> None:
    async with stage.client("agent") as agent:
        made = await ordered(agent, "parent")
        token, _ = opened(made.token)
        said = statement(token, "else.example", "n1")
        child = await agent.exchange(pb.ExchangeRequest(token=made.token, statement=said))
        again = agent.exchange(pb.ExchangeRequest(token=made.token, statement=said))
        assert await code_of(again) == "token.already_issued"
        assert opened(child.token)[1].aud == "else.example"
        await revoked(agent, token=made.token)
        (listed,) = [each for each in await agent.list() if each.tid == child.tid]
        assert listed.revoked
        said = statement(token, "else.example", "n2")
        late = agent.exchange(pb.ExchangeRequest(token=made.token, statement=said))
        assert await code_of(late) == "token.revoked"


async def test_an_exchange_needs_its_grant_its_holder_and_its_connection(stage: Stage) -> None:
    async with stage.client("agent") as agent, stage.client("other") as other:
        made = await ordered(agent, "held")
        token, _ = opened(made.token)

        def asked(audience: str, holder: str = "agent") -> pb.ExchangeRequest:
            said = statement(token, audience, "n3", holder)
            return pb.ExchangeRequest(token=made.token, statement=said)

        assert await code_of(agent.exchange(asked("tool.example"))) == "exchange.audience"
        assert await code_of(other.exchange(asked("else.example"))) == "exchange.audience"
        assert await code_of(agent.exchange(asked("else.example", "sub"))) == "exchange.signature"


# Revoking ---------------------------------------------------------------------------------------


async def test_whoever_reveals_a_preimage_revokes(stage: Stage) -> None:
    """A stranger of the trust domain may; a rid, which is public, proves nothing."""
    async with stage.client("agent") as agent, stage.client("stranger") as stranger:
        made = await ordered(agent, "preimage")
        narrowed = holding.attenuate(opened(made.token)[0], ["budget", "calls", 1])
        assert await code_of(revoked(stranger, rid=made.rid)) == "service.refused"
        assert await code_of(revoked(stranger, preimage=b"\0" * 32)) == "service.refused"
        text = writing.write_credential(narrowed)
        proof = holding.reveal(narrowed)
        assert await code_of(revoked(stranger, preimage=proof)) == "service.refused"
        entry = await revoked(stranger, preimage=proof, prefix=text)
        assert entry.entry.rid == chain.rid(narrowed.tag) == entry.wanted
        tree = await agent.tree(pb.TreeRequest(tid=made.tid))
        assert [(node.rid, node.dead) for node in tree.nodes] == [
            (made.rid, False),
            (chain.rid(narrowed.tag), True),
        ]


async def test_an_operator_revokes_by_name_and_a_subject_its_own(stage: Stage) -> None:
    async with stage.client("agent") as agent, stage.client("ops") as ops:
        first, second = await ordered(agent, "named"), await ordered(agent, "own")
        assert (await revoked(ops, rid=first.rid)).entry.by == "spiffe://example.org/ops"
        await revoked(agent, rid=second.rid)
        async with stage.client("other") as other:
            third = await ordered(agent, "third")
            assert await code_of(revoked(other, rid=third.rid)) == "revoke.not_yours"
            assert third.tid not in [each.tid for each in await other.list()]
            assert await code_of(other.tree(pb.TreeRequest(tid=third.tid))) == "token.unknown"
        assert {first.tid, second.tid, third.tid} <= {each.tid for each in await ops.list()}


async def test_a_list_is_whole_page_after_page(stage: Stage) -> None:
    async with stage.client("agent") as agent, stage.client("ops") as ops:
        for n in range(5):
            await ordered(agent, f"page-{n}")
        whole = [each.tid for each in await ops.list()]
        paged, after = [], ""
        while True:
            page = await ops._ask("List", pb.ListRequest(limit=2, after=after), pb.ListResponse)
            paged += [each.tid for each in page.tokens]
            after = page.next
            if not after:
                break
        assert paged == whole
        assert len(set(whole)) == len(whole)


# Approvals --------------------------------------------------------------------------------------


def waiting(stage: Stage, name: str) -> pb.ApprovalRequest:
    return pb.ApprovalRequest(
        id=world.hex16(name),
        expires=stage.now() + 600,
        tid=world.hex16("tid"),
        rid=world.hex16("rid"),
        cell="wall:1",
        operation=names.OPERATIONS.index("git_push"),
        tool="git_push",
        call_digest="ab" * 32,
        obligations=[pb.Obligation(id="git_push", why="the token asks for it")],
        shown="{}",
    )


def signed(stage: Stage, request: pb.ApprovalRequest, tmp_path: Path, **changes: Any) -> bytes:
    """The approver's own side: a desk of its own, and its key."""
    from nucleus_issuer.service.approving import pending
    from tests.service.stage import OneRequest

    desk_of = OneRequest(pending(request))
    person = stage.ring().approver("person", lambda _: PASSPHRASE)
    ApprovalDesk(desk_of, clock=stage.now, random=lambda n: b"\1" * n).approve(
        request.id, changes.get("key", person)
    )
    assert desk_of.approval is not None
    return desk_of.approval


async def test_a_person_answers_what_a_verifier_asked(stage: Stage, tmp_path: Path) -> None:
    request = waiting(stage, "one")
    async with stage.client("tool") as tool, stage.client("ops") as ops:
        assert (await tool.request_approval(request)).status == "pending"
        assert (await tool.request_approval(request)).status == "pending", "asking again"
        other = pb.ApprovalRequest()
        other.CopyFrom(request)
        other.call_digest = "cd" * 32
        assert await code_of(tool.request_approval(other)) == "desk.duplicate"
        assert [each.request.id for each in (await ops.list_approvals()).requests] == [request.id]
        # A signature about something else, or by somebody else, is no answer.
        assert await code_of(ops.approve(request.id, signed(stage, other, tmp_path))) == (
            "approval.other"
        )
        forged = keys.Key("approver", "person", world.public("sub"), world.secret("sub"))
        bad = signed(stage, request, tmp_path, key=forged)
        assert await code_of(ops.approve(request.id, bad)) == "approval.signature"
        good = signed(stage, request, tmp_path)
        assert (await ops.approve(request.id, good)).status == "approved"
        answered = await tool.get_approval(request.id)
        assert (answered.status, answered.approval) == ("approved", good)
        assert await code_of(ops.deny(request.id, "late")) == "desk.closed"


async def test_a_denial_and_a_withdrawal_end_a_request(stage: Stage) -> None:
    first, second = waiting(stage, "two"), waiting(stage, "three")
    async with stage.client("tool") as tool, stage.client("ops") as ops:
        await tool.request_approval(first)
        await tool.request_approval(second)
        assert (await ops.deny(first.id, "not today")).reason == "not today"
        assert (await tool.get_approval(first.id)).status == "denied"
        assert (await tool.withdraw_approval(second.id)).status == "withdrawn"
        assert not (await ops.list_approvals()).requests
        assert await code_of(tool.list_approvals()) == "service.refused"
