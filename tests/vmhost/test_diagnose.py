"""Where the wall cannot stand, one sentence says why and one line helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_vmhost import diagnose, groups
from nucleus_vmhost.work import Limits


@pytest.mark.parametrize(
    ("said", "settings", "code", "helps"),
    [
        ("bwrap: Unknown option --bind-fd", {}, "wall.bubblewrap", "apt-get install -y bubblewrap"),
        ("Landlock is missing (Function not implemented)", {}, "wall.landlock", "5.19"),
        (
            "bwrap: No permissions to create new namespace",
            {"kernel/unprivileged_userns_clone": "0"},
            "wall.namespaces",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "bwrap: Creating new namespace failed: No space left on device",
            {"user/max_user_namespaces": "0"},
            "wall.namespaces",
            "sudo sysctl -w user.max_user_namespaces=15000",
        ),
        (
            "bwrap: setting up uid map: Permission denied",
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "wall.namespaces",
            "/etc/apparmor.d/bwrap",
        ),
        ("bwrap: setting up uid map: Permission denied", {}, "wall.namespaces", "container"),
        ("its network namespace is not empty: ['eth0', 'lo']", {}, "wall.cell", ""),
        ("", {}, "wall.cell", ""),
    ],
)
def test_each_reason_has_its_line(
    tmp_path: Path, said: str, settings: dict[str, str], code: str, helps: str
) -> None:
    for name, value in settings.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value + "\n")
    error = diagnose.why(said, "/usr/bin/bwrap", tmp_path)
    assert error.code == code
    assert helps in error.hint


def test_root_without_a_pids_cgroup_starts_nothing(tmp_path: Path) -> None:
    """The limit on processes does not hold for root; nothing weaker takes its place."""
    import os

    if os.geteuid() != 0:
        assert groups.Groups.make(Limits(), "x", tmp_path).remove()
        return
    with pytest.raises(Exception, match="ordinary user") as caught:
        groups.Groups.make(Limits(), "x", tmp_path)
    assert getattr(caught.value, "code", "") == "wall.pids"


@pytest.mark.parametrize(
    ("tree", "own", "found"),
    [
        ({}, "0::/\n", None),
        ({"memory": ""}, "4:memory:/\n", "memory"),
        ({"unified": "", "memory": ""}, "4:memory:/x\n0::/\n", "memory"),
        ({"": "cpu memory"}, "0::/a/b\n", ""),
        ({"": "", "a": "memory pids", "a/b": ""}, "0::/a/b\n", "a"),
        ({"": "", "a": "", "a/b": "memory"}, "0::/a/b\n", None),
    ],
    ids=["none", "old", "both kinds", "top", "beside our own", "not below our own"],
)
def test_memory_is_counted_where_it_can_be(
    tmp_path: Path, tree: dict[str, str], own: str, found: str | None
) -> None:
    for name, given in tree.items():
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.procs").touch()
        if name != "memory":
            (folder / "cgroup.subtree_control").write_text(given)
    (tmp_path / "own").write_text(own)
    ours = groups._ours(tmp_path / "own")
    assert groups._parent(tmp_path, "memory", ours) == (None if found is None else tmp_path / found)
