"""The issuer's keys, opened by a hardware module: SoftHSM, by its real library."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus_issuer import hsm
from nucleus_issuer.keyring import KeyRing
from nucleus_tokens.errors import CallerError, NucleusError, WorldError
from tests.cli.command import PASSPHRASE, Desk

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = b"1234"
SLOT = hsm.Slot(MODULE, "nucleus", "kek")


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A token of its own. The library reads its configuration once in a process."""
    root = tmp_path_factory.mktemp("softhsm")
    assert shutil.which("softhsm2-util"), "SoftHSM is not installed: apt-get install softhsm2"
    (root / "tokens").mkdir()
    config = root / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {root / 'tokens'}\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(config))
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", "nucleus",
             "--so-pin", "5678", "--pin", PIN.decode()],
            check=True,
            capture_output=True,
        )  # fmt: skip
        yield


def _pin(_: str) -> bytes:
    return PIN


def _code(run: object, *args: object) -> str:
    assert callable(run)
    with pytest.raises(NucleusError) as said:
        run(*args)
    return said.value.code


@pytest.mark.usefixtures("module")
def test_the_module_opens_what_it_sealed_and_nothing_else_does(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.init()
    desk.file("pin", PIN + b"\n")
    slot = f"{MODULE},nucleus,kek"
    words = ("--passphrase-file", desk.pass_file, "--pkcs11", slot, "--pin-file", tmp_path / "pin")
    weak = "--dangerously-weak-keys-for-tests"
    done = desk.run("issuer", "keys", "reseal", *words, "--make", weak, "--json").ok().json
    again = desk.run("issuer", "keys", "reseal", *words, weak, "--json").ok().json
    assert done == again, "what is done already is left alone"
    ring = KeyRing(desk.home / "data" / "keys")
    opened = ring.issuers(hsm.passphrase(SLOT, _pin))
    assert len(opened) == 1
    with pytest.raises(WorldError) as said:
        ring.issuers(lambda _: PASSPHRASE)
    assert said.value.code == "keys.passphrase"
    rotated = desk.run("issuer", "keys", "rotate", *words[2:], weak, "--json").ok().json
    assert rotated["key"] in [each.signer.kid for each in ring.issuers(hsm.passphrase(SLOT, _pin))]
    # The approver's key is a person's, and stays under that person's passphrase.
    ring.approver("alice", lambda _: PASSPHRASE)


@pytest.mark.usefixtures("module")
def test_what_the_module_cannot_do_is_one_sentence() -> None:
    other = hsm.Slot(MODULE, "nucleus", "another")
    hsm.make(other, _pin)
    assert _code(hsm.make, other, _pin) == "hsm.exists"
    first, second = (hsm.passphrase(each, _pin)("") for each in (other, other))
    assert first == second
    missing = hsm.passphrase(hsm.Slot(MODULE, "nucleus", "missing"), _pin)
    assert _code(missing, "") == "hsm.no_key"
    for slot, pin in (
        (other, b"0000"),
        (hsm.Slot(MODULE, "nobody", "kek"), PIN),
        (hsm.Slot("/nowhere.so", "nucleus", "kek"), PIN),
    ):
        assert _code(hsm.passphrase(slot, lambda _, pin=pin: pin), "") == "hsm.unavailable"  # type: ignore[misc]
    with pytest.raises(CallerError):
        hsm.Slot.parse("module,token")
