"""What an agent writes into its workspace by itself, past every effect, is not clean when read."""

from __future__ import annotations

import json

from nucleus_tokens import labels
from tests.walled.place import Place


def _label(place: Place) -> int:
    """The label of what the next run reads there."""
    said = place.run("--", "/bin/sh", "-c", place.calls("fs_read", path="notes.txt")).ok().out
    answer = next(line for line in said.splitlines() if line.startswith("{"))
    return int(json.loads(answer)["result"]["_meta"]["nucleus/label"]["bits"])


def test_a_file_that_the_agent_wrote_itself_is_adversarial_in_the_next_run(place: Place) -> None:
    (place.folder / "notes.txt").write_text("a person's notes\n")
    assert labels.integ(_label(place)) != labels.ADVERSARIAL
    place.run("--workspace", "rw", "--", "/bin/sh", "-c", "echo planted > notes.txt").ok()
    assert labels.integ(_label(place)) == labels.ADVERSARIAL


def test_a_run_that_may_not_write_taints_nothing(place: Place) -> None:
    (place.folder / "notes.txt").write_text("a person's notes\n")
    before = _label(place)
    place.run("--workspace", "ro", "--", "/bin/true").ok()
    assert _label(place) == before
