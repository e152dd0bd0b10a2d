"""Law: what the demo needs is looked for before anything starts, and named in one sentence."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from nucleus.demo.differs import Missing

INSTALL = 'pip install "mcp>=2.3,<3" mcp-server-git'


def check() -> None:
    """Raises Missing."""
    wanted = {"mcp": "the MCP client", "mcp_server_git": "mcp-server-git"}
    missing = [what for module, what in wanted.items() if find_spec(module) is None]
    if missing:
        raise Missing(f"The demo needs {' and '.join(missing)}; install with: {INSTALL}")
    if shutil.which("git") is None:
        raise Missing("The demo needs git; install with: sudo apt-get install -y git")
