"""Real MCP servers of npm and PyPI, as `./dev servers`, and so `./dev test`, installs them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.house.source import ROOT

NPM = ROOT / ".npm"
SERVERS = ROOT / ".servers"


def npm(name: str) -> list[str]:
    """The command of a server that npm ships."""
    main = NPM / "node_modules" / "@modelcontextprotocol" / name / "dist" / "index.js"
    assert main.is_file(), f"{name} is missing; install it with: ./dev servers"
    node = shutil.which("node")
    assert node, "node is missing; install it with: ./dev system"
    return [os.path.realpath(node), str(main)]


def pypi(name: str) -> str:
    """The program of a server that PyPI ships: beside ours, or in an environment of its own."""
    beside = Path(sys.executable).with_name(f"mcp-server-{name}")
    found = beside if beside.exists() else SERVERS / name / "bin" / f"mcp-server-{name}"
    assert found.exists(), f"mcp-server-{name} is missing; install it with: ./dev servers"
    return str(found)
