"""Law: who takes part, and what each of them was given; all of it made while the demo runs.

The operator makes a home and issues one token to the agent. The agent, offline and with its own
key, narrows it for a reader and for a writer. Each of the three is an MCP client of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from nucleus.demo import policy
from nucleus.demo.clients import Answer, Connection, connected
from nucleus.demo.differs import expect
from nucleus.demo.telling import Teller
from nucleus.demo.wire import Tap
from nucleus.demo.world import World, server_command, server_path

DOOR = "door"
TAPPED = "tapped"
READS = ("git_diff", "git_diff_staged", "git_diff_unstaged", "git_log", "git_show", "git_status")
WRITES = ("git_add", "git_commit", "git_create_branch", "git_status")


@dataclass
class Stage:
    """The places, the people and their connections. `edit` may change the first proxy's policy
    file before it is written."""

    world: World
    tell: Teller
    edit: Callable[[str], str] = str
    strangers_answer: str = ""
    connections: list[Connection] = field(default_factory=list[Connection])
    _begun: dict[str, asyncio.Task[Any]] = field(default_factory=dict[str, "asyncio.Task[Any]"])

    def __post_init__(self) -> None:
        self.tap = Tap(self.world.socket(TAPPED), self.world.socket(DOOR))
        self.agent = self.connection("agent", "agent", "agent")
        # The thief of step 8 lies on this one's wire.
        self.reader = self.connection("reader", "reader", "reader", door=TAPPED)
        self.writer = self.connection("writer", "writer", "writer")

    def policy_for(self, wall: str) -> str:
        """The operator's policy file, for a proxy with this wall."""
        return policy.policy_file(
            wall=wall,
            command=server_command(),
            cwd=self.world.repo,
            path=server_path(),
            home=self.world.root / "empty",
        )

    def connection(self, name: str, token: str, key: str, door: str = DOOR) -> Connection:
        """A client that presents `token` and signs with `key`."""
        made = Connection(
            self.world, name, self.world.token(token), self.world.key(key), self.world.socket(door)
        )
        self.connections.append(made)
        return made

    async def close(self) -> None:
        """End everything that was started."""
        for task in self._begun.values():
            task.cancel()
        await asyncio.gather(*self._begun.values(), return_exceptions=True)
        await asyncio.gather(*(each.close() for each in self.connections))
        await self.tap.close()
        await self.world.stop()

    def begin(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Start what a later step needs: processes take a second or two to be there."""
        self._begun[name] = asyncio.create_task(work)

    async def begun(self, name: str) -> Any:
        """What came of it."""
        return await self._begun[name]

    # What steps have in common ----------------------------------------------------------------

    async def allowed(self, who: Connection, tool: str, **arguments: object) -> Answer:
        """A call that must be allowed, and told."""
        answer = await who.call(tool, arguments)
        seen = "allowed" if answer.ok else answer.code or answer.text
        expect(f"{who.name} → {tool}", seen=seen, wanted="allowed")
        self.tell.call(who.name, tool, "allowed", _result(answer.text))
        return answer

    async def denied(self, who: Connection, tool: str, code: str, **arguments: object) -> Answer:
        """A call that must be denied with this code, and told with its reason."""
        answer = await who.call(tool, arguments)
        expect(f"{who.name} → {tool}", seen=answer.code or "allowed", wanted=code)
        self.tell.call(who.name, tool, "denied")
        self.tell.because(answer.code, answer.sentence, answer.hint)
        return answer

    # Before the first step --------------------------------------------------------------------

    async def set_up(self) -> None:
        """The home, the token, its two children, the proxy and three clients."""
        world, tell = self.world, self.tell
        world.places()
        self._write_operators_files()
        passphrase = ("--passphrase-file", str(world.passphrase))
        with tell.waiting("making git repositories and keys"):
            await asyncio.gather(
                asyncio.to_thread(world.repositories),
                world.must("init", "--approver", "operator", *passphrase),
                *map(self._key, ("agent", "reader", "writer", "other")),
            )
        tell.say(
            "A git repository `project`; a stranger's branch lies in it as origin/patch-1. A hook "
            "hands every commit to a review bot. Beside it `private`, of the same user."
        )
        tell.typed("nucleus init")
        self.begin("serving", world.serve(DOOR, self.edit(self.policy_for("demo"))))
        self.begin("importing", asyncio.to_thread(import_module, "mcp"))
        with tell.waiting("issuing a token to the agent, who narrows it for two sub-agents"):
            await self._issue("agent", depth=2)
            await asyncio.gather(
                self.delegate("reader", "reader", READS, "read_files=always"),
                self.delegate(
                    "writer", "writer", WRITES, "read_files=always", "write_files=low_risk",
                    "git_commit=low_risk", "spawn_agent=always",
                ),
            )  # fmt: skip
        tell.typed("nucleus token issue --sub agent --path project --depth 2 -o agent.token …")
        tell.typed("nucleus token delegate agent.token --to reader --only read_files=always …")
        tell.typed("nucleus token delegate agent.token --to writer …")
        tell.say("The two delegations needed no issuer and no network: a holder can always narrow.")
        with tell.waiting("starting three MCP clients, each with mcp-server-git behind the proxy"):
            await self.begun("serving")
            await self.begun("importing")
            await self.tap.open()
            await connected(self.agent, self.reader, self.writer)
        tell.typed("nucleus mcp serve …      # in front of mcp-server-git")
        tell.typed("nucleus mcp connect …    # beside each client: signs every call with its key")
        tell.say(
            "No sandbox stands around these clients: the [wall] in the policy file is the "
            "operator's word. Only what goes through the proxy is mediated."
        )

    def _write_operators_files(self) -> None:
        (self.world.desk / "demo.toml").write_text(policy.PROFILE, encoding="utf-8")
        self.world.passphrase.write_text(secrets.token_hex(16), encoding="ascii")
        self.world.passphrase.chmod(0o600)

    async def _key(self, name: str) -> None:
        await self.world.must("token", "key", "--name", name, "--out", str(self.world.key(name)))

    async def _issue(self, name: str, depth: int) -> None:
        world = self.world
        await world.must(
            "token", "issue", "--profile-file", str(world.desk / "demo.toml"), "--sub", name,
            "--holder-key", str(world.key(name)), "--path", str(world.repo),
            "--depth", str(depth), "--passphrase-file", str(world.passphrase),
            "--out", str(world.token(name)),
        )  # fmt: skip

    async def issue_other(self) -> None:
        """A token from the issuer for somebody outside of the agent's tree."""
        await self._issue("other", depth=0)

    async def delegate(
        self, name: str, to: str, tools: tuple[str, ...], *levels: str, parent: str = "agent"
    ) -> None:
        """The agent hands a narrower token to another key."""
        world = self.world
        words = [word for tool in tools for word in ("--tool", tool)]
        words += [word for level in levels for word in ("--only", level)]
        await world.must(
            "token", "delegate", str(world.token(parent)), "--holder-key", str(world.key("agent")),
            "--to", to, "--key-file", str(world.key(to)), "--purpose", f"{name} of the demo",
            *words, "--out", str(world.token(name)),
        )  # fmt: skip


def _result(text: str) -> str:
    """The first line of a result that is not its heading."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 and lines[0].endswith(":") else "".join(lines[:1])
