"""Law: a wall that cannot stand is not replaced by a lower one; we say what is missing instead.

From what bubblewrap said and what the machine is: one sentence, and the one line that helps.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from nucleus_tokens.errors import WorldError

INSTALL: Final = "sudo apt-get install -y bubblewrap"
_UPGRADE: Final = "sudo apt-get update && sudo apt-get install -y bubblewrap"
_APPARMOR: Final = (
    "printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap {bwrap} "
    "flags=(unconfined) {{ userns, }}\\n' | sudo tee /etc/apparmor.d/bwrap && "
    "sudo systemctl reload apparmor"
)
# kernel setting -> (the value that forbids what we need, the line that helps)
_SETTINGS: Final = {
    "kernel/unprivileged_userns_clone": ("0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    "user/max_user_namespaces": ("0", "sudo sysctl -w user.max_user_namespaces=15000"),
}


def bwrap() -> str:
    """Where bubblewrap is. Raises WorldError `wall.bubblewrap`."""
    found = shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    if found is None:
        raise WorldError(
            "wall.bubblewrap", "bubblewrap is not installed.", hint=f"Install it with: {INSTALL}"
        )
    return found


def why(said: str, program: str, sys: Path = Path("/proc/sys")) -> WorldError:
    """Why no cell came to be. `said` is what bubblewrap or the launcher complained with."""
    said = " ".join(said.split())[:500]
    if "Unknown option" in said:
        return WorldError(
            "wall.bubblewrap",
            f"This bubblewrap is too old: {said}.",
            hint=f"Version 0.8 with its security updates, or 0.10, will do: {_UPGRADE}",
        )
    if "Landlock" in said:
        return WorldError(
            "wall.landlock",
            f"{said}.",
            hint="Linux 5.19 or newer with 'landlock' in its list of security modules is needed: "
            "check with: cat /sys/kernel/security/lsm",
        )
    if not said.startswith("bwrap:"):  # the launcher looked, and this is not what was ordered
        return WorldError(
            "wall.cell", f"The cell did not come to be: {said or 'it ended at once'}."
        )
    for name, (forbids, line) in _SETTINGS.items():
        if _read(sys / name) == forbids:
            return WorldError(
                "wall.namespaces", f"This kernel is set to give no user namespaces: {said}.",
                hint=f"Allow them with: {line}",
            )  # fmt: skip
    if _read(sys / "kernel/apparmor_restrict_unprivileged_userns") == "1" and "ermi" in said:
        return WorldError(
            "wall.namespaces",
            f"AppArmor keeps bubblewrap from making user namespaces: {said}.",
            hint=f"Allow it, and only it, with: {_APPARMOR.format(bwrap=program)}",
        )
    if "namespace" in said or "uid map" in said or "ermission denied" in said:
        return WorldError(
            "wall.namespaces",
            f"This system lets us make no namespaces: {said}.",
            hint="In a container, its own filter must allow user namespaces and mounts.",
        )
    return WorldError("wall.cell", f"The cell did not come to be: {said}.")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
