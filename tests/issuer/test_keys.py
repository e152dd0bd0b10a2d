"""Keys at rest: private, whole, and of the kind they say; or refused with a code."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nucleus_issuer import bundle, files, keys
from nucleus_issuer.bundle import Bundle, TrustedApprover, TrustedIssuer
from nucleus_issuer.keyring import KeyRing, make_holder, read_holder
from nucleus_issuer.mint import Audience
from nucleus_tokens import crypto, names
from nucleus_tokens.errors import CallerError, NucleusError, WorldError

FAST: keys.Strength = "dangerously_fast_for_tests"


def drawing(seed: str = "keys") -> Callable[[int], bytes]:
    """Random bytes that follow from a seed."""
    count = itertools.count()
    return lambda n: hashlib.shake_256(f"{seed} {next(count)}".encode()).digest(n)


def word(_: str) -> bytes:
    return b"correct horse"


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.initialise(
        tmp_path / "keys",
        iss="issuer",
        kid="k1",
        audience="proxy",
        akid="a1",
        approver="alice",
        random=drawing(),
        issuer_passphrase=word,
        approver_passphrase=word,
        strength=FAST,
    )


def code_of(use: Callable[[], object]) -> str:
    with pytest.raises(NucleusError) as caught:
        use()
    assert len(str(caught.value).splitlines()) == 1
    return caught.value.code


def rewrite(path: Path, **changes: Any) -> None:
    value = {**json.loads(path.read_bytes()), **changes}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    path.write_text(text + "\n")


# The ring ----------------------------------------------------------------------------------------


def test_everything_is_private_and_only_the_bundle_is_not(ring: KeyRing) -> None:
    assert ring.directory.stat().st_mode & 0o777 == 0o700
    modes = {p.name: p.stat().st_mode & 0o777 for p in ring.directory.iterdir()}
    assert modes == {
        "approver-alice.key": 0o600,
        "audience-a1.key": 0o600,
        "bundle.json": 0o644,
        "exchange-k1.key": 0o600,
        "issuer-k1.key": 0o600,
        "trace.key": 0o600,
    }


def test_a_ring_opens_into_an_issuer_a_verifier_and_an_approver(ring: KeyRing) -> None:
    opened = ring.issuer("k1", word)
    verifier = ring.verifier_keys()
    assert verifier.audience == "proxy"
    assert verifier.issuers == {("issuer", "k1"): crypto.public_of(opened.signer.private)}
    assert opened.signer.exchange == crypto.exchange_public_of(opened.exchange.private)
    alice = ring.approver("alice", word)
    assert verifier.approvers["alice"].key == crypto.public_of(alice.private)
    assert verifier.approvers["alice"].operations == (1 << len(names.OPERATIONS)) - 1
    assert ring.bundle().audience_named().public == crypto.exchange_public_of(
        verifier.audience_keys["a1"]
    )
    assert ring.trace().kind == "trace"


def test_private_keys_stand_in_no_file_of_the_sealed_kinds_and_in_no_repr(ring: KeyRing) -> None:
    opened = ring.issuer("k1", word)
    alice = ring.approver("alice", word)
    for secret in (opened.signer.private, opened.exchange.private, alice.private):
        for path in ring.directory.iterdir():
            assert secret not in path.read_bytes()
            assert secret.hex() not in path.read_text()
        for shown in (opened, opened.signer, opened.exchange, alice):
            assert secret.hex() not in repr(shown)
            assert repr(secret) not in repr(shown)


def test_no_two_keys_or_salts_are_equal(ring: KeyRing) -> None:
    values = [json.loads(p.read_bytes()) for p in ring.directory.glob("*.key")]
    assert len({v["public"] for v in values}) == 5
    assert len({v["seal"]["salt"] for v in values if v["seal"]}) == 3
    assert {v["kind"] for v in values if v["seal"]} == {"issuer", "exchange", "approver"}


def test_nothing_is_overwritten(ring: KeyRing) -> None:
    before = {p: p.read_bytes() for p in ring.directory.iterdir()}
    again = {
        "iss": "issuer", "kid": "k2", "audience": "proxy", "akid": "a2", "approver": "bob",
        "random": drawing("again"), "issuer_passphrase": word, "approver_passphrase": word,
    }  # fmt: skip
    use = lambda: KeyRing.initialise(ring.directory, strength=FAST, **again)  # type: ignore[arg-type]  # noqa: E731
    assert code_of(use) == "file.exists"
    assert {p: p.read_bytes() for p in ring.directory.iterdir()} == before


@pytest.mark.parametrize("at", range(1, 7))
@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_half_a_ring_is_no_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException
) -> None:
    """The fifth key fails, or the last step does: there is nothing, and it can be tried again."""
    order = {
        "iss": "issuer", "kid": "k1", "audience": "proxy", "akid": "a1", "approver": "alice",
        "random": drawing("half"), "issuer_passphrase": word, "approver_passphrase": word,
    }  # fmt: skip
    use = lambda: KeyRing.initialise(tmp_path / "keys", strength=FAST, **order)  # type: ignore[arg-type]  # noqa: E731
    flushed, seen = os.fsync, 0

    def failing(handle: int) -> None:
        nonlocal seen
        seen += 1
        if seen == 2 * at - 1:
            raise error
        flushed(handle)

    monkeypatch.setattr(os, "fsync", failing)
    if isinstance(error, OSError):
        assert code_of(use) == "file.unwritable"
    else:
        with pytest.raises(KeyboardInterrupt):
            use()
    monkeypatch.setattr(os, "fsync", flushed)
    assert list(tmp_path.iterdir()) == []
    assert use().verifier_keys().audience == "proxy"


def test_a_key_the_bundle_does_not_list_is_not_used(ring: KeyRing) -> None:
    trusted = ring.bundle()
    ring.save_bundle(Bundle(trusted.audience, (), trusted.approvers, trusted.audiences))
    assert code_of(lambda: ring.issuer("k1", word)) == "keys.not_in_bundle"
    wrong = (Audience("proxy", "a1", b"\x07" * 32),)
    ring.save_bundle(Bundle(trusted.audience, trusted.issuers, trusted.approvers, wrong))
    assert code_of(ring.verifier_keys) == "bundle.audience_key"
    ring.save_bundle(Bundle(trusted.audience, trusted.issuers, trusted.approvers, ()))
    assert code_of(ring.verifier_keys) == "keys.no_audience"


# One file ----------------------------------------------------------------------------------------


def test_the_wrong_passphrase_is_said_to_be_wrong(ring: KeyRing) -> None:
    for given in (b"correct horsf", b"correct horse ", b"x"):
        assert code_of(lambda g=given: ring.issuer("k1", lambda _: g)) == "keys.passphrase"  # type: ignore[misc]
    assert code_of(lambda: ring.issuer("k1", lambda _: b"")) == "keys.passphrase_empty"
    path = ring.issuer_path("k1")
    assert code_of(lambda: keys.read(path, "issuer")) == "keys.passphrase_missing"
    assert keys.read_public(path, "issuer").id == "k1"


def test_the_passphrase_is_asked_for_by_name(ring: KeyRing) -> None:
    asked: list[str] = []

    def ask(what: str) -> bytes:
        asked.append(what)
        return word(what)

    ring.issuer("k1", ask)
    ring.approver("alice", ask)
    assert asked == ["issuer key k1", "exchange key k1", "approver key alice"]


def test_a_sealed_kind_is_never_written_or_read_plain(ring: KeyRing, tmp_path: Path) -> None:
    key = keys.generate("issuer", "k9", drawing("x"))
    path = tmp_path / "plain.key"
    assert code_of(lambda: keys.write(path, key, random=drawing())) == "keys.passphrase_missing"
    assert not path.exists()
    rewrite(ring.issuer_path("k1"), seal=None, secret=key.private.hex(), public=key.public.hex())
    assert code_of(lambda: ring.issuer("k1", word)) == "keys.corrupt"


def test_one_sealed_key_is_not_renamed_into_another(ring: KeyRing) -> None:
    path = ring.approver_path("alice")
    rewrite(path, id="bob")
    assert code_of(lambda: keys.read(path, "approver", word)) == "keys.corrupt"
    rewrite(path, id="alice", kind="issuer")
    assert code_of(lambda: keys.read(path, "issuer", word)) == "keys.corrupt"
    assert code_of(lambda: keys.read(path, "approver", word)) == "keys.kind"


@pytest.mark.parametrize("name", ["issuer-k1.key", "audience-a1.key"])
def test_damage_anywhere_is_named_or_harmless(ring: KeyRing, name: str) -> None:
    """Every byte changed, and every cut. Harmless: bits that X25519 ignores, and a plain key's
    name, since the bundle knows it by its public half."""
    path = ring.directory / name
    kind: keys.Kind = "issuer" if name.startswith("issuer") else "audience"
    public = keys.read(path, kind, word).public
    good = path.read_bytes()
    codes: list[str] = []
    for at in range(0, len(good) - 1, 1 if kind == "audience" else 5):
        for damaged in (good[:at], good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :]):
            path.write_bytes(damaged)
            try:
                assert keys.read(path, kind, word).public == public
            except WorldError as error:
                codes.append(error.code)
    assert set(codes) <= {"keys.corrupt", "keys.kind", "keys.passphrase"}
    assert len(codes) > 100


def test_a_damaged_bundle_is_refused_or_another_whole_bundle(ring: KeyRing) -> None:
    path = ring.directory / "bundle.json"
    good = path.read_bytes()
    codes: set[str] = set()
    for at in range(len(good) - 1):
        path.write_bytes(good[:at])
        assert code_of(ring.bundle) == "bundle.malformed"
        path.write_bytes(good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :])
        try:
            assert ring.bundle().encode() == path.read_bytes()
        except WorldError as error:
            codes.add(error.code)
    assert codes == {"bundle.malformed"}


@pytest.mark.parametrize(
    "seal",
    [
        {"memory": 1 << 40}, {"ops": 1 << 20}, {"memory": 0}, {"ops": 0}, {"ops": True},
        {"kdf": "none"}, {"salt": "00"}, {"salt": "zz" * 16}, {"more": 1}, {"memory": "8192"},
    ],
)  # fmt: skip
def test_a_file_cannot_ask_for_a_terabyte_or_for_nothing(
    ring: KeyRing, seal: dict[str, Any]
) -> None:
    path = ring.issuer_path("k1")
    old = json.loads(path.read_bytes())["seal"]
    rewrite(path, seal={**old, **seal})
    assert code_of(lambda: keys.read(path, "issuer", word)) == "keys.corrupt"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"{" * 4000, b"\xff" * 99])
def test_arbitrary_bytes_are_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.key"
    files.create(path, content)
    assert code_of(lambda: keys.read(path, "trace")) == "keys.corrupt"
    assert code_of(lambda: bundle.load(path)) == "bundle.malformed"


def test_a_file_others_can_read_is_refused(ring: KeyRing) -> None:
    path = ring.directory / "trace.key"
    for mode in (0o640, 0o604, 0o620, 0o602):
        path.chmod(mode)
        assert code_of(ring.trace) == "file.permissions"
    path.chmod(0o400)
    assert ring.trace().kind == "trace"
    (ring.directory / "bundle.json").chmod(0o664)
    assert code_of(ring.bundle) == "file.permissions"


def test_links_directories_pipes_and_absence_are_refused(ring: KeyRing, tmp_path: Path) -> None:
    target = ring.directory / "trace.key"
    (tmp_path / "link.key").symlink_to(target)
    (tmp_path / "dir.key").mkdir()
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    files.create(tmp_path / "huge.key", b"x" * 5000)
    expected = {
        "link.key": "file.unreadable",
        "dir.key": "file.permissions",
        "pipe.key": "file.permissions",
        "huge.key": "file.too_large",
        "none.key": "file.missing",
    }
    for name, code in expected.items():
        assert code_of(lambda n=name: keys.read(tmp_path / n, "trace")) == code  # type: ignore[misc]


def test_a_directory_others_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert code_of(lambda: files.private_directory(tmp_path)) == "file.permissions"
    tmp_path.chmod(0o700)


def test_the_umask_does_not_decide(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        files.create(tmp_path / "a", b"x")
        files.create(tmp_path / "b", b"x", 0o644)
    finally:
        os.umask(before)
    assert [(tmp_path / n).stat().st_mode & 0o777 for n in "ab"] == [0o600, 0o644]


@pytest.mark.parametrize("name", ["", "../x", ".x", "-x", "A", "a/b", "a b", "ä", "x" * 65])
def test_a_name_is_safe_in_a_file_name(name: str) -> None:
    assert code_of(lambda: keys.generate("issuer", name, drawing())) == "keys.name"


def test_a_holder_has_a_key_of_its_own(tmp_path: Path) -> None:
    made = make_holder(tmp_path / "agent.key", "agent", drawing())
    held = read_holder(tmp_path / "agent.key")
    assert held.public == made.public == crypto.public_of(held.private)
    assert code_of(lambda: make_holder(tmp_path / "agent.key", "agent", drawing())) == "file.exists"


# The bundle --------------------------------------------------------------------------------------


def test_a_bundle_has_one_spelling_and_another_bundle_another_epoch() -> None:
    issuers = (TrustedIssuer("i", "k2", b"\x02" * 32), TrustedIssuer("i", "k1", b"\x01" * 32))
    audiences = (Audience("p", "a1", crypto.exchange_public_of(b"\x09" * 32)),)
    one = Bundle("p", issuers, (), audiences)
    same = Bundle("p", issuers[::-1], (), audiences)
    less = Bundle("p", issuers[:1], (), audiences)
    assert one.encode() == same.encode()
    assert bundle.decode(one.encode()).encode() == one.encode()
    epochs = {b.keys({"a1": b"\x09" * 32}).epoch for b in (one, same, less)}
    assert len(epochs) == 2


@pytest.mark.parametrize(
    "approvers",
    [
        (("a", b"\x01" * 32, ("git_push",)), ("a", b"\x02" * 32, ("git_push",))),
        (("a", b"\x01" * 32, ("git_push",)), ("b", b"\x01" * 32, ("git_push",))),
        (("a", b"\x01" * 32, ("fly",)),),
        (("a", b"\x01" * 31, ("git_push",)),),
        (("", b"\x01" * 32, ("git_push",)),),
    ],
)
def test_a_bundle_names_each_person_once_and_only_known_operations(
    approvers: tuple[tuple[str, bytes, tuple[str, ...]], ...],
) -> None:
    """One person under two names would be two voices."""
    made = Bundle("p", (), tuple(TrustedApprover(*a) for a in approvers), ())
    with pytest.raises(CallerError) as caught:
        made.encode()
    assert caught.value.code == "bundle.malformed"


def test_who_may_release_is_listed_and_has_one_spelling() -> None:
    people = (
        TrustedApprover("a", b"\x01" * 32, ("git_push",), True),
        TrustedApprover("b", b"\x02" * 32, ("git_push",)),
    )
    made = Bundle("p", (), people, ())
    assert made.releasers() == {"a": b"\x01" * 32}
    assert bundle.decode(made.encode()) == made
    assert made.encode().count(b"releases") == 1
    for said in (b"false", b"1", b'"true"', b"null"):
        with pytest.raises(WorldError):
            bundle.decode(made.encode().replace(b'"releases":true', b'"releases":' + said))


def test_an_audience_that_is_not_listed_is_not_sealed_to() -> None:
    made = Bundle("p", (), (), (Audience("p", "a1", b"1" * 32), Audience("p", "a2", b"2" * 32)))
    assert made.audience_named().akid == "a2"
    assert code_of(lambda: made.audience_named("q")) == "audience.unknown"
