"""No effect without a permit, as a rule over the source: where the world can be touched is listed.

A new place that opens a file, a socket or a process fails here until somebody writes down why it
is no way around the effects. What stands in `EFFECTS` takes a permit; tests/proxy/test_permits_of_
effects.py tries each with a used and a foreign one.
"""

from __future__ import annotations

import ast

from tests.house.doors import doors
from tests.house.source import PACKAGES, ROOT, python_files, shown, tree

# The kernel and the tokens have no door at all.
CLOSED = ("nucleus_tokens", "nucleus_verifier")
# But what the verifier's services say to each other; no kernel imports it (test_kernel.py).
SERVICES = (
    "verifier/nucleus_verifier/middleware/",
    "verifier/nucleus_verifier/rpc/",
    "verifier/nucleus_verifier/sidecar/",
)

EFFECTS = "proxy/nucleus_proxy/effects/"

# file, or folder ending in a slash: why what it does is not done for an agent.
OWN = {
    "proxy/nucleus_proxy/celled.py": "looks what a server's cell could show, before it runs",
    "proxy/nucleus_proxy/connect.py": "the holder's side: signs, and meets the proxy at its socket",
    "proxy/nucleus_proxy/egress/dial.py": "dials for effects/net, the model route and tunnels, "
    "each under the permit of its call",
    "proxy/nucleus_proxy/egress/http1.py": "reads and writes what dial.py opened",
    "proxy/nucleus_proxy/egress/resolving.py": "resolves the one host that was judged",
    "proxy/nucleus_proxy/egress/secrets.py": "reads the proxy's own credentials",
    "proxy/nucleus_proxy/flowstate.py": "the proxy's own database of labels",
    "proxy/nucleus_proxy/link.py": "options of the agent's own connection",
    "proxy/nucleus_proxy/policy.py": "reads the operator's policy file",
    "proxy/nucleus_proxy/http/front.py": "the proxy's own port on the loopback",
    "proxy/nucleus_proxy/rpc/": "a process in a cell, which is a client of the proxy's socket",
    "proxy/nucleus_proxy/resolve.py": "follows links to judge a path; opens nothing",
    "proxy/nucleus_proxy/shipped.py": "reads the bindings of this distribution",
    "proxy/nucleus_proxy/serve.py": "the proxy's own socket",
    "proxy/nucleus_proxy/server.py": "starts the operator's MCP server, before any call",
    "proxy/nucleus_proxy/sessions.py": "the proxy's own sockets, one for each session",
    "proxy/nucleus_proxy/starting.py": "ends what others have started, and starts nothing",
    "proxy/nucleus_proxy/streams.py": "the proxy's own standard streams",
    "proxy/nucleus_proxy/tracefile.py": "the copy of the trace, and the reveals",
    "sdk/nucleus/__init__.py": "names of ours, loaded when they are asked for",
    "sdk/nucleus/aio/": "the agent's side: it has the socket of its proxy and nothing else",
    "sdk/nucleus/approver.py": "a person's process",
    "sdk/nucleus/audit/fixing.py": "rewrites a person's own configurations for that person",
    "sdk/nucleus/audit/live.py": "finds a server's program; it runs in a cell",
    "sdk/nucleus/audit/judging.py": "looks whether a person's file of suppressions is there",
    "sdk/nucleus/audit/walking.py": "reads a person's own files for that person's command",
    "sdk/nucleus/bringing.py": "keeps what was changed as a patch; a permit writes it",
    "sdk/nucleus/behind.py": "makes the cell of an agent that a person or agent_spawn starts",
    "sdk/nucleus/mcpconfig.py": "reads a person's own list of servers, and where they are",
    "sdk/nucleus/installed.py": "reads which package the operator's server is part of",
    "sdk/nucleus/pins.py": "the home's own files of what was accepted of servers' tools",
    "sdk/nucleus/standing.py": "a person's own standing answers",
    "sdk/nucleus/channel.py": "the agent's side: the socket of its proxy",
    "sdk/nucleus/cli/": "commands of a person, on that person's own files",
    "sdk/nucleus/console/": "a person's console, on this host alone",
    "sdk/nucleus/couriers.py": "asks approvers that the operator wrote down",
    "sdk/nucleus/demo/": "a demonstration that a person starts",
    "sdk/nucleus/doctoring.py": "looks at one host for a person; changes nothing",
    "sdk/nucleus/fronting.py": "the proxy's own socket, and the cell that reads gRPC",
    "sdk/nucleus/home.py": "finds the places of one host for a person's command",
    "sdk/nucleus/hosting.py": "a session's proxy: its connection, and the pipe to its parent",
    "sdk/nucleus/identities.py": "asks this host's identity service, and makes it a socket",
    "sdk/nucleus/link.py": "the agent's side: the socket of its proxy",
    "sdk/nucleus/microvm.py": "the process of a person who runs an agent in a microVM",
    "sdk/nucleus/minting.py": "a process of a person's command, which makes a token and ends",
    "sdk/nucleus/joining.py": "makes a home for a person's command",
    "sdk/nucleus/observe/book.py": "a person's record of an observation",
    "sdk/nucleus/observe/recording.py": "a person's observation: the same road, with a wide token",
    "sdk/nucleus/places.py": "finds the places of one host",
    "sdk/nucleus/proxying.py": "the folder of the proxy's own sockets",
    "sdk/nucleus/remote.py": "a person's command that asks an issuer elsewhere",
    "sdk/nucleus/running.py": "the list of sessions that run, for a person to look at",
    "sdk/nucleus/serving.py": "a person's process: takes connections, starts a proxy for each",
    "sdk/nucleus/session.py": "the agent's side: finds the proxy that a person started",
    "sdk/nucleus/supervising.py": "a person's process: starts this host's services",
    "sdk/nucleus/toolsets.py": "the agent's side: reads what the caller itself passes in",
    "sdk/nucleus/vault.py": "the home's own sealed values",
    "sdk/nucleus/vmdoctor.py": "looks at what a machine can do, for a person",
    "sdk/nucleus/vms.py": "the list of microVMs that run, for a person to look at",
    "sdk/nucleus/walled.py": "the process of a person who runs an agent behind the wall",
}


def _listed(name: str) -> bool:
    return any(name == place or (place.endswith("/") and name.startswith(place)) for place in OWN)


def test_the_kernel_and_the_tokens_touch_nothing() -> None:
    found = {
        shown(path): sorted(names)
        for package in CLOSED
        for path in python_files(PACKAGES[package])
        if (names := doors(path)) and not shown(path).startswith(SERVICES)
    }
    assert not found


def test_whatever_else_touches_the_world_is_an_effect_or_says_why_not() -> None:
    unknown = {
        shown(path): sorted(names)
        for package in ("nucleus_proxy", "nucleus")
        for path in python_files(PACKAGES[package])
        if (names := doors(path))
        and not shown(path).startswith(EFFECTS)
        and not _listed(shown(path))
    }
    assert not unknown, f"use an effect under a permit, or say in this file why not: {unknown}"


def test_a_row_of_native_tools_runs_nothing_but_an_effect() -> None:
    """NativeTool(...) is made in effects/ only, so that what it runs stands there."""
    wrong = [
        shown(path)
        for package in ("nucleus_proxy", "nucleus")
        for path in python_files(PACKAGES[package])
        if not shown(path).startswith(EFFECTS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "NativeTool"
    ]
    assert not wrong


def test_permits_are_used_in_effects_and_made_by_commit_alone() -> None:
    made, used = set(), set()
    for package in PACKAGES:
        for path in python_files(PACKAGES[package]):
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    if node.func.id == "Permit":
                        made.add(shown(path))
                elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    if node.func.attr == "use":
                        used.add(shown(path))
    assert made == {"verifier/nucleus_verifier/commit.py"}
    # The effect of a gate is its answer: the permit is used where that is made.
    used.discard("verifier/nucleus_verifier/sidecar/gate.py")
    outside = {
        name for name in used if not name.startswith((EFFECTS, "proxy/nucleus_proxy/egress/"))
    }
    assert not outside


def test_the_scan_sees_the_usual_ways() -> None:
    """The rule is only as good as its eyes."""
    seen = {
        "open('x')": "open",
        "import os\nos.open('x', 0)": "os.open",
        "from os import open as o": "os.open",
        "import subprocess as s": "subprocess",
        "import http.client": "http.client",
        "from urllib import request": "urllib.request",
        "from pathlib import Path\nPath('x').read_text()": ".read_text",
        "p.open('rb')": ".open",
        "import asyncio\nasyncio.open_connection()": "asyncio.open_connection",
        "import os\nos.path.realpath('x')": "os.path.realpath",
        "__import__('os')": "__import__",
        "eval('1')": "eval",
        "import os\nf = os.system": "os.system",
    }
    import tests.house.doors as scan

    for source, door in seen.items():
        assert door in set(scan._found(ast.parse(source))), source
    assert (ROOT / EFFECTS).is_dir()
