"""The record of mutants is of the functions that run; a mutator changes what it says it changes."""

import ast
import os
import signal
from pathlib import Path

import pytest

from proofs.mutation import __main__ as command
from proofs.mutation import killing
from proofs.mutation.__main__ import WORDS, every, pending, recorded, sample, stale
from proofs.mutation.killing import Fate, Groups, fates
from proofs.mutation.mutants import SENTENCES, Mutant, function_hashes, of_source
from proofs.mutation.patching import changed_bodies
from proofs.sources import source_of

SOURCE = '''
LIMIT: int = 3


def fits(a: int, b: int) -> bool:
    """Whether it fits."""
    return a + b <= LIMIT and b >= 0
'''


def test_the_record_is_of_the_functions_that_run() -> None:
    """One that changed is asked about again: `python -m proofs.mutation --record full MODULE`."""
    assert stale(recorded()) == {}


def test_every_survivor_on_record_has_its_reason() -> None:
    for entries in recorded().values():
        for module, entry in entries.items():
            assert set(WORDS) <= set(entry), module
            assert len(entry["survivors"]) == entry["survived"] + entry["no answer"], module
            for mutant, each in entry["survivors"].items():
                assert len(each["reason"]) > 20, f"{mutant}: kill it, or say why it is the same"


def test_the_page_says_what_is_on_record() -> None:
    page = " ".join((Path(command.__file__).parent / "README.md").read_text("utf-8").split())
    for entries in recorded().values():
        inside = [entry for module, entry in entries.items() if module in command.MODULES]
        outside = [entry for module, entry in entries.items() if module not in command.MODULES]
        for group in (inside, outside):
            killed, every_one = (
                sum(entry[word] for entry in group for word in words)
                for words in (["killed"], WORDS)
            )
            assert f"{killed:,} of" in page or f"{killed:,} of the" in page, f"{killed:,}"
            assert f"{every_one:,}" in page, f"{every_one:,}"


def test_every_module_of_the_kernel_is_on_record() -> None:
    assert pending(recorded()) == []
    assert len(every()) == len(set(every())) >= 28


@pytest.mark.parametrize("words", [["stale"], []])
def test_a_module_of_the_kernel_without_a_record_is_red(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = recorded()
    del record["own"]["nucleus_tokens.fields"]
    monkeypatch.setattr(command, "recorded", lambda: record)
    monkeypatch.setattr(command, "_end", lambda *_, **__: 0)
    assert command.main(words) == 1
    said = capsys.readouterr().out
    assert "nucleus_tokens.fields is in the kernel and not on record" in said


def test_a_kernel_that_changed_without_its_record_is_red(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = "nucleus_tokens.exposure"
    changed = source_of(module).replace("return ", "return 0 + ", 1)
    assert changed != source_of(module)
    monkeypatch.setattr(command, "source_of", lambda m: changed if m == module else source_of(m))
    assert command.main(["stale"]) == 1
    assert f"the record is not of this {module}" in capsys.readouterr().out


def test_the_sample_is_the_same_for_the_same_code() -> None:
    drawn = [mutant.id for mutant in sample(recorded())]
    assert drawn == [mutant.id for mutant in sample(recorded())]
    assert len(drawn) >= sum(command.SAMPLE) * 3 // 4


def test_mutants_are_distinct_valid_and_differ_from_the_source() -> None:
    made = list(of_source("m", SOURCE))
    texts = [mutant.source for mutant in made]
    assert len(texts) == len(set(texts))
    assert ast.unparse(ast.parse(SOURCE)) not in texts
    said = {mutant.what for mutant in made}
    assert {"Add to Sub", "LtE to Lt", "And to Or", "3 to 4", "a to b", "returns 0"} <= said
    for mutant in made:
        ast.parse(mutant.source)


ERRING = """
def refuse(n: int) -> None:
    if n > 9:
        raise CredentialError("token.malformed", f"The token holds {n} and not nine.")
    raise ValueError("nothing") from refuse("path")
"""


def test_the_sentence_of_an_error_is_no_mutant() -> None:
    """Its code is, and a text that goes elsewhere."""
    texts = [m.source for m in of_source("m", ERRING) if m.what == "another text"]
    assert len(texts) == 2
    assert any("token.malformedx" in text for text in texts)
    assert any("pathx" in text for text in texts)


def test_nothing_in_the_kernel_depends_on_a_sentence() -> None:
    """An error that was caught gives its code, or its text to the sentence of another."""
    for module in every():
        tree = ast.parse(source_of(module))
        inside = {
            id(inner)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
            for said in call.args[SENTENCES.get(call.func.id, len(call.args)) :]
            for inner in ast.walk(said)
        }
        for handler in ast.walk(tree):
            if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
                continue
            for node in ast.walk(handler):
                for held in ast.iter_child_nodes(node):
                    if not isinstance(held, ast.Name) or held.id != handler.name:
                        continue
                    code = isinstance(node, ast.Attribute) and node.attr in ("code", "deny")
                    cause = isinstance(node, ast.Raise) and node.cause is held
                    assert code or cause or id(held) in inside, f"{module}, line {held.lineno}"


def test_a_body_alone_is_changed_in_place_and_nothing_more() -> None:
    module = "nucleus_tokens.fields"
    source = ast.unparse(ast.parse(source_of(module)))
    body = source.replace("item <= last", "item < last")
    around = source.replace("def integer(", "def whole(")
    assert source not in (body, around)
    assert changed_bodies(Mutant(module, "name_set", 1, "", body)) == {f"{module}.name_set"}
    assert not changed_bodies(Mutant(module, "integer", 1, "", around))


def test_what_python_only_warns_of_is_a_mutant_all_the_same() -> None:
    """As an error here, it would be a kill, or no answer, without a test having run."""
    module = "nucleus_tokens.fields"
    source = ast.unparse(ast.parse(source_of(module)))
    odd = source.replace("item <= last", "item is 3")
    assert odd != source
    assert changed_bodies(Mutant(module, "name_set", 1, "", odd)) == {f"{module}.name_set"}


def test_a_hash_is_of_the_meaning_and_not_of_the_words() -> None:
    before = function_hashes(SOURCE)
    assert function_hashes(SOURCE.replace("Whether it fits", "Does it")) == before
    assert function_hashes(SOURCE.replace("LIMIT: int = 3", "LIMIT: int = 4")) != before
    changed = function_hashes(SOURCE.replace("b >= 0", "b > 0"))
    assert [name for name in before if changed[name] != before[name]] == ["fits"]


def test_only_groups_that_reach_a_function_are_asked() -> None:
    groups = Groups(
        (frozenset({"m.fits"}), frozenset({"m.other"}), frozenset({"m.fits"})), (2, 1, 1)
    )
    assert groups.order(Mutant("m", "fits", 1, "", "")) == [2, 0]
    assert groups.order(Mutant("m", "<module>", 1, "", "")) == [1, 2, 0]


def test_the_record_counts_every_mutant_of_its_modules() -> None:
    entry = recorded()["own"]["nucleus_tokens.exposure"]
    made = sum(
        1 for _ in of_source("nucleus_tokens.exposure", source_of("nucleus_tokens.exposure"))
    )
    assert made == sum(entry[word] for word in WORDS) > 50


def test_only_a_loop_is_killed_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits, is stopped from outside or falls silent has killed nothing."""
    monkeypatch.setattr(killing, "SECONDS", 0.1)
    monkeypatch.setattr(killing, "PATIENCE", 1)

    def judge(mutant: Mutant) -> Fate:
        if mutant.what == "loops":
            while True:
                pass
        if mutant.what == "waits":
            signal.pause()
        if mutant.what == "stopped":
            os.kill(os.getpid(), signal.SIGKILL)
        if mutant.what == "raises":
            raise SystemExit
        return Fate("survived", "", "long" * 99_999 if mutant.what == "tells" else "")

    words = ("loops", "waits", "stopped", "raises", "tells", "ends")
    asked = [Mutant("m", "f", 1, w, "") for w in words]
    told = {mutant.what: what.verdict for mutant, what in fates(asked, judge)}
    assert told == {
        "loops": "killed",
        "waits": "no answer",
        "stopped": "no answer",
        "raises": "no answer",
        "tells": "survived",
        "ends": "survived",
    }
