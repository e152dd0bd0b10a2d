"""Law: an image is a function of what it is made of: same inputs, same bytes, and its name is the
hash of them.

A kernel and a first file system, from Debian's packages, the guest's own few files, and what the
user adds. It holds no key, no token and nothing of this machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import CallerError, WorldError
from nucleus_vmhost import connect, diagnose
from nucleus_vmhost.vm import cpio, kernel, packages
from nucleus_vmhost.vm.guest import names
from nucleus_vmhost.vm.packages import Package

BASE: Final = ("python3", "busybox-static")
DEFAULT: Final = "default"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
# One more for each change of what is done here with the same inputs.
_RECIPE: Final = 2
_HERE: Final = Path(__file__).parent
_GUEST: Final = "usr/lib/nucleus"
_MERGED: Final = ("bin", "sbin", "lib", "lib64")
_FOLDERS: Final = (
    "dev",
    "etc",
    "home/agent",
    "opt",
    "proc",
    "root",
    "run/nucleus",
    "sys",
    "tmp",
    "var",
)
_LEFT_OUT: Final = (
    "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug",
    "usr/share/bash-completion", "usr/share/info", "usr/lib/python3.11/test",
    "usr/lib/python3.11/idlelib", "usr/lib/python3.11/lib2to3", "usr/lib/python3.11/tkinter",
    "usr/lib/python3.11/turtledemo", "usr/lib/python3.11/ensurepip",
    "usr/lib/python3.11/pydoc_data", "usr/lib/x86_64-linux-gnu/gconv",
)  # fmt: skip
_NOT_ADDED: Final = ("/dev", "/proc", "/sys", "/run", "/usr/lib/nucleus", "/lib/nucleus")
_SECONDS: Final = 600
_SPARE_MIB: Final = 192
_LEAST_MIB: Final = 256
_COMPILE: Final = """
import os, py_compile, sys
for top in sys.argv[1:]:
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            if name.endswith(".py") and not os.path.islink(path):
                try:
                    py_compile.compile(path, path + "c", path, doraise=True,
                        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
                except py_compile.PyCompileError:
                    continue
                os.unlink(path)
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image is made of. `adds`: what is here, and where it stands inside."""

    packages: tuple[str, ...] = ()
    adds: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: two files and how much memory they need."""

    key: str
    folder: Path
    memory_mib: int
    digest: str  # of both files: what "the same" means
    guest: str  # of the guest's own files

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinux"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"


def added(text: str) -> tuple[str, str]:
    """PATH or PATH:WHERE. Raises CallerError `vm.add`."""
    source, _, where = text.partition(":")
    path = os.path.realpath(source)
    where = os.path.normpath(where or os.path.abspath(source))
    if not os.path.exists(path):
        raise CallerError("vm.add", f"There is no {source}.")
    if not where.startswith("/") or where == "/":
        raise CallerError("vm.add", f"{where!r} is no place inside: an absolute path is.")
    if any(where == taken or where.startswith(taken + "/") for taken in _NOT_ADDED):
        raise CallerError("vm.add", f"{where} is the guest's own.", hint="Say --add PATH:WHERE")
    return path, where


def guest() -> str:
    """The digest of the guest's own files."""
    digest = hashlib.sha256()
    for name, body in sorted(_own().items()):
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()


def build(cache: Path, recipe: Recipe) -> Image:
    """The image of a recipe, built where it is not there. Raises CallerError, WorldError `vm.*`."""
    wanted = (*BASE, packages.KERNEL, *recipe.packages)
    found = packages.resolved(wanted)
    key = key_of(found, recipe)
    with one_at_a_time(cache):
        image = load(cache / "images" / key) or _built(cache, key, wanted, found, recipe)
    if image is None:
        raise WorldError("vm.image", f"The image in {cache} is not whole.")
    return image


def _built(
    cache: Path, key: str, wanted: Sequence[str], found: Sequence[Package], recipe: Recipe
) -> Image | None:
    packages.fetched(wanted, found, cache / "packages")
    with _tidied(cache / "images") as made:
        _make(made, cache / "packages", found, recipe)
        files = {name: (made / name).read_bytes() for name in ("vmlinux", "initrd")}
        digest = hashlib.sha256(b"".join(hashlib.sha256(f).digest() for f in files.values()))
        record = {
            "key": key,
            "digest": digest.hexdigest(),
            "guest": guest(),
            "memory_mib": max(_LEAST_MIB, _SPARE_MIB + 2 * (len(files["initrd"]) >> 20)),
            "packages": [asdict(package) for package in found],
        }
        (made / "image.json").write_text(json.dumps(record, indent=1) + "\n")
        made.rename(cache / "images" / key)
    return load(cache / "images" / key)


def name(cache: Path, image: Image, name: str) -> None:
    """Call an image by a name from now on. Raises CallerError `vm.image`."""
    link = _named(cache, name)
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f".{name}-{os.getpid()}")
    new.symlink_to(Path("..", "images", image.key))
    new.rename(link)


def named(cache: Path, name: str) -> Image:
    """The image of a name. Raises CallerError `vm.image` where there is none, or one of another
    version of this."""
    image = load(_named(cache, name))
    hint = "Build it: nucleus vm image build" + ("" if name == DEFAULT else f" --name {name}")
    if image is None:
        raise CallerError("vm.image", f"There is no image {name} for microVMs here.", hint=hint)
    if image.guest != guest():
        raise CallerError("vm.image", f"The image {name} is of another version.", hint=hint)
    return image


def _named(cache: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise CallerError("vm.image", f"{name!r} is no name of an image.")
    return cache / "names" / name


def load(folder: Path) -> Image | None:
    """A built image, or None where there is none."""
    try:
        record = json.loads((folder / "image.json").read_bytes())
        return Image(
            key=str(record["key"]),
            folder=folder,
            memory_mib=int(record["memory_mib"]),
            digest=str(record["digest"]),
            guest=str(record["guest"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorldError("vm.image", f"The image in {folder} is not whole: {error}.") from error


def key_of(found: Sequence[Package], recipe: Recipe) -> str:
    """The name of what these make."""
    digest = hashlib.sha256(f"{_RECIPE} {guest()}".encode())
    digest.update(json.dumps([asdict(package) for package in found]).encode())
    for source, where in recipe.adds:
        digest.update(f"\0{where}\0".encode() + _of(Path(source)))
    return digest.hexdigest()[:32]


def _of(path: Path) -> bytes:
    """The digest of a file or a tree: names, modes, links and contents."""
    found = os.lstat(path)
    digest = hashlib.sha256(f"{stat.S_IFMT(found.st_mode)} {found.st_mode & 0o777}".encode())
    if path.is_symlink():
        digest.update(os.fsencode(os.readlink(path)))
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            digest.update(os.fsencode(inner.name) + b"\0" + _of(inner))
    elif path.is_file():
        digest.update(path.read_bytes())
    else:
        raise CallerError("vm.add", f"{path} is no file, folder or link.")
    return digest.digest()


@contextlib.contextmanager
def one_at_a_time(cache: Path) -> Iterator[None]:
    """What is made in the cache is made by one: a second one finds it there."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(cache / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _tidied(parent: Path) -> Iterator[Path]:
    """A folder beside its goal: what is built is there whole or not at all."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# The tree -------------------------------------------------------------------------------------


def _make(made: Path, folder: Path, found: Sequence[Package], recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory(prefix="nucleus-") as name:
        tree, boot = Path(name, "tree"), Path(name, "boot")
        boot.mkdir()
        tree.mkdir(0o755)
        for below in _FOLDERS:
            (tree / below).mkdir(0o755, parents=True)
        for link in _MERGED:
            (tree / "usr" / link).mkdir(0o755, parents=True)
            (tree / link).symlink_to(f"usr/{link}")
        for package in found:
            into = boot if package.name.startswith("linux-image-") else tree
            _unpack(folder / package.file, into, merged=into is tree)
        _own_files(tree, boot)
        _in_itself(tree)
        for source, where in recipe.adds:
            _copy(Path(source), tree / where.lstrip("/"))
        (bz_image,) = (boot / "boot").glob("vmlinuz-*")
        (made / "vmlinux").write_bytes(kernel.unpacked(bz_image.read_bytes()))
        with (made / "initrd").open("wb") as out:
            cpio.write(tree, out)


def _unpack(deb: Path, tree: Path, *, merged: bool) -> None:
    argv = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE) as unpacking,
        tarfile.open(fileobj=unpacking.stdout, mode="r|") as tar,
    ):
        for member in tar:
            name = os.path.normpath(member.name)
            if merged and name.split("/")[0] in _MERGED:
                name = f"usr/{name}"
            if any(name == out or name.startswith(out + "/") for out in _LEFT_OUT):
                continue
            if merged and member.isdir() and (tree / name).is_dir():
                continue
            if merged and member.islnk():
                linked = os.path.normpath(member.linkname)
                inside = linked.split("/")[0] in _MERGED
                member.linkname = f"usr/{linked}" if inside else linked
            member.name, member.uid, member.gid = name, os.getuid(), os.getgid()
            member.uname = member.gname = ""
            tar.extract(member, tree, filter="tar")


def _own() -> dict[str, bytes]:
    """The guest's own files, by their place inside."""
    package = f"{_GUEST}/guest/nucleus_vmhost"
    modules = (
        "__init__", "vm/__init__", "vm/frames", "vm/streams", "vm/pumps",
        "vm/guest/__init__", "vm/guest/changes", "vm/guest/first", "vm/guest/half",
        "vm/guest/loop", "vm/guest/names", "vm/guest/programs",
    )  # fmt: skip
    found = {f"{package}/{m}.py": (_HERE.parent / f"{m}.py").read_bytes() for m in modules}
    found[f"{_GUEST}/guest/__main__.py"] = (_HERE / "guest" / "__main__.py").read_bytes()
    found["init"] = (_HERE / "guest" / "init").read_bytes()
    script = Path(connect.__file__).read_bytes()
    found[names.CONNECT.lstrip("/")] = b"#!/usr/bin/python3 -IS\n" + script
    who = f"{names.AGENT_UID}:{names.AGENT_UID}"
    half = f"{names.HALF_UID}:{names.HALF_UID}"
    found["etc/passwd"] = (
        f"root:x:0:0::/root:/bin/sh\nhalf:x:{half}::/:/bin/false\n"
        f"agent:x:{who}::{names.HOME}:/bin/sh\n"
    ).encode()
    found["etc/group"] = b"root:x:0:\nhalf:x:100:\nagent:x:1000:\n"
    found["etc/hosts"] = b"127.0.0.1 localhost vm\n"
    found["etc/nsswitch.conf"] = b"passwd: files\ngroup: files\nhosts: files\n"
    return found


def _own_files(tree: Path, boot: Path) -> None:
    for name, body in _own().items():
        path = tree / name
        path.parent.mkdir(0o755, parents=True, exist_ok=True)
        path.write_bytes(body)
        path.chmod(0o755 if body.startswith(b"#!") else 0o644)
    loaded = kernel.modules(boot)
    for path in loaded:
        shutil.copyfile(path, tree / _GUEST / path.name)
    (tree / _GUEST / "modules").write_text("".join(f"{path.name}\n" for path in loaded))


def _in_itself(tree: Path) -> None:
    """What only the guest's own programs can do: name busybox's commands, compile Python."""
    inside = [
        diagnose.bwrap(), "--unshare-all", "--die-with-parent", "--bind", str(tree), "/",
        "--proc", "/proc", "--dev", "/dev", "--clearenv", "--setenv", "PYTHONHASHSEED", "0",
        "--setenv", "LANG", "C.UTF-8", "--",
    ]  # fmt: skip
    for argv in (
        ["/usr/bin/busybox", "--install", "-s", "/usr/bin"],
        ["/usr/bin/python3", "-SB", "-c", _COMPILE, "/usr/lib/python3.11", f"/{_GUEST}/guest"],
    ):
        done = subprocess.run([*inside, *argv], capture_output=True, timeout=_SECONDS, check=False)
        # A command that is there already is not named again.
        if done.returncode and argv[0] != "/usr/bin/busybox":
            said = done.stderr.decode(errors="replace").strip()
            raise WorldError("vm.image", f"{argv[0]} does not run in the image: {said}")
    for folder in ("dev", "proc"):
        for left in (tree / folder).iterdir():
            left.unlink()


def _copy(source: Path, goal: Path) -> None:
    goal.parent.mkdir(0o755, parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, goal, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy(source, goal)
