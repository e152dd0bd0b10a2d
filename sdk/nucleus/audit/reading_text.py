"""Law: instructions, `.env` files, workflows and containers, as facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from nucleus.audit import reading_yaml
from nucleus.audit.facts import (
    Container,
    EnvFile,
    Fact,
    Job,
    Place,
    Step,
    Text,
    Unread,
    Workflow,
)
from nucleus.audit.reading_json import Source
from nucleus.audit.reading_yaml import Node
from nucleus.shapes import items, table, text

_ENV_LINE: Final = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=(.*)$")
_AGENT: Final = re.compile(
    r"(?i)\b(claude|codex|gemini|cursor|aider|copilot|opencode|windsurf|amp|goose|nucleus)\b|anthropic|"
    r"@openai/|openai/|mcp-server|modelcontextprotocol"
)


def env_file(path: str, raw: str, ignored: bool) -> EnvFile:
    """Names and values, line by line."""
    values: list[tuple[str, Text]] = []
    for number, line in enumerate(raw.splitlines(), 1):
        found = _ENV_LINE.match(line)
        if found and not line.lstrip().startswith("#"):
            value = found[2].strip()
            if value[:1] in ("'", '"'):
                value = value[1:].split(value[0])[0]
            else:
                value = value.split(" #")[0].strip()
            values.append((found[1], Text(value, Place(path, number, found[1]))))
    return EnvFile(Place(path), tuple(values), ignored)


def workflow(path: str, raw: str) -> Iterator[Fact]:
    """A GitHub workflow."""
    try:
        top = reading_yaml.parse(raw)
    except (ValueError, RecursionError) as error:
        yield Unread(Place(path), f"not all of its YAML is read: {error}")
        return
    jobs: list[Job] = []
    for name, node in (top.get("jobs") or Node("", 1)).table.items():
        what = f"jobs/{name}"
        steps = tuple(
            _step(path, f"{what}/{n}", each)
            for n, each in enumerate((node.get("steps") or Node("", 1)).items)
        )
        condition = (node.get("if") or Node("", 1)).text
        jobs.append(Job(name, Place(path, node.line, what), _permissions(node), steps, condition))
    triggers = tuple(each.text for each in (top.get("on") or top.get("true") or Node("", 1)).items)
    yield Workflow(Place(path), triggers, _permissions(top), tuple(jobs))


def _permissions(node: Node) -> Mapping[str, str] | None:
    found = node.get("permissions")
    if found is None:
        return None
    if found.text:
        return {"*": "write" if "write" in found.text else "read"}
    return {key: value.text for key, value in found.table.items()}


def _step(path: str, what: str, node: Node) -> Step:
    uses, run = (node.get(key) or Node("", node.line) for key in ("uses", "run"))
    # Named by what it does, so that a step before it changes nothing.
    name = f"{what.rpartition('/')[0]}/{uses.text.partition('@')[0] or run.text[:60]}"
    values = tuple(
        Text(each.text, Place(path, each.line, f"{name}/{group}/{key}"))
        for group in ("with", "env")
        for key, each in (node.get(group) or Node("", 1)).table.items()
    )
    line = run.line if run.text else uses.line
    return Step(Place(path, line, name), uses.text, run.text, values)


def dockerfile(path: str, raw: str) -> Container:
    """What it runs while it is built, and as whom it ends."""
    runs: list[Text] = []
    env: list[tuple[str, Text]] = []
    user: Text | None = None
    line, start = "", 0
    for number, piece in enumerate(raw.splitlines(), 1):
        if not line and (not piece.strip() or piece.lstrip().startswith("#")):
            continue
        start = start if line else number
        line += piece.rstrip("\\").strip() + " "
        if piece.rstrip().endswith("\\"):
            continue
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        place = Place(path, start, f"{word.upper()} {rest[:80]}")
        match word.upper():
            case "RUN" | "CMD" | "ENTRYPOINT":
                runs.append(Text(rest, place))
            case "USER":
                user = Text(rest, place)
            case "FROM":
                user = None
            case "ENV" | "ARG":
                for name, value in re.findall(r"([A-Za-z_]\w*)(?:=|\s+)(\"[^\"]*\"|\S+)", rest):
                    env.append((name, Text(value.strip('"'), Place(path, start, name))))
            case _:
                pass
        line = ""
    agent = bool(_AGENT.search("\n".join(each.text for each in runs)))
    return Container(Place(path), agent, user, tuple(runs), tuple(env))


def devcontainer(source: Source) -> Container:
    """What a devcontainer is given of the host, and what it runs."""
    runs = [
        Text(command, source.place(key))
        for key in ("onCreateCommand", "postCreateCommand", "postStartCommand", "initializeCommand",
                    "postAttachCommand", "updateContentCommand")
        for command in _commands(source.get(key))
    ]  # fmt: skip
    env = [
        (name, Text(value, source.place(key, name)))
        for key in ("containerEnv", "remoteEnv")
        for name, value in (table(source.get(key)) or {}).items()
        if type(value) is str
    ]
    mounts = [
        Text(each if type(each) is str else str((table(each) or {}).get("source", "")),
             source.place("mounts", n, what=f"mounts/{each}"))
        for n, each in enumerate(items(source.get("mounts")) or ())
    ]  # fmt: skip
    options = list(source.texts("runArgs"))
    options += [Text(f"--cap-add={each.text}", each.place) for each in source.texts("capAdd")]
    if source.get("privileged") is True:
        options.append(Text("--privileged", source.place("privileged")))
    who = text(source.get("remoteUser")) or text(source.get("containerUser"))
    user = None if who is None else Text(who, source.place("remoteUser"))
    words = "\n".join(each.text for each in runs) + str(source.get("customizations"))
    return Container(
        source.place(), bool(_AGENT.search(words + str(source.get("features")))), user,
        tuple(runs), tuple(env), tuple(options), tuple(mounts), is_image=False,
    )  # fmt: skip


def _commands(value: object) -> list[str]:
    words = items(value)
    if words is not None:
        return [" ".join(map(str, words))]
    if type(value) is str:
        return [value]
    return [each for one in (table(value) or {}).values() for each in _commands(one)]
