"""Law: what can be wrong with texts, `.env` files, workflows, containers and our policies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from nucleus.audit import commands, credentials, hidden
from nucleus.audit.facts import (
    Container,
    EnvFile,
    Instructions,
    Job,
    NucleusPolicy,
    Place,
    Step,
    Workflow,
)
from nucleus.audit.findings import Finding
from nucleus.audit.making import finding

# Actions that start an agent, and commands that do.
_ACTIONS: Final = re.compile(
    r"(?i)^(?:anthropics/claude-code(?:-base)?-action|openai/codex-action|google-github-actions/run-gemini-cli|"
    r"google-gemini/gemini-cli-action|actions/ai-inference|sst/opencode[\w/-]*|cursor/[\w-]+|"
    r"coderabbitai/[\w-]+|aider-ai/[\w-]+|block/goose[\w-]*|github/copilot[\w-]*)"
)
_STARTS: Final = re.compile(
    r"(?m)(?:^|[;&|]\s*|\bnpx\s+(?:-y\s+)?(?:@[\w-]+/)?)(?:claude(?:-code)?\s+(?:-|code)|codex\s+exec|gemini\s+-|"
    r"aider\s+-|opencode\s+run|goose\s+run|cursor-agent\b|copilot\s+-p)"
)
_STRANGERS: Final = frozenset(
    ("issues", "issue_comment", "pull_request_target", "pull_request_review",
     "pull_request_review_comment", "discussion", "discussion_comment", "workflow_run")
)  # fmt: skip
_PASTED: Final = re.compile(
    r"\$\{\{[^}]{0,200}\b(?:github\.event\.(?:issue|pull_request|comment|review|discussion|head_commit|commits?)"
    r"[\w.\[\]*]*\.(?:title|body|message|ref|label|name|email)\b|github\.head_ref|"
    r"github\.event\.inputs\.)[^}]{0,200}\}\}"
)
# A job that runs for people with write access alone.
_GUARD: Final = re.compile(
    r"author_association|github\.(?:actor|triggering_actor|event\.sender\.login)\s*==|"
    r"fromJSON\([^)]*\)[^&|]*github\.actor"
)
_SECRET: Final = re.compile(r"\$\{\{\s*secrets\.(?!GITHUB_TOKEN\b)\w+")


def instructions(fact: Instructions) -> Iterator[Finding]:
    """Of a text that an agent obeys."""
    if not fact.text.isascii():
        for number, line in enumerate(fact.text.removeprefix("\ufeff").split("\n"), 1):
            seen = hidden.characters(line)
            if seen:
                place = Place(fact.place.path, number, _called(line))
                yield finding("hidden-unicode", place, "", f"The line holds {seen}.")
    for at, comment in hidden.comments(fact.text):
        said = hidden.steering(comment, everywhere=True)
        long = hidden.encoded(comment)
        if said or long:
            place = Place(fact.place.path, fact.text.count("\n", 0, at) + 1, _called(comment))
            why = (
                f"A comment tells the agent: {said!r}." if said else "A comment hides encoded text."
            )
            yield finding("hidden-instruction", place, "", why)
    for number, line in enumerate(fact.text.split("\n"), 1):
        if "-----BEGIN" in line or "_" in line or "-" in line:
            if credentials.formed(line):
                place = Place(fact.place.path, number, _called(re.sub(r"\S{20,}", "…", line)))
                yield finding("plaintext-credential", place, "", "The text holds a credential.")


def _called(line: str) -> str:
    return "line/" + " ".join(line.split())[:120]


def env_file(fact: EnvFile) -> Iterator[Finding]:
    """One finding for the file, at its first credential."""
    names = [(name, text) for name, text in fact.values if credentials.is_one(name, text.text)]
    if names and not fact.ignored:
        listed = ", ".join(name for name, _ in names[:4]) + (" …" if len(names) > 4 else "")
        yield finding("env-file-credential", replace(names[0][1].place, what="values"), "",
                      f"Its credentials: {listed}.")  # fmt: skip


# Workflows -----------------------------------------------------------------------------------


def workflow(fact: Workflow) -> Iterator[Finding]:
    """Of a workflow; most only where one of its jobs starts an agent."""
    strangers = sorted(_STRANGERS.intersection(fact.triggers))
    for job in fact.jobs:
        agents = [step for step in job.steps if starts_agent(step)]
        permissions = job.permissions if job.permissions is not None else fact.permissions
        for step in job.steps:
            yield from _step(step, bool(agents))
        if not agents:
            continue
        agent = agents[0]
        if permissions is None or permissions.get("*") == "write":
            said = "says nothing of permissions" if permissions is None else "has write-all"
            yield finding("workflow-write-all", job.place, "permissions",
                          f"The job {job.name} starts an agent and {said}.")  # fmt: skip
        if strangers and (_writes(permissions) or _secrets(job, agent)):
            power = "write access" if _writes(permissions) else "secrets"
            if not _GUARD.search(job.condition):
                yield finding(
                    "workflow-untrusted-agent", agent.place, "strangers",
                    f"{strangers[0]} starts an agent with {power}, whoever caused it.",
                )  # fmt: skip


def starts_agent(step: Step) -> bool:
    """Whether a step starts an agent."""
    return bool(_ACTIONS.match(step.uses) or _STARTS.search(step.run))


def _writes(permissions: Mapping[str, str] | None) -> bool:
    return permissions is None or any(
        v == "write" for k, v in permissions.items() if k != "id-token"
    )


def _secrets(job: Job, agent: Step) -> bool:
    """Whether there are secrets in the job beside the key of the agent's own model."""
    held = [text for step in job.steps for text in step.values if _SECRET.search(text.text)]
    return any(
        not re.search(r"(?i)(?:anthropic|openai|gemini|google|claude|model)\w*(?:key|token)|"
                      r"/(?:anthropic|claude|openai|gemini)[\w-]*$", text.text + text.place.what)
        for text in held
    )  # fmt: skip


def _step(step: Step, has_agent: bool) -> Iterator[Finding]:
    pasted = _PASTED.search(step.run)
    if pasted:
        yield finding("workflow-injection", step.place, pasted[0],
                      f"The script holds {' '.join(pasted[0].split())}.")  # fmt: skip
    if _ACTIONS.match(step.uses):
        for text in step.values:
            found = _PASTED.search(text.text)
            if found and "/with/" in text.place.what:
                yield finding("workflow-injection", text.place, found[0],
                              f"The agent's prompt holds {' '.join(found[0].split())}."
                              )  # fmt: skip
        if not re.search(r"@[0-9a-f]{40}$", step.uses):
            yield finding(
                "unpinned-action", step.place, "pin", f"{step.uses} is a name that can be moved."
            )
    words = "\n".join([step.run, *(text.text for text in step.values)])
    if commands.BYPASSES.search(words) and (has_agent or _STARTS.search(words)):
        yield finding("safety-bypass", step.place, "flag", "The agent is started to ask nobody.")
    for text in step.values:
        if credentials.is_one(text.place.what.rpartition("/")[2], text.text):
            yield finding(
                "plaintext-credential", text.place, "", "A credential stands in the workflow."
            )


# Containers and policies ---------------------------------------------------------------------


def container(fact: Container) -> Iterator[Finding]:
    """Of a Dockerfile or devcontainer."""
    for name, text in fact.env:
        if credentials.is_one(name, text.text):
            yield finding("plaintext-credential", text.place, "",
                          f"{name} is baked in ({credentials.shown(text.text)}).")  # fmt: skip
    if not fact.agent:
        return
    for text in fact.runs:
        for why in commands.line_dangers(text.text):
            yield finding("dangerous-command", text.place, why, f"While it is made, {why}.")
        if commands.BYPASSES.search(text.text) and not fact.is_image:
            yield finding("safety-bypass", text.place, "flag", "An agent is started to ask nobody.")
    given = tuple(text.text for text in (*fact.options, *fact.mounts))
    for why in commands.docker_dangers(given):
        yield finding("dangerous-command", fact.options[0].place if fact.options else fact.place,
                      why, f"{why[0].upper()}{why[1:]}.")  # fmt: skip
    if fact.is_image and (fact.user is None or fact.user.text.split(":")[0] in ("root", "0")):
        place = fact.user.place if fact.user else replace(fact.place, what="USER")
        yield finding("container-root", place, "", "The agent runs as root in it.")


def policy(fact: NucleusPolicy) -> Iterator[Finding]:
    """Of a policy file of ours, by the proxy's own parser."""
    from nucleus_proxy import policy as policies
    from nucleus_tokens import exposure
    from nucleus_tokens.errors import NucleusError

    try:
        found = policies.parse(fact.text.encode())
    except NucleusError as error:
        yield finding("policy-invalid", fact.place, "", error.message)
        return
    weak: list[str] = []
    if (
        found.wall is not None
        and found.wall.shows == exposure.NOTHING
        and found.workspace is not None
    ):
        weak.append("a wall that shows nothing stands beside a workspace that shows something")
    if found.verifier.gate == "evidence" and found.believed.also:
        weak.append("the gate is satisfied by evidence, and more than the prompt gives evidence")
    if any(name.startswith("*") for name in found.egress.connect):
        weak.append("tunnels lead to any name below a suffix")
    for why in weak:
        yield finding("policy-weak", fact.place, why, f"{why[0].upper()}{why[1:]}.")
    for name in found.server.env:
        if credentials.is_one(name, found.server.env[name]):
            place = replace(fact.place, what=f"server/env/{name}")
            yield finding("plaintext-credential", place, "",
                          f"{name} is given to the server in clear.")  # fmt: skip
