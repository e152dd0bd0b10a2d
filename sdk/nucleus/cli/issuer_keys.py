"""`nucleus issuer keys`: the issuer's keys, one after the other, and what opens them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nucleus.cli import options
from nucleus.cli.options import Json, PassphraseFd, PassphraseFile, PinFile, Pkcs11, examples

if TYPE_CHECKING:
    pass

KEYS = examples(
    "nucleus issuer keys list",
    "nucleus issuer keys rotate --passphrase-file issuer.pass",
    "nucleus issuer keys retire 20260101",
    "nucleus issuer keys reseal --pkcs11 /usr/lib/softhsm/libsofthsm2.so,nucleus,kek --make",
)


def keys(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="list|rotate|retire|reseal", help="What to do.")],
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="With retire: the key's name.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    pkcs11: Pkcs11 = None,
    pin_file: PinFile = None,
    make: Annotated[
        bool, typer.Option("--make", help="With reseal: make the key in the module first.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Retire it though tokens of it live: it was stolen.")
    ] = False,
    weak: Annotated[bool, typer.Option("--dangerously-weak-keys-for-tests", hidden=True)] = False,
    as_json: Json = False,
) -> int:
    """List the issuer's keys, make the next one, or stop believing an old one.

    `rotate` makes a key that every verifier is told of; the issuer signs with it once it is started
    again. What the key before signed is believed until `retire`, which waits for its last token.
    `reseal` moves what opens the keys from a passphrase into a hardware module.
    """
    from datetime import UTC, datetime

    from nucleus.cli import inputs
    from nucleus.cli.console import OK, answer, when
    from nucleus_tokens.errors import CallerError

    place = options.home(ctx)
    ring = place.keyring()
    if action == "list" and key is None:
        known = [i.kid for i in ring.bundle().issuers]
        answer(as_json, {"keys": known, "signs": max(known)}, *known)
    elif action == "rotate" and key is None:
        now = datetime.fromtimestamp(place.clock(), UTC)
        made = ring.rotate(
            now.strftime("%Y%m%dt%H%M%S"),
            random=place.random,
            passphrase=inputs.passphrase_or_module(
                passphrase_file, passphrase_fd, pkcs11, pin_file
            ),
            strength="dangerously_fast_for_tests" if weak else "moderate",
        )
        answer(
            as_json,
            {"key": made.kid, "public": made.public.hex()},
            f"Made the key {made.kid}; verifiers that watch fetch it within seconds.",
            "Then start the issuer again: it signs with this key.",
        )
    elif action == "retire" and key is not None:
        with place.store() as store:
            last = store.last_expiry(key)
        if last > place.clock() and not force:
            raise CallerError(
                "keys.alive",
                f"Tokens of this key live until {when(last)}.",
                hint="Retire it then, or with --force if it was stolen.",
            )
        ring.retire(key)
        answer(as_json, {"retired": key}, f"Nothing that {key} signed is believed any more.")
    elif action == "reseal" and key is None and pkcs11 is not None:
        from nucleus_issuer import hsm

        pin = inputs.passphrase(pin_file, None)
        slot = hsm.Slot.parse(pkcs11)
        if make:
            hsm.make(slot, pin)
        done = ring.reseal(
            inputs.passphrase(passphrase_file, passphrase_fd),
            hsm.passphrase(slot, pin),
            random=place.random,
            strength="dangerously_fast_for_tests" if weak else "moderate",
        )
        answer(as_json, {"resealed": done}, *(f"{each} is opened by the module" for each in done))
    else:
        raise CallerError(
            "keys.what", "Say list, rotate, retire with the key's name, or reseal with --pkcs11."
        )
    return OK
