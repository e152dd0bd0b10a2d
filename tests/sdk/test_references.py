"""A text that goes back to the proxy unchanged keeps its label; a changed one has the session's."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nucleus import asks
from nucleus.handles import FileHandle, Label, Text
from nucleus.labeled import Adversarial, Secret, Trusted, labeled
from nucleus.tools import fs
from nucleus_tokens import labels
from tests.cli.command import Desk
from tests.sdk.stage import serving

HANDLE = FileHandle(
    "text", Label(0), frozenset(), path="/x", size=4, sha256=None, ref="tag-1#/content"
)


@given(st.text())
def test_only_the_very_text_has_a_reference(plain: str) -> None:
    for made in (
        HANDLE + plain,
        plain + HANDLE,
        HANDLE.map(lambda _: plain),
        Text.join(plain, [HANDLE, HANDLE]),
    ):
        assert not made.ref
        assert not asks.write("x", made).refs
    assert asks.write("x", HANDLE).refs == {"/content": "tag-1#/content"}
    assert asks.write("x", HANDLE).args["content"] == "text"
    assert asks.edit("x", plain, HANDLE, False).refs == {"/new": "tag-1#/content"}
    assert asks.fetch("https://example.com", body=HANDLE).refs == {"/body": "tag-1#/content"}
    assert asks.git("commit", message=HANDLE, paths=[plain]).refs == {"/message": "tag-1#/content"}
    assert asks.write("x", plain).refs == asks.write("x", b"x").refs == {}


def test_a_handle_is_anything_until_somebody_looks() -> None:
    value = labeled(HANDLE)
    assert value.label == labels.BOTTOM
    assert value.at_least(Trusted, Secret).dangerously_bare == "text"
    assert value.at_least(Adversarial, Secret).exposure == frozenset()


def test_a_trusted_file_is_copied_as_trusted(host: Desk, tmp_path: Path) -> None:
    workspace = tmp_path / "labelled"
    workspace.mkdir()
    (workspace / "checked.txt").write_text("checked")
    (workspace / "other.txt").write_text("not checked")
    policy = host.file(
        "labels.toml",
        f"version = 1\n[workspace]\nroot = '.'\n[files]\ntrusted = ['{workspace}/checked.txt']\n",
    )
    words = ("--profile", "safe-pr-fixer", "--policy", policy)
    with serving(host, workspace, *words) as served, served.session():
        checked = fs.read("checked.txt")
        assert "integrity trusted" in str(checked.label)
        fs.read("other.txt")
        fs.write("by-reference.txt", checked)
        fs.write("by-hand.txt", str(checked) + " ")
        assert "integrity trusted" in str(fs.read("by-reference.txt").label)
        # this session counts as one that saw the web from its start
        assert "integrity adversarial" in str(fs.read("by-hand.txt").label)
