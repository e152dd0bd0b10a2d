"""Approvals: statements that turn named obligations of one prefix from Ask into Allow."""

from __future__ import annotations

from typing import Any

from tests.vectors import writer
from tests.vectors.frozen import CALL, CARRIED, allow, ask, case, deny, holder, token
from tests.vectors.writer import NOW, Chain, b64, digest_of_call, key, name16, public, sign

OWED = "op:read_files"
ASKED = ask(OWED)
PATTERN: list[list[Any]] = [["path", "in", ["/srv/data"]]]


def subject() -> Chain:
    """Reading needs an approval."""
    return token(["approve", ["read_files"]])


def statement(chain: Chain, **change: Any) -> dict[str, Any]:
    """One approval of the file's own call under this chain, once."""
    return {
        "approver": "person",
        "cell": "wall:vectors",
        "count": 1,
        "digest": digest_of_call(CALL["tool"], CALL["args"]),
        "id": name16("approval"),
        "not_after": NOW + 600,
        "obligations": [OWED],
        "pattern": None,
        "rid": chain.rids()[-1],
        "tid": name16("tid"),
        "v": 1,
        **change,
    }


def signed(value: dict[str, Any] | bytes, by: str = "person") -> bytes:
    """Signature and body."""
    body = value if isinstance(value, bytes) else writer.canonical(value)
    return sign(key(by), b"nucleus/approval/v1\0" + body) + body


def _facts(*shown: bytes, uses: int | None = 0, **change: Any) -> dict[str, Any]:
    ids = (name16("approval"), name16("approval 2"))
    spent = {} if uses is None else {f"approval:{i}/uses": uses for i in ids}
    return {"approvals": [b64(a) for a in shown], "spent": spent, **change}


def cases() -> list[dict[str, Any]]:
    return [*_good(), *_bad(), *_malformed(), *_patterns(), *_quorum()]


def _good() -> list[dict[str, Any]]:
    chain = subject()
    one = signed(statement(chain))
    bound = chain.bind(CALL["tool"], CALL["args"])
    two = token(["approve", ["read_files"]], ceil=[["only", {"read_files": "low_risk"}]])
    both = statement(two, obligations=["input:/path", OWED])
    part = statement(two, obligations=["input:/path"])
    rest = statement(two, id=name16("approval 2"))
    return [
        case("none", chain, ASKED, "Nobody answered yet.", facts=_facts()),
        case("once", chain, allow(OWED), "One call, by its digest.", facts=_facts(one)),
        case(
            "once-carried", bound.text(bound.proof("agent")), allow(OWED),
            "The rid is that of the prefix without its request, so a fresh request still matches.",
            facts={**_facts(one), **CARRIED},
        ),
        case(
            "two-obligations", two, allow(OWED, "input:/path"), "One approval, both obligations.",
            facts=_facts(signed(both)),
        ),
        case(
            "part", two, ask(OWED), "What is not named stays open.", facts=_facts(signed(part)),
        ),
        case(
            "together", two, allow(OWED, "input:/path"), "Two approvals complete each other.",
            facts=_facts(signed(part), signed(rest)),
        ),
        case(
            "eighth", chain, allow(OWED), "The last of eight.",
            facts=_facts(*[b"x" * 65] * 7, one),
        ),
        case(
            "beside-rubbish", chain, allow(OWED),
            "A malformed approval beside it disturbs nothing.", facts=_facts(b"x" * 100, one),
        ),
    ]  # fmt: skip


def _bad() -> list[dict[str, Any]]:
    chain = subject()

    def one(name: str, note: str, by: str = "person", **change: Any) -> dict[str, Any]:
        data = signed(statement(chain, **change), by)
        return case(name, chain, ASKED, note, facts=_facts(data))

    good = signed(statement(chain))
    deeper = chain.add(["link", name16("x")])
    denied = token(["approve", ["read_files"]], ["cap", {"read_files": "never"}])
    handed = token(["approve", ["read_files"]]).hand("agent", "sub", 1)
    exchanged = token(
        ["approve", ["read_files"]], holder=holder("sub"),
        ancestors=[[name16("origin"), public(key("agent")).hex()]],
    )  # fmt: skip
    over = [good[:64], good[64:]]
    return [
        one("other-tid", "Of another token.", tid=name16("other")),
        one("other-rid", "Of another prefix.", rid=name16("other")),
        case("narrowed-after", deeper, ASKED, "Narrowing asks again: the approval names its "
             "parent.", facts=_facts(good)),
        one("other-cell", "Given in another session.", cell="wall:other"),
        one("tree-cell", "Of the tree's cell: it is the wall's that counts.", cell="tree:vectors"),
        one("other-digest", "Of other arguments.", digest=digest_of_call("fs.read", {"path": "/"})),
        one("other-tool", "Of another tool with the same arguments.",
            digest=digest_of_call("fs.write", CALL["args"])),
        one("args-digest", "Of the arguments alone, without the tool.",
            digest=writer.digest_of_args(CALL["args"])),
        one("other-obligation", "Of something that is not owed.", obligations=["gate:exposure"]),
        one("expired", "not_after is exclusive.", not_after=NOW),
        one("unknown-approver", "A key the verifier does not list.", approver="stranger",
            by="stranger"),
        one("other-signature", "In another person's name.", by="second"),
        one("holder", "An approver in the token's holder chain: nobody approves himself, whatever "
            "the operator listed.", by="agent", approver="agent"),
        case("holder-handed", handed, ASKED, "Nor after handing it on.",
             facts=_facts(signed(statement(handed, approver="agent"), "agent"))),
        case("holder-before-exchange", exchanged, ASKED, "Nor after having it exchanged.",
             facts=_facts(signed(statement(exchanged, approver="agent"), "agent"))),
        case("flipped", chain, ASKED, "One bit of the signature.",
             facts=_facts(bytes((over[0][0] ^ 1, *over[0][1:])) + over[1])),
        case("malleable", chain, ASKED, "The signature with L added.",
             facts=_facts(writer.other_signature(over[0]) + over[1])),
        case("unsigned", chain, ASKED, "No signature.", facts=_facts(bytes(64) + over[1])),
        case("body-signed-bare", chain, ASKED, "A signature without the domain: any other thing "
             "the approver signed could serve.",
             facts=_facts(sign(key("person"), over[1]) + over[1])),
        case("used", chain, ASKED, "Used before.", facts=_facts(good, uses=1)),
        case("uses-unknown", chain, ASKED, "A counter nobody could read is not zero.",
             facts=_facts(good, uses=None)),
        case("never", denied, deny(9, "level.never"), "`never` is not approvable.",
             facts=_facts(signed(statement(denied)))),
        case("scope", token(["approve", ["read_files"]], ["path", "in", []]),
             deny(10, "scope.outside", ("caveat", 2)), "Nor is a scope.", facts=_facts(good)),
        case("ninth", chain, ASKED, "Eight approvals are looked at, no more.",
             facts=_facts(*[b"x" * 65] * 8, good)),
        case(
            "reader-only", _writes(), ask("op:write_files"), "An approver for reading only.",
            call=_WRITE, facts=_facts(signed(_write_statement(approver="reader"), "reader")),
        ),
    ]  # fmt: skip


_WRITE: dict[str, Any] = {
    "operation": "write_files", "tool": "fs.write", "sink": "workspace_write", "projects": [],
    "records": [],
}  # fmt: skip


def _writes() -> Chain:
    return token(["approve", ["write_files"]], ceil=[["only", {"write_files": "always"}]])


def _write_statement(**change: Any) -> dict[str, Any]:
    digest = digest_of_call("fs.write", CALL["args"])
    return statement(_writes(), obligations=["op:write_files"], digest=digest, **change)


def _malformed() -> list[dict[str, Any]]:
    chain = subject()
    body = statement(chain)
    spelled = writer.canonical(body)

    def one(name: str, value: dict[str, Any] | bytes, note: str) -> dict[str, Any]:
        return case(f"malformed-{name}", chain, ASKED, note, facts=_facts(signed(value)))

    return [
        one("field", {**body, "level": "always"}, "An approval can say nothing more."),
        one("missing", {k: v for k, v in body.items() if k != "cell"}, "Nor anything less."),
        one("version", {**body, "v": 2}, "Another version."),
        one("neither", {**body, "digest": None}, "Neither a call nor a pattern."),
        one("both", {**body, "pattern": PATTERN}, "Both."),
        one("digest-upper", {**body, "digest": body["digest"].upper()}, "Hex is lower case."),
        one("digest-count", {**body, "count": 2}, "One call is approved once."),
        one("count-zero", {**body, "count": 0}, "Not at all."),
        one("count-many", {**body, "digest": None, "pattern": PATTERN, "count": 1001},
            "More than 1,000 times."),
        one("nothing", {**body, "obligations": []}, "For nothing."),
        one("unsorted", {**body, "obligations": [OWED, "gate:exposure"]}, "A set in order."),
        one("space", spelled.replace(b":", b": ", 1), "White space."),
        one("duplicate", b'{"approver":"person",' + spelled[1:], "A key twice."),
        one("float", spelled.replace(b'"count":1', b'"count":1.0'), "No floats."),
        one("long", {**body, "obligations": sorted([OWED, *("z" * 1000 + str(i)
            for i in range(5))])}, "Over 4,096 bytes."),
        one("pattern-exp", {**body, "digest": None, "pattern": [["exp", NOW + 10**6]]},
            "A pattern holds predicates on the call, no times and no levels."),
        one("pattern-empty", {**body, "digest": None, "pattern": []}, "A pattern of nothing."),
        case("malformed-short", chain, ASKED, "Shorter than a signature.",
             facts=_facts(signed(body)[:64])),
    ]  # fmt: skip


def _patterns() -> list[dict[str, Any]]:
    chain = subject()

    def one(
        name: str, expect: dict[str, Any], note: str, pattern: list[list[Any]],
        uses: int = 0, count: int = 3, **call: Any,
    ) -> dict[str, Any]:  # fmt: skip
        data = signed(statement(chain, digest=None, pattern=pattern, count=count))
        return case(f"pattern-{name}", chain, expect, note, facts=_facts(data, uses=uses),
                    call=call)  # fmt: skip

    argument: list[list[Any]] = [["arg", "fs.read", {"/path": ["subpath", "/srv/data"]}]]
    return [
        one("inside", allow(OWED), "Any call on these paths.", PATTERN),
        one("third", allow(OWED), "The third of three.", PATTERN, uses=2),
        one("fourth", ASKED, "The fourth.", PATTERN, uses=3),
        one("outside", ASKED, "Another path.", PATTERN, resources={"path": ["/srv/x"]}),
        one("unknown", ASKED, "A resource that is not known.", PATTERN, resources={}),
        one("untouched", ASKED, "A call that touches no path is another call: an empty list of "
            "resources satisfies no pattern.", PATTERN, resources={"path": []}),
        one("conjunction", ASKED, "All parts hold.", [*PATTERN, ["tool", "in", ["mail.*"]]]),
        one("arg", allow(OWED), "By arguments.", argument),
        one("arg-other-tool", ASKED, "An arg pattern of another tool holds of nothing.",
            [["arg", "fs.write", {"/path": ["any"]}]]),
        one("arg-unnamed", ASKED, "And is closed: another argument is another call.", argument,
            args={"follow": True, "path": "/srv/data/a.txt"}),
    ]  # fmt: skip


def _quorum() -> list[dict[str, Any]]:
    chain = subject()
    quorum = {"gate": "ask", "obligations": [], "quorum": {"read_files": 2}, "tools": []}
    first = signed(statement(chain))
    again = signed(statement(chain, id=name16("approval 2")))
    second = signed(statement(chain, approver="second", id=name16("approval 2")), "second")
    return [
        case("quorum-one", chain, ASKED, "Two are needed.", facts=_facts(first, policy=quorum)),
        case("quorum-two", chain, allow(OWED), "Two people.",
             facts=_facts(first, second, policy=quorum)),
        case("quorum-twice", chain, ASKED, "One person twice is one person.",
             facts=_facts(first, again, policy=quorum)),
    ]  # fmt: skip
