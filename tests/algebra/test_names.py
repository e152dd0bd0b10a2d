"""Names to numbers and back; whatever is not a name is refused."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, cast

import pytest
from hypothesis import given

from nucleus_tokens import exposure as E
from nucleus_tokens import label_names as LN
from nucleus_tokens import labels as B
from nucleus_tokens import lattice as L
from nucleus_tokens import names as N
from nucleus_tokens import projection as P
from nucleus_verifier import verdict as V
from tests.algebra import reference as R
from tests.algebra.reference import CAPS, LAW, Caps, pack
from tests.support.posing import Poser


def test_every_constant_of_an_operation_is_its_position() -> None:
    assert list(N.OPERATIONS) == R.OPS
    assert len(N.OPERATIONS) == L.DIMS
    for i, name in enumerate(N.OPERATIONS):
        assert getattr(L, name.upper()) == i == N.operation(name)
    assert [getattr(L, name.upper()) for name in N.LEVELS] == [0, 1, 2]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (B, LN.CONFIDENTIALITY),
        (B, LN.INTEGRITY),
        (B, ("no_authority", *LN.AUTHORITY[1:])),
        (B, LN.DERIVATION),
        (P, LN.RISKS),
        (V, LN.VERDICTS),
    ],
)
def test_every_constant_of_a_scale_is_its_position(
    module: ModuleType, names: tuple[str, ...]
) -> None:
    assert [getattr(module, name.upper()) for name in names] == list(range(len(names)))


@pytest.mark.parametrize(("module", "names"), [(B, LN.PROVENANCE), (E, N.EXPOSURES)])
def test_every_constant_of_a_set_is_its_bit(module: ModuleType, names: tuple[str, ...]) -> None:
    assert [getattr(module, name.upper()) for name in names] == [1 << i for i in range(len(names))]


@LAW
@given(CAPS)
def test_levels_round_trip(a: Caps) -> None:
    words = {op: N.LEVELS[level] for op, level in a.items()}
    assert N.pack_levels(words) == pack(a)
    assert N.unpack_levels(pack(a)) == words
    assert list(N.unpack_levels(pack(a))) == R.OPS


def test_what_is_not_named_takes_the_default() -> None:
    assert N.pack_levels({}) == L.BOTTOM
    assert N.pack_levels({}, default="always") == L.TOP
    cap = N.pack_levels({"git_push": "never"}, default="always")
    assert cap == L.TOP & ~L.with_level(L.GIT_PUSH, L.ALWAYS)


class Sly(str):
    """Equal to a name, but not a str: its equality could change between two looks."""


@pytest.mark.parametrize(
    "levels",
    [
        {"read_files": "sometimes"},
        {"read_file": "always"},
        {"READ_FILES": "always"},
        {"read-files": "always"},
        {"read_files": ""},
        {"read_files": "Always"},
        {"read_files": 2},
        {"read_files": None},
        {"read_files": ["always"]},
        {0: "always"},
        {Sly("read_files"): "always"},
        {"read_files": Sly("always")},
        {Poser("read_files"): "always"},
        {"read_files": Poser("always")},
    ],
)
def test_unknown_names_are_refused(levels: object) -> None:
    with pytest.raises(ValueError, match="unknown"):
        N.pack_levels(cast(Mapping[str, str], levels))


def test_sets_refuse_what_they_do_not_know() -> None:
    for bad in ("private_data", ["private"], [["private_data"]], [1]):
        with pytest.raises(ValueError):
            N.exposure_bits(cast(list[str], bad))
    for bits in (8, -1, 1 << 40):
        with pytest.raises(ValueError):
            N.exposure_names(bits)
    for bits in (1 << 13, -1):
        with pytest.raises(ValueError):
            N.obligation_names(bits)
    with pytest.raises(ValueError):
        N.obligation_bits(["git_push", "force_push"])
    with pytest.raises(ValueError):
        LN.sink("somewhere")
    with pytest.raises(ValueError):
        N.pack_levels({}, default="all")


def test_unpack_refuses_what_is_no_capability() -> None:
    for raw in (2, 1 << 26, -1):
        with pytest.raises(ValueError):
            N.unpack_levels(raw)


def test_labels_round_trip_in_words() -> None:
    for label in R.labels(R.PROVS[::9]):
        words = LN.describe_label(label.pack())
        assert words["confidentiality"] == label.conf.name.lower()
        assert words["integrity"] == label.integ.name.lower()
        assert words["authority"] == label.auth.name.lower()
        assert set(words["provenance"]) == label.prov
        assert words["derivation"] == label.deriv.value
        assert LN.make_label(**words) == label.pack()
    with pytest.raises(ValueError):
        LN.describe_label(0x02)
    with pytest.raises(ValueError):
        LN.make_label("public", "trusted", "directive", ["nobody"], "deterministic")
    assert B.valid(B.DEFAULT)


def test_tables_cannot_be_written_to() -> None:
    for table in (N.OPERATION_NUMBER, N.LEVEL_NUMBER, LN.GROUPS, LN.NODE_KINDS, LN.SINK_NUMBER):
        with pytest.raises(TypeError):
            cast(dict[str, object], table)["read_files"] = 0


@pytest.mark.parametrize(
    ("ask", "given", "said"),
    [
        (N.operation, "x", "unknown operation: 'x'"),
        (N.pack_levels, {"x": "always"}, "unknown operation: 'x'"),
        (N.pack_levels, {"git_push": "x"}, "unknown level: 'x'"),
        (lambda default: N.pack_levels({}, default), "x", "unknown level: 'x'"),
        (N.exposure_bits, ["x"], "unknown exposure: 'x'"),
        (N.exposure_bits, "x", "a list of exposure names is needed, not the string 'x'"),
        (N.obligation_bits, ["x"], "unknown operation: 'x'"),
        (N.obligation_bits, "x", "a list of operation names is needed, not the string 'x'"),
        (N.exposure_names, 8, "not a set of exposures: 0x8"),
        (N.exposure_names, -1, "not a set of exposures: -0x1"),
        (N.obligation_names, 1 << 13, "not a set of operations: 0x2000"),
        (N.unpack_levels, 2, "not a packed capability: 0x2"),
    ],
)
def test_a_refusal_says_what_is_not_known(
    ask: Callable[[Any], object], given: Any, said: str
) -> None:
    """Who writes a policy reads these."""
    with pytest.raises(ValueError) as refused:
        ask(given)
    assert str(refused.value) == said


def test_sets_go_there_and_back() -> None:
    for bits in range(8):
        assert N.exposure_bits(N.exposure_names(bits)) == bits
    for bits in (0, 1, 1 << 12, 0b1010101010101, (1 << 13) - 1):
        assert N.obligation_bits(N.obligation_names(bits)) == bits
    assert N.exposure_names(5) == ("private_data", "exfil_vector")
    assert N.obligation_names(1 << 12 | 1) == ("read_files", "spawn_agent")
    assert N.exposure_bits(["private_data"] * 2) == 1
    assert N.FLOW_RULES == (
        "allow", "secret_to_exfil", "authority", "integrity", "web_to_exfil", "freshness",
        "derivation",
    )  # fmt: skip


def test_levels_are_named_in_order() -> None:
    given = {"git_push": "low_risk", "read_files": "always"}
    named = N.unpack_levels(N.pack_levels(given))
    assert list(named) == list(N.OPERATIONS)
    assert named == {**dict.fromkeys(N.OPERATIONS, "never"), **given}
