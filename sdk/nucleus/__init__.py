"""What people use: sessions, tools, profiles and the `nucleus` command. It is the one
composition root: the only package that may import all the others and wire them together.

    from nucleus import Session, approve
    from nucleus.tools import fs, net, git
"""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nucleus.approving import approve
    from nucleus.channel import Explained
    from nucleus.errors import (
        ApprovalRequired,
        BudgetExceeded,
        EffectFailed,
        NucleusError,
        PolicyDenied,
        Refused,
        StateBlocked,
    )
    from nucleus.guarding import guard
    from nucleus.handles import CommandOutput, FileHandle, Label, NetResponse, Text
    from nucleus.session import Session

__all__ = [
    "ApprovalRequired",
    "BudgetExceeded",
    "CommandOutput",
    "EffectFailed",
    "Explained",
    "FileHandle",
    "Label",
    "NetResponse",
    "NucleusError",
    "PolicyDenied",
    "Refused",
    "Session",
    "StateBlocked",
    "Text",
    "approve",
    "guard",
]

__version__: Final = "0.1.0"

# Importing the package reads nothing: the command line must answer `--help` at once.
_HOME_OF: Final = {
    "approve": "approving",
    "guard": "guarding",
    "Session": "session",
    "Explained": "channel",
    **dict.fromkeys(("CommandOutput", "FileHandle", "Label", "NetResponse", "Text"), "handles"),
    **dict.fromkeys(
        (
            "ApprovalRequired", "BudgetExceeded", "EffectFailed", "NucleusError", "PolicyDenied",
            "Refused", "StateBlocked",
        ),
        "errors",
    ),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nucleus' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"nucleus.{_HOME_OF[name]}"), name)
