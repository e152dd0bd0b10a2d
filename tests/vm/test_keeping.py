"""A machine is kept on the disk whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys

from nucleus_vmhost import diagnose

SCRIPT = """
import os, sys
from pathlib import Path
from nucleus_tokens.errors import WorldError
from nucleus_vmhost.vm import keeping, memory
from nucleus_vmhost.vm.image import Image
from nucleus_vmhost.vm.qemu import Qemu, QemuKept

full = Path("/mnt")
ram = memory.made(8 << 20)
os.pwrite(ram, os.urandom(4 << 20), 1 << 20)
memory.seal(ram)
made = QemuKept(Qemu(), "key", Image("key", full, 8, "", ""), 8, ram, b"state")
try:
    keeping.stored(full / "kept" / "key", made)
except WorldError as error:
    print(error.code, "No space left" in error.message, list((full / "kept").iterdir()))
(full / "kept").rmdir()
made.ram = memory.made(1 << 20)
keeping.stored(full / "kept" / "key", made)
print(sorted(path.name for path in (full / "kept" / "key").iterdir()))
"""


def test_a_full_disk_is_said_and_leaves_nothing() -> None:
    jail = [
        diagnose.bwrap(), "--dev-bind", "/", "/", "--size", str(1 << 20), "--tmpfs", "/mnt", "--",
    ]  # fmt: skip
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [*jail, sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.decode().splitlines() == ["vm.kept True []", "['ram', 'state']"], done.stderr
