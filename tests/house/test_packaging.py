"""What people install is what stands here, and nothing unpinned comes with it."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.house.source import PACKAGES, ROOT

REQUIREMENTS = ROOT / "requirements"
Pins = dict[str, tuple[Version, frozenset[str]]]


def _on_disk() -> set[str]:
    """Every file of the packages as it should stand in the wheel."""
    return {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, set[str]]:
    """The source archive, the wheel built from it, and the files that must be in the wheel."""
    out = tmp_path_factory.mktemp("dist")
    before = _on_disk()
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel, before & _on_disk()


def test_wheel_built_through_the_sdist_holds_every_file(
    built: tuple[Path, Path, set[str]],
) -> None:
    """Layouts of several roots lose packages silently on the way through the sdist."""
    _, wheel, expected = built
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert expected <= names, f"missing in the wheel: {sorted(expected - names)}"
    strange = {name for name in names if name.split("/")[0] not in PACKAGES}
    assert not strange, f"not ours to install: {sorted(strange)}"
    assert not {name for name in names if name.endswith((".pyc", ".sqlite", ".pem", ".key"))}


def test_wheel_has_the_command_the_licence_and_two_dependencies(
    built: tuple[Path, Path, set[str]],
) -> None:
    _, wheel, _ = built
    with zipfile.ZipFile(wheel) as archive:
        info = {n.split(".dist-info/")[1]: n for n in archive.namelist() if ".dist-info/" in n}
        commands = archive.read(info["entry_points.txt"]).decode()
        metadata = archive.read(info["METADATA"]).decode()
    assert "licenses/LICENSE" in info
    assert "nucleus = nucleus.cli:main" in commands
    needed = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra ==)", metadata, re.MULTILINE)
    assert sorted(name.lower() for name in needed) == ["pymacaroons", "pynacl"], (
        "the base is the trusted base: a third dependency needs an ADR"
    )


def test_sdist_can_be_tested_and_holds_nothing_local(built: tuple[Path, Path, set[str]]) -> None:
    """A packager who has only the archive must be able to run the tests from it."""
    sdist, _, _ = built
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"dev", "LICENSE", "README.md", "requirements/lock.txt", "pyproject.toml"} <= names
    assert "tests/house/test_packaging.py" in names
    local = [n for n in names if n.startswith((".venv", ".nucleus", "dist/")) or "__pycache__" in n]
    assert not local


def _pins(name: str) -> Pins:
    text = (REQUIREMENTS / name).read_text().replace("\\\n", " ")
    pins: Pins = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            spec, *rest = line.split()
            package, _, version = spec.partition("==")
            hashes = frozenset(word for word in rest if word.startswith("--hash=sha256:"))
            assert version, f"{name}: {spec} is not pinned"
            assert hashes, f"{name}: {spec} has no hash"
            pins[package.lower()] = (Version(version), hashes)
    return pins


APART = [f"servers/{path.name}" for path in sorted((REQUIREMENTS / "servers").iterdir())]


@pytest.mark.parametrize("name", ["lock.txt", "run.txt", *APART])
def test_locks_pin_every_file_and_name_no_index(name: str) -> None:
    text = (REQUIREMENTS / name).read_text()
    assert _pins(name)
    for word in ("index-url", "find-links", "trusted-host", "://", " @ ", "-e "):
        assert word not in text, f"{word!r}: where to fetch from is the installer's matter"


def test_what_runs_is_a_part_of_what_is_tested() -> None:
    run, everything = _pins("run.txt"), _pins("lock.txt")
    different = {name for name, pin in run.items() if everything.get(name) != pin}
    assert not different, f"tested with other files than people run: {different}"


def test_locks_satisfy_pyproject() -> None:
    """A dependency that was added without `./dev lock` fails here, and not at a user's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    asked = [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *(word for group in extras.values() for word in group),
    ]
    pins = _pins("lock.txt")
    for requirement in map(Requirement, asked):
        name = requirement.name.lower()
        if name != project["project"]["name"]:
            assert name in pins, f"{name} is not in the lock: run ./dev lock"
            assert pins[name][0] in requirement.specifier, f"run ./dev lock: {requirement}"


def test_build_backend_is_pinned_exactly() -> None:
    """The backend writes what people install: it is code of ours that we did not write."""
    (backend,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert backend.startswith("hatchling==")
