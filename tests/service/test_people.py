"""A person's ID token, from a provider whose keys are pinned: what counts, and what does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from nucleus_issuer.service import people, policy
from nucleus_tokens import header, holding
from nucleus_tokens.errors import CallerError, CredentialError, NucleusError
from nucleus_verifier.rpc import issuer_pb2 as pb
from tests.cli.command import Desk
from tests.service.stage import POLICY, Stage, order, running
from tests.support import world

KEY = ec.generate_private_key(ec.SECP256R1())
FORGED = ec.generate_private_key(ec.SECP256R1())
IDP = "https://idp.example.org"
NOW = 1_800_000_000
PEOPLE = f"""
[[provider]]
issuer = "{IDP}"
audience = "nucleus"
jwks = "idp.json"

[[grant]]
id = "spiffe://example.org/agent"
person = {{ provider = "{IDP}", claim = "email", value = "person@example.org" }}
profiles = ["release"]
audiences = ["tool.example"]
ttl_seconds = 600
"""


def jwks(path: Path, **changes: Any) -> Path:
    key = {**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k1", "use": "sig"}
    path.write_text(json.dumps({"keys": [{**key, **changes}]}))
    return path


def id_token(now: int = NOW, key: Any = KEY, headers: Any = None, **changes: Any) -> str:
    claims = {
        "iss": IDP,
        "aud": "nucleus",
        "sub": "42",
        "email": "person@example.org",
        "email_verified": True,
        "iat": now - 5,
        "exp": now + 300,
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": "k1", **(headers or {})})


@pytest.fixture
def known(tmp_path: Path) -> people.Provider:
    return people.provider(IDP, "nucleus", jwks(tmp_path / "idp.json"))


def test_whom_the_provider_signed_is_who_it_is(known: people.Provider) -> None:
    found = people.person([known], id_token(), people.ID_TOKEN, NOW)
    assert found.id == f"{IDP}#42"
    assert found.has("email", "person@example.org")
    assert not found.has("email", "other@example.org")
    unverified = id_token(email_verified=False)
    found = people.person([known], unverified, people.ID_TOKEN, NOW)
    assert not found.has("email", "person@example.org"), "anybody can write down an address"


def _unsigned() -> str:
    return jwt.encode({"iss": IDP, "sub": "42"}, None, algorithm="none", headers={"kid": "k1"})


@pytest.mark.parametrize(
    "token",
    [
        id_token(key=FORGED),
        id_token(headers={"kid": "other"}),
        id_token(iss="https://other.example.org"),
        id_token(aud="another"),
        id_token(aud=["nucleus", "another"]),
        id_token(exp=NOW),
        id_token(iat=NOW - people.MAX_AGE - 1),
        id_token(iat=NOW + 3600),
        id_token(exp=None),
        id_token(iat=None),
        id_token(sub=None),
        id_token(sub=""),
        id_token(sub="s" * 300),
        _unsigned(),
        jwt.encode({"iss": IDP}, "x" * 32, algorithm="HS256", headers={"kid": "k1"}),
        id_token()[:-4],
        "",
        "a.b.c",
        "x" * 9000,
    ],
    ids=range(19),
)
def test_no_other_token_counts(known: people.Provider, token: str) -> None:
    with pytest.raises(CredentialError) as said:
        people.person([known], token, people.ID_TOKEN, NOW)
    assert said.value.code == "people.token"


def test_only_public_signing_keys_with_ids_are_pinned(tmp_path: Path) -> None:
    for changes in ({"kid": None}, {"use": "enc"}, {"kty": "oct", "k": "AAAA"}, {"d": "AAAA"}):
        path = jwks(tmp_path / "bad.json", **changes)
        with pytest.raises(CallerError) as said:
            people.provider(IDP, "nucleus", path)
        assert said.value.code == "people.keys"


def test_a_grant_for_a_provider_that_is_not_there_is_refused(tmp_path: Path) -> None:
    without = PEOPLE.split("[[grant]]")[1]
    with pytest.raises(CallerError) as said:
        policy.parse(f"[[grant]]{without}".encode(), "example.org", tmp_path)
    assert said.value.code == "issuance.policy"


# At the service -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(tmp_path_factory.mktemp("people"), policy=POLICY + PEOPLE, start=False) as made:
        jwks(made.home / "config" / "idp.json")
        made.start()
        made.register()
        yield made


async def test_a_person_gets_what_the_person_s_grant_gives(stage: Stage) -> None:
    async with stage.client("agent") as agent, stage.client("other") as other:
        ids = {"subject_token": id_token(stage.now()), "subject_token_type": people.ID_TOKEN}
        held = pb.Holder(key=world.public("agent"))
        made = await agent.issue(order("person", profile="release", holder=held, **ids))
        fields = header.parse(holding.read_token(made.token).identifier)
        assert fields.sub == f"{IDP}#42"
        assert fields.holder == (None, world.public("agent"))
        refused = [
            # The workload alone has not what the person has, nor the person what the workload has.
            (agent, order("a", profile="release", holder=held), "issue.grant"),
            (agent, order("b", profile="codegen", holder=held, **ids), "issue.grant"),
            # Through another workload the person is nobody.
            (other, order("c", profile="release", holder=held, **ids), "issue.grant"),
            (agent, order("d", profile="release", **ids), "issue.holder"),
            (
                agent,
                order("e", profile="release", holder=held, **{**ids, "subject_token": "x"}),
                "people.token",
            ),
        ]
        for client, request, code in refused:
            with pytest.raises(NucleusError) as said:
                await client.issue(request)
            assert said.value.code == code


def test_a_person_orders_at_the_command_line(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", stage.socket("agent"))
    desk.run("token", "key", "--out", tmp_path / "p.key").ok()
    words = (
        "token", "issue", "--profile", "release", "--audience", "tool.example",
        "--sub", f"{IDP}#42", "--holder-key", tmp_path / "p.key",
    )  # fmt: skip
    there = ("--issuer", stage.address)
    secret = desk.file("id.jwt", id_token(stage.now()) + "\n")
    made = desk.run(*words, *there, "--id-token", secret, "-o", tmp_path / "p.token", "--json").ok()
    fields = header.parse(holding.read_token((tmp_path / "p.token").read_text()).identifier)
    assert (fields.tid, fields.sub) == (made.json["tid"], f"{IDP}#42")
    out = ("-o", tmp_path / "no.token")
    forged = desk.file("bad.jwt", id_token(stage.now(), FORGED))
    assert "people.token" in desk.run(*words, *there, "--id-token", forged, *out).err
    assert "order.person" in desk.run(*words, "--id-token", secret, *out).ok(2).err
    secret.chmod(0o644)
    refused = desk.run(*words, *there, "--id-token", secret, *out).ok(2)
    assert "file.permissions" in refused.err
    assert not any("eyJ" in each for each in desk.printed), "an ID token was printed"
