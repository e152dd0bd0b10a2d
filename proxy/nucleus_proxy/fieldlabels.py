"""Law: a field of a result is what its binding says, as long as it has the form that the binding
says; whatever else stands in a result is the worst of what its tool and its fields are.

A binding names fields by pointer (`*` is every item of a list). A field is one value: a text, a
number, true, false or null. What has another form, stands elsewhere, or is not the only reading of
the result is no field. Docs: docs/bindings.md, "Labels of fields".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from nucleus_proxy import fields
from nucleus_proxy.flowtracker import Labelled
from nucleus_tokens import arguments, label_names, labelling, labels, names
from nucleus_tokens.authority import MISSING
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.exposure import EXFIL_VECTOR, UNTRUSTED_CONTENT

_EACH: Final = "*"
# None of these but `text` holds a sentence: ASCII only, and no blank. An id may be base64.
_FORMS: Final[Mapping[str, re.Pattern[str] | None]] = {
    "number": None,
    "flag": None,
    "text": None,
    "id": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+=-]{0,127}"),
    "link": re.compile(r"https://[A-Za-z0-9.-]{1,128}(/[A-Za-z0-9._~/#?=&-]{0,256})?"),
    "time": re.compile(
        r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
    ),
}
FORMS: Final = tuple(_FORMS)
_LARGEST: Final = 2**64  # of a number: digits without end spell anything
_STAMP: Final = "io.modelcontextprotocol/serverInfo"
# What a result may hold besides what it says; anything else is said, too.
_MEMBERS: Final = frozenset(("content", "structuredContent", "isError", "resultType", "_meta"))


def labelled(kind: int, brings: int) -> int:
    """The packed label of what is of this kind and brings this exposure: what strangers wrote is
    not to be trusted, whatever it is called."""
    strange = labels.integ(kind) == labels.TRUSTED and brings & UNTRUSTED_CONTENT
    return labels.join(kind, labelling.integ_bits(labels.ADVERSARIAL)) if strange else kind


@dataclass(frozen=True, slots=True)
class Field:
    """Some fields of a tool's results, all alike."""

    at: tuple[str, ...]  # pointers, as they are written
    form: str | frozenset[str]  # one of FORMS, or the only texts it may be
    label: str  # the kind of node it is
    adds: int = 0  # exposure, where it is shown

    def fits(self, value: Any) -> bool:
        """Whether a value has this form."""
        if value is None:
            return True
        if type(self.form) is frozenset:
            return type(value) is str and value in self.form
        if self.form == "number":
            return type(value) in (int, float) and abs(value) < _LARGEST
        if self.form == "flag":
            return type(value) is bool
        if self.form == "text":
            return type(value) in (str, int, float, bool)
        pattern = _FORMS[str(self.form)]
        return type(value) is str and pattern is not None and pattern.fullmatch(value) is not None

    def labelled(self, now: int) -> Labelled:
        """Its label, seen now."""
        kind, ttl = label_names.node_label(self.label)
        return Labelled(labelled(kind, self.adds), now if ttl else 0, ttl)


Tree = dict[str, Any]  # segment -> Tree or (Field, its pointer)


@dataclass(frozen=True, slots=True)
class Fields:
    """All declared fields of one tool. `tree` is the same, by segment."""

    all: tuple[Field, ...]
    tree: Tree = field(repr=False, compare=False)
    adds: int  # exposure that they may bring

    @property
    def least(self) -> Labelled:
        """The label of a result that shows no field: cleaner than each of them."""
        made = self.all[0].labelled(0).label
        for each in self.all:
            made &= each.labelled(0).label
        return Labelled(made)

    def worst(self, tool: Labelled, now: int) -> Labelled:
        """The label of what is no field. `tool` is the tool's own."""
        made = tool
        for each in self.all:
            made = made.join(each.labelled(now))
        return made


class Part(NamedTuple):
    """One field of a result: what it is, by which declared pointer, and its value."""

    what: Field
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Parts:
    """What one result is made of. `rest`: something is there that is no field."""

    rest: bool
    found: Mapping[str, Part] = field(default_factory=dict)  # by its pointer in the result

    def adds(self, worst: int) -> int:
        """The exposure that it brings. `worst` is all that a result of this call could bring."""
        made = worst if self.rest else 0
        for part in self.found.values():
            made |= part.what.adds
        return made

    def label(self, of: Fields, tool: Labelled, now: int) -> Labelled:
        """Its label as a whole."""
        made = of.worst(tool, now) if self.rest else of.least
        for each in {part.what for part in self.found.values()}:
            made = made.join(each.labelled(now))
        return made


UNKNOWN: Final = Parts(rest=True)


def parse(where: str, value: Any) -> Fields | None:
    """The `fields` of a tool; None for none. Raises CallerError `policy.*`, ValueError."""
    if type(value) is not list:
        fields.bad(where, "a list of tables is needed")
    if not value:
        return None
    found = tuple(_field(f"{where}[{i}]", each) for i, each in enumerate(value))
    tree: Tree = {}
    adds = 0
    for each in found:
        adds |= each.adds
        for pointer in each.at:
            _plant(where, tree, each, pointer)
    return Fields(found, tree, adds)


def _field(where: str, value: Any) -> Field:
    table = fields.keys(where, value, "at", "is", "label", "adds")
    for needed in ("at", "is", "label"):
        if needed not in table:
            fields.bad(where, f"it needs {needed!r}")
    at = fields.texts(f"{where}.at", table["at"])
    form = table["is"]
    if type(form) is not list and form not in FORMS:
        fields.bad(f"{where}.is", f"it is one of {', '.join(FORMS)}, or a list of texts")
    if not at or form == []:
        fields.bad(where, "'at' and a list in 'is' hold at least one text")
    if table["label"] not in label_names.NODE_KINDS:
        fields.bad(f"{where}.label", f"it is one of {', '.join(label_names.NODE_KINDS)}")
    adds = names.exposure_bits(fields.texts(f"{where}.adds", table.get("adds", [])))
    if adds & EXFIL_VECTOR:
        fields.bad(f"{where}.adds", "a way out is what a tool is, not what it answers")
    return Field(
        tuple(fields.pointer(f"{where}.at", each) for each in at),
        frozenset(fields.texts(f"{where}.is", form)) if type(form) is list else form,
        table["label"],
        adds,
    )


def _plant(where: str, tree: Tree, each: Field, pointer: str) -> None:
    *above, last = (s.replace("~1", "/").replace("~0", "~") for s in pointer[1:].split("/"))
    for segment in above:
        tree = tree.setdefault(segment, {})
        if type(tree) is not dict:
            fields.bad(where, f"{pointer!r} lies inside another field")
    if last in tree:
        fields.bad(where, f"{pointer!r} is named twice, or another field lies inside it")
    tree[last] = (each, pointer)


# Of one result ------------------------------------------------------------------------------------


def parts(of: Fields, value: Any) -> Parts:
    """What a value is made of. Total."""
    found: dict[str, Part] = {}
    rest = False
    left: list[tuple[Any, Any, str]] = [(of.tree, value, "")]
    while left:
        declared, here, at = left.pop()
        if type(declared) is tuple:
            if declared[0].fits(here):
                found[at] = Part(declared[0], declared[1], here)
            else:
                rest = True
        elif declared is None or (here is not None and type(here) not in (dict, list)):
            rest = True
        elif here is not None:
            named = type(here) is dict
            for key, segment, item in _inside(here):
                # An object's key `*` is no item of a list.
                known = None if named and key == _EACH else declared.get(key)
                left.append((known, item, f"{at}/{segment}"))
    return Parts(rest, found)


def _inside(value: Any) -> Iterator[tuple[str, str, Any]]:
    """(its segment in a binding, its segment in a pointer, the item) of a list or an object."""
    if type(value) is list:
        for number, item in enumerate(value):
            yield _EACH, str(number), item
    else:
        for key, item in value.items():
            yield key, key.replace("~", "~0").replace("/", "~1"), item


def of_result(of: Fields, result: Any, stamp: Any = None) -> Parts:
    """What an MCP result is made of. Total. `stamp` is what its server put under each answer before
    this one (revision 2026-07-28): the same again says nothing."""
    value = only_reading(result, stamp)
    return UNKNOWN if value is MISSING else parts(of, value)


def rest_of(value: Any, found: Parts, at: str = "") -> Any:
    """A value without its fields."""
    if type(value) not in (dict, list):
        return value
    made = [
        (key, rest_of(item, found, f"{at}/{segment}"))
        for key, segment, item in _inside(value)
        if f"{at}/{segment}" not in found.found
    ]
    return dict(made) if type(value) is dict else [item for _, item in made]


def value_of(result: Any) -> Any:
    """What an MCP result says: its structured content, else the JSON of its one text, else the
    text; None for what is neither."""
    if type(result) is not dict:
        return None
    if "structuredContent" in result:
        return result["structuredContent"]
    content = result.get("content")
    if type(content) is not list or len(content) != 1 or type(content[0]) is not dict:
        return None
    text = content[0].get("text")
    read = read_text(text)
    return read if read is not MISSING else text if type(text) is str else None


def stamp_of(result: Any) -> Any:
    """What a server of 2026-07-28 says of itself under an answer; None where it says nothing."""
    meta = result.get("_meta") if type(result) is dict else None
    return meta.get(_STAMP) if type(meta) is dict else None


def only_reading(result: Any, stamp: Any = None) -> Any:
    """The one value that a result says, however it is read; MISSING where it says anything else,
    or failed. `stamp` as above."""
    if (
        type(result) is not dict
        or not result.keys() <= _MEMBERS
        or result.get("isError", False) is not False
        or result.get("resultType", "complete") != "complete"
        or not (result.get("_meta", {}) == {} or _stamped(result["_meta"], stamp))
        or type(result.get("content", [])) is not list
    ):
        return MISSING
    said = [_json(block) for block in result.get("content", [])]
    if "structuredContent" in result:
        value = result["structuredContent"]
        return value if all(_same(value, each) for each in said) else MISSING
    return said[0] if len(said) == 1 else MISSING


def _stamped(meta: Any, stamp: Any) -> bool:
    return stamp is not None and _same(meta, {_STAMP: stamp})


def _json(block: Any) -> Any:
    if type(block) is not dict or block.keys() != {"type", "text"} or block["type"] != "text":
        return MISSING
    return read_text(block["text"])


def read_text(text: Any) -> Any:
    """The object or list that a text spells as JSON; MISSING for anything else. Strict: a key that
    is named twice has two readings."""
    if type(text) is not str or text[:1] not in ("{", "["):
        return MISSING
    try:
        return arguments.parse(text.encode("utf-8"))
    except (CredentialError, UnicodeError):
        return MISSING


def _same(one: Any, other: Any) -> bool:
    """The same JSON: 1, 1.0 and true are three values."""
    if other is MISSING:
        return False
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
