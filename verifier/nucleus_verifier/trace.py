"""Law: the trace only grows; each record names the hash of the one before it; a record holds what
its decision needs to be computed again, and nothing with which anybody could act.

A line is one RFC 8785 JSON object with exactly the keys `hash`, `prev`, `record`, `seq`:

    hash = SHA-256("nucleus/trace/v1" 00 || u64(seq) || prev(32) || u32(len) || record bytes)

where `record bytes` is the RFC 8785 JSON of `record`. Every part has a fixed length or its length
before it, so no two histories share bytes. Genesis: seq 1, prev 32 zero bytes. A tail cut off shows
only against a checkpoint kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nucleus_tokens import arguments, crypto, jcs
from nucleus_tokens.errors import CredentialError

DOMAIN: Final = b"nucleus/trace/v1\0"
CHECKPOINT_DOMAIN: Final = b"nucleus/checkpoint/v1\0"
GENESIS: Final = "00" * 32


def link(seq: int, prev: str, record: bytes) -> str:
    """The hash (hex) of a record at its place."""
    return crypto.sha256(
        b"".join(
            (DOMAIN, seq.to_bytes(8, "big"), bytes.fromhex(prev),
             len(record).to_bytes(4, "big"), record)
        )
    ).hex()  # fmt: skip


def line(seq: int, prev: str, record: dict[str, Any]) -> tuple[bytes, str]:
    """One line (without its newline) and its hash. Raises CallerError `json.refused`."""
    spelled = arguments.encode(record)
    digest = link(seq, prev, spelled)
    # The four members in their canonical order, around bytes that are spelled already.
    return b'{"hash":"%s","prev":"%s","record":%s,"seq":%d}' % (
        digest.encode(), prev.encode(), spelled, seq
    ), digest  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One verified record and its place in the chain."""

    seq: int
    hash: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Break:
    """Where a trace stops being believable: the first bad line (from 1) and why."""

    line: int
    seq: int | None
    why: str


def read(lines: Iterable[bytes]) -> tuple[list[Entry], Break | None]:
    """The records up to the first that does not fit, and what is wrong there if anything is."""
    entries: list[Entry] = []
    prev, expected = GENESIS, 1
    for number, data in enumerate(lines, 1):
        try:
            value = arguments.parse(data.rstrip(b"\n"))
        except CredentialError:
            return entries, Break(number, expected, "it is not JSON")
        if type(value) is not dict or sorted(value) != ["hash", "prev", "record", "seq"]:
            return entries, Break(number, expected, "it is not a trace line")
        if type(value["record"]) is not dict or type(value["seq"]) is not int:
            return entries, Break(number, expected, "it is not a trace line")
        if value["seq"] != expected:
            return entries, Break(number, expected, f"record {expected} is missing or out of place")
        if value["prev"] != prev:
            return entries, Break(number, expected, "it does not follow the record before it")
        digest = link(expected, prev, jcs.spell(value["record"]))
        if value["hash"] != digest or jcs.spell(value) != data.rstrip(b"\n"):
            return entries, Break(number, expected, "its content does not have its hash")
        entries.append(Entry(expected, digest, value["record"]))
        prev, expected = digest, expected + 1
    return entries, None


def checkpoint(seq: int, digest: str, private: bytes) -> dict[str, object]:
    """A signed statement that the trace up to `seq` has this hash; to be kept elsewhere."""
    message = CHECKPOINT_DOMAIN + seq.to_bytes(8, "big") + bytes.fromhex(digest)
    return {
        "hash": digest,
        "key": crypto.public_of(private).hex(),
        "seq": seq,
        "signature": crypto.sign(private, message).hex(),
        "type": "checkpoint",
    }


def checkpoint_holds(record: Mapping[str, Any], entries: list[Entry], key: bytes) -> bool:
    """Whether a checkpoint is signed by this key and says what these entries say."""
    try:
        seq, digest = record["seq"], record["hash"]
        message = CHECKPOINT_DOMAIN + seq.to_bytes(8, "big") + bytes.fromhex(digest)
        signed = crypto.verify(key, message, bytes.fromhex(record["signature"]))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        return False
    return signed and 0 < seq <= len(entries) and entries[seq - 1].hash == digest
