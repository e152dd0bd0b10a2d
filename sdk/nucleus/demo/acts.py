"""Law: six steps of an ordinary day; each is what a newcomer must have seen once.

Allowed, filtered, denied, asked and approved, spent, exposed. Every step returns one line for the
summary, or raises Differs.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from nucleus.demo.clients import Answer, Connection, connected
from nucleus.demo.differs import Differs, expect, expect_in
from nucleus.demo.stage import READS, WRITES, Stage
from nucleus.demo.world import PATIENCE, STRANGER

SECOND_DOOR = "door-2"
PURSE = 4


async def allowed(stage: Stage) -> str:
    """A call inside the token's scope goes through to the real server."""
    stage.begin("errand", _errand(stage))
    stage.tell.say("The agent's token permits reading below project/. It asks for the status.")
    answer = await stage.allowed(stage.agent, "git_status", repo_path=str(stage.world.repo))
    expect_in("the real server answered", part="On branch main", whole=answer.text)
    stage.tell.holds("The answer is the real server's; the decision was on record before the call.")
    return "the agent read the repository"


async def filtered(stage: Stage) -> str:
    """The list of tools is filtered by the same token as the calls."""
    stage.tell.say(
        "The server offers twelve tools. Each client is shown only those that its token could "
        "ever use; what the operator's policy does not name is shown to nobody."
    )
    wanted = {stage.agent: sorted({*READS, *WRITES}), stage.reader: list(READS),
              stage.writer: list(WRITES)}  # fmt: skip
    for who, tools in wanted.items():
        seen = await who.tools()
        expect(f"what {who.name} is shown", seen=seen, wanted=tools)
        stage.tell.holds(f"{who.name} sees {len(seen)}: {', '.join(seen)}")
    return "each client saw only what its token could use"


async def denied(stage: Stage) -> str:
    """Three calls fail for three reasons, each named, each with what would help."""
    repo, private = str(stage.world.repo), str(stage.world.private)
    stage.tell.say("The reader tries a tool that it was not shown: its level is `never`.")
    first = await stage.denied(
        stage.reader, "git_add", "level.never", repo_path=repo, files=["notes.txt"]
    )
    stage.tell.say("The reader tries the user's other repository: outside the token's path.")
    second = await stage.denied(stage.reader, "git_log", "scope.outside", repo_path=private)
    stage.tell.say("The agent tries a tool that the policy does not name: nobody knows what it is.")
    third = await stage.denied(
        stage.agent, "git_checkout", "tool.unclassified", repo_path=repo, branch_name="main"
    )
    for answer in (first, second, third):
        expect("a denial says what would be enough", seen=bool(answer.hint), wanted=True)
    return "three reasons: level, path, unclassified tool"


async def asked(stage: Stage) -> str:
    """What nothing vouches for waits for a person; a yes is for one call."""
    repo, tell = str(stage.world.repo), stage.tell
    stage.begin("second door", _second_door(stage))
    branch = {"repo_path": repo, "branch_name": "release"}
    tell.say(
        "The writer wants a branch. Branching is `low_risk`: allowed where something trusted "
        "vouches for each argument. The issuer's path vouches for the repository; nothing "
        "vouches for the name."
    )
    waiting, request = await _asks(stage, stage.writer, "git_create_branch", **branch)
    expect("what is asked for", seen=_owed(request), wanted=["input:/branch_name"])
    tell.call("writer", "git_create_branch", "asked", "waits for a person: input:/branch_name")
    await _answered(stage, request, "approve")
    answer = await waiting
    expect("the approved call", seen=answer.code or "allowed", wanted="allowed")
    tell.call("writer", "git_create_branch", "allowed", answer.text)
    expect("the branch", seen=_branches(stage), wanted=["main", "release"])
    tell.holds("git itself says that the branch is there.")
    tell.say("The same call again: the yes was for one call, so it is asked about again.")
    waiting, request = await _asks(stage, stage.writer, "git_create_branch", **branch)
    tell.call("writer", "git_create_branch", "asked", "waits for a person: input:/branch_name")
    await _answered(stage, request, "deny", "--reason", "one release is enough")
    answer = await waiting
    expect("the second call", seen=answer.code, wanted="approval.denied")
    tell.call("writer", "git_create_branch", "denied")
    tell.because(answer.code, answer.sentence, answer.hint)
    return "asked, approved, done once, asked again"


async def spent(stage: Stage) -> str:
    """Two siblings share one purse."""
    world, tell = stage.world, stage.tell
    repo = str(world.repo)
    tell.say(
        f"The agent sets up an errand: {PURSE} calls in all, for both sub-agents. The budget "
        "stands in a caveat above both, so both spend from it."
    )
    with tell.waiting("narrowing twice more, and connecting two more clients"):
        siblings: tuple[Connection, Connection] = await stage.begun("errand")
    tell.typed(f"nucleus token attenuate agent.token --calls {PURSE} -o errand.token")
    for number in range(PURSE):
        await stage.allowed(siblings[number % 2], "git_status", repo_path=repo)
    for each in siblings:
        await stage.denied(each, "git_status", "budget.exhausted", repo_path=repo)
    tell.holds("Neither made more than two calls; together they used up four.")
    await asyncio.gather(*(each.close() for each in siblings))
    return f"two siblings used up one budget of {PURSE} calls"


async def _errand(stage: Stage) -> tuple[Connection, Connection]:
    """One budget above two delegations, and a client for each."""
    world = stage.world
    await world.must(
        "token", "attenuate", str(world.token("agent")), "--calls", str(PURSE),
        "--out", str(world.token("errand")),
    )  # fmt: skip
    made: list[Connection] = []
    for to in ("reader", "writer"):
        name = f"errand-{to}"
        await stage.delegate(name, to, ("git_status",), "read_files=always", parent="errand")
        made.append(stage.connection(name, name, to))
    await connected(*made)
    return made[0], made[1]


async def exposed(stage: Stage) -> str:
    """What a sub-agent read follows its whole tree, into a new connection and another proxy."""
    world, tell = stage.world, stage.tell
    repo = str(world.repo)
    tell.say(
        "In this policy a commit is a way out, since a hook hands it to the review bot. The "
        "session read private files, but nothing from strangers yet: a commit is allowed."
    )
    (world.repo / "notes.txt").write_text("Ship on Monday.\n", encoding="utf-8")
    await stage.allowed(stage.writer, "git_add", repo_path=repo, files=["notes.txt"])
    await stage.allowed(stage.writer, "git_commit", repo_path=repo, message="Monday")
    head = world.git(world.repo, "rev-parse", "HEAD")
    expect("the review bot's inbox", seen=world.received(), wanted=head)
    tell.holds("The commit lies in the review bot's inbox.")
    tell.say("Now the reader looks at the stranger's branch. The policy calls that untrusted.")
    answer = await stage.allowed(
        stage.reader, "git_show", repo_path=repo, revision="origin/patch-1"
    )
    expect_in("the stranger's words", part=STRANGER, whole=answer.text)
    tell.quote(STRANGER)
    (world.repo / "notes.txt").write_text("Ship on Tuesday.\n", encoding="utf-8")
    await stage.allowed(stage.writer, "git_add", repo_path=repo, files=["notes.txt"])
    with tell.waiting("a second proxy, with a session of its own, and a new client"):
        outsider: Connection = await stage.begun("second door")
        writer = stage.connection("writer (new)", "writer", "writer", door=SECOND_DOOR)
        await connected(writer)
    tell.say(
        "The writer never saw those words. It comes back over a new connection, through a second "
        "proxy of this host, whose own session has seen nothing, and commits again:"
    )
    waiting, request = await _asks(stage, writer, "git_commit", repo_path=repo, message="Tuesday")
    expect_in("what is asked for", part="gate:exposure", whole=" ".join(_owed(request)))
    tell.call("writer", "git_commit", "asked", dict(_obligations(request))["gate:exposure"])
    await _answered(stage, request, "deny", "--reason", "who said so?")
    refused = await waiting
    expect("the second commit", seen=refused.code, wanted="approval.denied")
    expect("the review bot's inbox", seen=world.received(), wanted=head)
    tell.holds("Nothing more reached the review bot: what one of the tree read counts for all.")
    tell.say("As a control, an agent with a token of its own, through that same second proxy:")
    await stage.allowed(outsider, "git_commit", repo_path=repo, message="By somebody else")
    expect("the review bot's inbox", seen=world.received() != head, wanted=True)
    tell.holds("It is allowed: it was the delegation tree that carried the exposure.")
    await asyncio.gather(writer.close(), outsider.close())
    return "a read by one sub-agent gated the other, elsewhere"


async def _second_door(stage: Stage) -> Connection:
    """A second proxy of the same host, with a session of its own, and a stranger to the tree."""
    await asyncio.gather(
        stage.world.serve(SECOND_DOOR, stage.policy_for("demo-2")), stage.issue_other()
    )
    outsider = stage.connection("other", "other", "other", door=SECOND_DOOR)
    await connected(outsider)
    return outsider


# Waiting for a person ---------------------------------------------------------------------------


async def _asks(
    stage: Stage, who: Connection, tool: str, **arguments: object
) -> tuple[asyncio.Task[Answer], dict[str, Any]]:
    """Start a call that must be asked about: the waiting call, and its request on the desk."""
    told = asyncio.Event()
    call = asyncio.create_task(who.call(tool, arguments, lambda _: told.set()))
    heard = asyncio.create_task(told.wait())
    await asyncio.wait({call, heard}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    heard.cancel()
    if call.done():
        answer = call.result()
        raise Differs(f"{who.name} → {tool}: expected a question, saw {answer.code or 'allowed'}")
    if not told.is_set():
        call.cancel()
        raise Differs(f"{who.name} → {tool}: neither an answer nor a question came")
    found = await stage.world.must("approvals", "list")
    waiting = cast("list[dict[str, Any]]", found["requests"] if isinstance(found, dict) else found)
    expect("how many requests wait", seen=len(waiting), wanted=1)
    expect("the tool that is asked about", seen=waiting[0]["tool"], wanted=tool)
    return call, waiting[0]


async def _answered(stage: Stage, request: dict[str, Any], verb: str, *words: str) -> None:
    """The operator answers at a prompt of their own."""
    options = ("--passphrase-file", str(stage.world.passphrase)) if verb == "approve" else ()
    with stage.tell.waiting("the operator answers"):
        await stage.world.must("approvals", verb, str(request["id"]), *options, *words)
    shown = " ".join(f'"{word}"' if " " in word else word for word in words)
    stage.tell.typed(f"nucleus approvals {verb} {request['id']} {shown}".rstrip())


def _obligations(request: dict[str, Any]) -> list[tuple[str, str]]:
    """What a request is owed: ids and why."""
    return [(str(each["id"]), str(each["why"])) for each in request["obligations"]]


def _owed(request: dict[str, Any]) -> list[str]:
    return [name for name, _ in _obligations(request)]


def _branches(stage: Stage) -> list[str]:
    named = stage.world.git(stage.world.repo, "for-each-ref", "--format=%(refname:short)",
                            "refs/heads")  # fmt: skip
    return named.split()
