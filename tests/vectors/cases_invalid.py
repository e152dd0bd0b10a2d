"""Credentials that must be refused, each for one defect and nothing else.

Wherever a tag can be made to hold it holds: the defect named is the only one, and a verifier that
misses it allows the call. Spellings of a valid token are in `cases_malleable`.
"""

from __future__ import annotations

from typing import Any

from tests.vectors import cases_chains, writer
from tests.vectors.frozen import ROOT, body, case, deny, holder, identifier, patterns, token
from tests.vectors.writer import NOW, begin, exchange_public, key, name16, sign

HEADER = deny(1, "header.malformed")


def cases() -> list[dict[str, Any]]:
    return [*_seals(), *_keys(), *_headers(), *_caveats(), *cases_chains.cases()]


def _seals() -> list[dict[str, Any]]:
    mine = key("attacker root")
    good = identifier()
    swapped = good[:-160] + writer.seal(
        exchange_public(key("audience")), mine, key("attacker ephemeral")
    ) + good[-80:]  # fmt: skip
    unsigned = good[:-160]
    attack = begin(swapped, mine)
    return [
        case(
            "seal-swapped", attack, deny(3, "header.signature"),
            "The first of all: the holder seals a root key of his own to the audience and starts "
            "the chain again, at the ceiling, without the caveats he was given. Only a signature "
            "that covers the seals stops it.",
        ),
        case(
            "seal-unsigned",
            begin(
                sign(key("issuer"), b"nucleus/header/v1\0" + unsigned[64:]) + swapped[64:], mine
            ),
            deny(3, "header.signature"),
            "A header whose signature covers the body alone: what a verifier of that mistake "
            "would accept.",
        ),
        case(
            "seal-other-audience", begin(identifier(audience="other"), ROOT),
            deny(3, "header.seal"),
            "Signed by the issuer, for our name and key id, and sealed to another key.",
        ),
        case(
            "seal-short-key", begin(_sealed(b"k" * 31), b"k" * 31), HEADER,
            "An opened key is 32 bytes; another length makes another header, refused before.",
        ),
        case(
            "seals-exchanged", begin(good[:-160] + good[-80:] + good[-160:-80], ROOT),
            deny(3, "header.signature"), "The two seals changed places.",
        ),
    ]  # fmt: skip


def _sealed(plain: bytes) -> bytes:
    return identifier(root_key=plain)


def _keys() -> list[dict[str, Any]]:
    return [
        case(
            "issuer-other-key", begin(identifier(issuer="stranger"), ROOT),
            deny(3, "header.signature"), "Signed by somebody under the issuer's name.",
        ),
        case(
            "issuer-unknown", token(iss="issuer:other"), deny(2, "issuer.unknown"),
            "An issuer that is not pinned. The token brings no key of its own.",
        ),
        case(
            "kid-unknown", token(kid="k2"), deny(2, "issuer.unknown"),
            "A known issuer's unknown key id: never `try all keys`.",
        ),
        case(
            "akid-unknown", token(akid="a2"), deny(2, "audience.unknown"),
            "An audience key this verifier does not hold.",
        ),
        case(
            "aud-other", token(aud="proxy:other"), deny(2, "audience.unknown"),
            "For another audience. Honoured, a token for a toy would open the vault.",
        ),
        case(
            "kid-object", token(kid={"k": 1}), HEADER, "A key id is a string.",
        ),
    ]  # fmt: skip


def _without(name: str) -> dict[str, Any]:
    return {k: v for k, v in body().items() if k != name}


def _headers() -> list[dict[str, Any]]:
    spelled = writer.canonical(body())

    def one(name: str, header: dict[str, Any] | bytes, note: str) -> dict[str, Any]:
        return case(f"header-{name}", begin(identifier(header), ROOT), HEADER, note)

    made = [
        one(f"without-{name}", _without(name), "Every field is there; none has a default.")
        for name in ("account", "ancestors", "ceil", "depth", "holder", "narrowed", "obligations")
    ]
    rid = name16("rid")
    changes: list[tuple[str, dict[str, Any], str]] = [
        ("extra", {"admin": True}, "A field nobody knows may be one that restricts."),
        ("v2", {"v": 2}, "Another version is another format."),
        ("v-true", {"v": True}, "true equals 1 in some languages."),
        ("ceil-empty", {"ceil": []}, "A ceiling that says nothing would be no ceiling."),
        (
            "ceil-without-only", {"ceil": [["path", "in", ["/srv"]]]},
            "Levels are said in full: without `only` every dimension would be open.",
        ),
        (
            "ceil-only-second", {"ceil": [["cap", {}], ["only", {"read_files": "always"}]]},
            "`only` stands first: one shape, one reading.",
        ),
        (
            "ceil-exp", {"ceil": [["only", {}], ["exp", NOW]]},
            "The header has one expiry, not two.",
        ),
        (
            "ceil-unknown", {"ceil": [["only", {}], ["colour", "red"]]},
            "An unknown restriction in the ceiling denies; skipped, it would widen.",
        ),
        (
            "narrowed-delegate",
            {"narrowed": [[rid, ["delegate", {}, "00" * 64]]]},
            "Hops are not carried over as caveats: their signature covers another chain.",
        ),
        ("narrowed-bare", {"narrowed": [["exp", NOW]]}, "Each carries its original rid."),
        ("obligations-unknown", {"obligations": ["fly"]}, "An operation nobody knows."),
        (
            "obligations-unsorted", {"obligations": ["write_files", "read_files"]},
            "A set has one spelling.",
        ),
        (
            "holder-missing-not-bearer",
            {"holder": {"bearer": False, "key": None, "spiffe": None}},
            "No holder and not bearer: a holder that went missing must not become `anybody`.",
        ),
        (
            "holder-bearer-and-key", {"holder": {**holder(), "bearer": True}},
            "A holder and bearer at once.",
        ),
        ("holder-upper", {"holder": {**holder(), "key": "AB" * 32}}, "Hex is lower case."),
        ("holder-short", {"holder": {**holder(), "key": "ab" * 31}}, "A key is 32 bytes."),
        (
            "holder-not-spiffe", {"holder": holder(None, "https://example.org")},
            "A SPIFFE id starts with spiffe://.",
        ),
        ("depth-9", {"depth": 9}, "At most eight hops."),
        ("depth-negative", {"depth": -1}, "A depth is not negative."),
        ("exp-negative", {"exp": -1}, "Nor is a time."),
        ("exp-null", {"exp": None}, "A token without an end."),
        ("exp-big", {"exp": 2**53}, "Beyond 2**53 - 1 two JSON readers read two numbers."),
        ("tid-short", {"tid": "ab"}, "16 bytes."),
        ("tid-upper", {"tid": name16("tid").upper()}, "Hex is lower case."),
        ("sub-empty", {"sub": ""}, "Somebody."),
        ("sub-nfd", {"sub": "cafe\u0301"}, "Strings are in NFC: two spellings, one look."),
        ("sub-long", {"sub": "s" * 1025}, "At most 1,024 characters."),
        ("ancestors-object", {"ancestors": {}}, "A list."),
        ("ancestors-bare", {"ancestors": [rid]}, "Each names the key that held it."),
        ("ancestors-member", {"ancestors": [{rid: 1, "f" * 64: 1}]}, "A pair is a list."),
        ("ancestors-key-short", {"ancestors": [[rid, "ab"]]}, "A key is 32 bytes."),
        ("ancestors-no-key", {"ancestors": [[rid, None]]}, "Only a key's holder exchanges."),
        ("account-unit", {"account": ["team", {"euros": 1}]}, "A unit nobody counts."),
        ("account-float", {"account": ["team", {"calls": 1.5}]}, "There are no floats."),
        ("ancestors-33", {"ancestors": [[rid, "ab" * 32]] * 33}, "At most 32 ancestors."),
        ("large", {"sub": "s" * 1000, "ancestors": [[rid, "ab" * 32]] * 30}, "Over 4,096 bytes."),
    ]  # fmt: skip
    made += [one(name, body(**change), note) for name, change, note in changes]
    made += [
        one("space", spelled.replace(b":", b": ", 1), "White space is another spelling."),
        one(
            "duplicate", b'{"account":null,' + spelled[1:],
            "A key twice: one reader takes the first, another the last.",
        ),
        one(
            "unsorted", b'{"akid":"a1","account":null,' + spelled[1:].split(b",", 2)[2],
            "Keys in another order.",
        ),
        one("escape", spelled.replace(b"agent", b"\\u0061gent"), "An escape for a plain letter."),
        one("latin-1", spelled.replace(b"agent", b"ag\xe9nt"), "Not UTF-8."),
        one("surrogate", spelled.replace(b"agent", b"ag\\ud800nt"), "Half a character."),
        one("exponent", spelled.replace(b'"v":1', b'"v":1e0'), "A float that looks whole."),
        one("minus-zero", spelled.replace(b'"depth":4', b'"depth":-0'), "Another zero."),
        one("nan", spelled.replace(b'"depth":4', b'"depth":NaN'), "Not JSON, though read by some."),
        one("tail", spelled + b" ", "Something after the body."),
        one("list", writer.canonical(list(body().items())), "Not an object."),
        one("nested", b"[" * 4000, "Nesting that overruns a recursive reader."),
        case(
            "header-separator", begin(identifier(separator=b"\1"), ROOT), HEADER,
            "The byte between body and seals is zero.",
        ),
        case("header-short", begin(b"short", ROOT), HEADER, "No room for a signature."),
        case("header-empty", begin(b"", ROOT), HEADER, "An empty identifier."),
    ]  # fmt: skip
    return made


def _caveats() -> list[dict[str, Any]]:
    malformed, not_canonical = deny(3, "caveat.malformed"), deny(3, "json.canonical")

    def one(
        name: str, caveat: list[Any] | bytes, note: str, expect: dict[str, Any] = malformed
    ) -> dict[str, Any]:
        return case(f"caveat-{name}", token(caveat), expect, note)

    unknown = deny(3, "caveat.unknown")
    return [
        one("unknown", ["colour", "red"], "Skipping what one does not know widens.", unknown),
        one("upper", ["EXP", NOW + 1], "Types are spelled exactly.", unknown),
        one("empty-type", ["", 1], "A type without a name.", unknown),
        one("bytes", b"tool = read", "A caveat of another system.", not_canonical),
        one("empty", b"", "Nothing.", not_canonical),
        one("object", b'{"exp":1}', "Not an array."),
        one("empty-array", [], "An array without a type."),
        one("number-type", [1, 2], "A type is a string."),
        one("not-utf8", b'["tool","in",["\xff"]]', "pymacaroons could not read it.", not_canonical),
        one("space", b'["exp", 1800000001]', "One space.", not_canonical),
        one("newline", b'["exp",1800000001]\n', "A line end.", not_canonical),
        one("escape", b'["tool","in",["fs.re\\u0061d"]]', "An escape.", not_canonical),
        one("slash", b'["path","in",["\\/srv"]]', "An escaped slash.", not_canonical),
        one("nfd", ["path", "in", ["/cafe\u0301"]], "Not NFC.", not_canonical),
        one("nfd-escaped", b'["path","in",["/cafe\\u0301"]]', "Nor so.", not_canonical),
        one("surrogate", b'["tool","in",["\\ud800"]]', "Half a character.", not_canonical),
        one("float", b'["exp",1800000001.0]', "No floats.", not_canonical),
        one("exponent", b'["exp",18e8]', "Nor in this spelling.", not_canonical),
        one("leading-zero", b'["exp",01800000001]', "Not JSON.", not_canonical),
        one("big", ["exp", 2**53], "Beyond 2**53 - 1 a reader may round: exp moves.",
            not_canonical),
        one(
            "big-argument", ["arg", "*", {"/path": ["any"], "/n": ["equals", 2**53 + 1]}],
            "An integer two readers read differently, in a place that takes any integer.",
            not_canonical,
        ),
        one("huge", b'["exp",' + b"9" * 2000 + b"]", "A number of two thousand digits.",
            not_canonical),
        one("negative", ["exp", -1], "No time is negative."),
        one("string", ["exp", "1800000001"], "A number in a string."),
        one("true", ["exp", True], "true is not 1."),
        one("extra", ["exp", NOW + 1, NOW + 2], "One field too many."),
        one("missing", ["exp"], "One too few."),
        one("duplicate", b'["only",{"read_files":"always","read_files":"never"}]', "A key twice.",
            not_canonical),
        one("unsorted", b'["cap",{"write_files":"never","read_files":"never"}]',
            "Keys out of order.", not_canonical),
        one("operation", ["cap", {"fly": "never"}], "An operation nobody knows."),
        one("level", ["cap", {"read_files": "sometimes"}], "A level nobody knows."),
        one("level-number", ["cap", {"read_files": 2}], "A level by number."),
        one("sense", ["path", "maybe", ["/srv"]], "Neither in nor not."),
        one("patterns", ["path", "in", "/srv"], "A list of patterns."),
        one("patterns-order", ["path", "in", ["/b", "/a"]], "A set has one spelling."),
        one("patterns-twice", ["path", "in", ["/a", "/a"]], "A pattern twice."),
        one("patterns-65", ["tool", "in", sorted(f"t{i}" for i in range(65))], "At most 64."),
        one("path-relative", ["path", "in", ["srv"]], "A relative pattern."),
        one("path-dots", ["path", "in", ["/srv/../etc"]], "A pattern to be resolved."),
        one("path-slashes", ["path", "in", ["/srv//data"]], "An empty segment."),
        one("path-slash", ["path", "in", ["/srv/"]], "A slash at the end."),
        one("path-nul", ["path", "in", ["/srv\0"]], "A NUL."),
        one("path-stars", ["path", "in", ["/srv/a**"]], "`**` stands alone in its segment."),
        one("path-many-stars", ["path", "in", ["/**/a/**/b/**"]], "`**` at most twice: more "
            "makes matching expensive."),
        one("path-stars-in-segment", ["path", "in", ["/srv/*a*b*c*d*"]], "At most four `*` in one "
            "segment: each is a search at every place."),
        one("path-long", ["path", "in", ["/a" * 32]], "At most 32 segments."),
        one("host-upper", ["host", "in", ["Example.org"]], "Hosts are in lower case."),
        one("host-url", ["host", "in", ["https://example.org"]], "A host, not a URL."),
        one("host-star", ["host", "in", ["*"]], "Everything is the absence of the caveat."),
        one("cmd-string", ["cmd", "in", ["git status"]], "A command is a vector, not a line."),
        one("cmd-empty", ["cmd", "in", [[]]], "The empty vector would admit all."),
        one("ref-empty", ["ref", "in", [""]], "An empty pattern."),
        one("arg-op", ["arg", "*", {"/p": ["regex", ".*"]}], "There are no regular expressions."),
        one("arg-pointer", ["arg", "*", {"p": ["any"]}], "A pointer starts with a slash."),
        one("arg-tilde", ["arg", "*", {"/~2": ["any"]}], "RFC 6901 knows ~0 and ~1."),
        one("arg-any", ["arg", "*", {"/p": ["any", 1]}], "An operand too many."),
        one("arg-equals-list", ["arg", "*", {"/p": ["equals", [1]]}], "A scalar."),
        one("arg-range-float", b'["arg","*",{"/p":["range",0.5,1]}]', "No floats.", not_canonical),
        one("arg-length", ["arg", "*", {"/p": ["length", -1, 2]}], "No length is negative."),
        one("arg-subpath", ["arg", "*", {"/p": ["subpath", "/a/*"]}], "No stars in a subpath."),
        one("budget-unit", ["budget", "euros", 1], "A unit nobody counts."),
        one("budget-negative", ["budget", "calls", -1], "A way to earn."),
        one("budget-float", b'["budget","micro_usd",0.5]', "Whole numbers only.", not_canonical),
        one("exposure", ["exposure", ["everything"]], "An exposure nobody knows."),
        one("exposure-order", ["exposure", ["untrusted_content", "private_data"]], "Unsorted."),
        one("approve", ["approve", "read_files"], "A list, not a name read letter by letter."),
        one("link-short", ["link", "ab"], "16 bytes."),
        one("link-space", ["link", "ab " * 10 + "ab"], "Hex without blanks."),
        one("long", ["tool", "in", ["z" * 2049]], "Over 2,048 bytes."),
        one("nested", b"[" * 200 + b"]" * 200, "Nested beyond reason."),
        one("nested-open", b"[" * 2000, "And never closed.", not_canonical),
        case(
            "caveat-65-patterns", token(*patterns(33, 32)), deny(3, "caveat.too_many_patterns"),
            "More than 64 patterns in a chain: each costs a search on every call.",
        ),
        case(
            "caveat-33-floating",
            token(["path", "in", ["/srv/**/a/b/c"]], *[["path", "in", ["/**/b/c/d/e/**/*"]]] * 4,
                  ["path", "not", ["/**"]]),
            deny(3, "caveat.too_many_patterns"),
            "More than 32 segments behind a `**` in a chain: each is tried at every place.",
        ),
    ]  # fmt: skip
