"""Law: the kernel is Debian's own, taken out of its packing and otherwise as it is.

A bzImage is a program that unpacks a kernel. QEMU's microvm machine and Firecracker start the
kernel itself: an ELF file with an entry for that (PVH).
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import WorldError

# In the order in which each finds what it needs.
MODULES: Final = (
    "drivers/virtio/virtio", "drivers/virtio/virtio_ring", "drivers/virtio/virtio_mmio",
    "drivers/char/virtio_console", "net/vmw_vsock/vsock",
    "net/vmw_vsock/vmw_vsock_virtio_transport_common",
    "net/vmw_vsock/vmw_vsock_virtio_transport",
)  # fmt: skip
_LZ4: Final = b"\x02\x21\x4c\x18"
_SECONDS: Final = 120


def unpacked(packed: bytes) -> bytes:
    """The kernel in a bzImage. Raises WorldError `vm.kernel`."""
    try:
        if packed[0x202:0x206] != b"HdrS":
            raise WorldError("vm.kernel", "The kernel's file is no bzImage.")
        sectors = packed[0x1F1] or 4
        offset, length = struct.unpack_from("<II", packed, 0x248)
    except (IndexError, struct.error) as error:
        raise WorldError("vm.kernel", "The kernel's file is no bzImage.") from error
    start = (sectors + 1) * 512 + offset
    # The last four bytes are the size.
    body, size = packed[start : start + length - 4], packed[start + length - 4 : start + length]
    if not body.startswith(_LZ4):
        raise WorldError("vm.kernel", "The kernel is packed in a way that is not known here.")
    try:
        done = subprocess.run(
            ["lz4", "-d", "-c", "-"], input=body, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WorldError(
            "vm.kernel", f"lz4 did not run: {error}.", hint="It is in the package lz4."
        ) from error
    kernel = done.stdout
    if not kernel.startswith(b"\x7fELF") or size != struct.pack("<I", len(kernel)):
        raise WorldError("vm.kernel", "The kernel could not be unpacked whole.")
    return kernel


def modules(tree: Path) -> list[Path]:
    """The modules that the guest loads, in order, of an unpacked package. Raises WorldError."""
    found = []
    for name in MODULES:
        paths = list(tree.glob(f"lib/modules/*/kernel/{name}.ko"))
        if len(paths) != 1:
            raise WorldError("vm.kernel", f"The kernel's package has no module {name}.")
        found.append(paths[0])
    return found
