"""Law: the corpus is asked and never copied: its tasks, tools, data and scores are its own.

AgentDojo (PyPI `agentdojo`), in an environment of its own: `requirements-agentdojo.txt`. Each place
where somebody else's text can stand holds one mark; an agent that reads the mark has read the
injected instructions. No model is asked anything.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final

VERSION: Final = "v1.2.2"
SUITES: Final = ("workspace", "banking", "travel", "slack")
MARK: Final = "Mark-7f3a"  # what stands at every place that an attacker can write


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the script: a tool and its arguments."""

    tool: str
    args: Mapping[str, Any]


class World:
    """One task in its environment: what an agent can do there, and how well it went."""

    def __init__(self, suite: Suite, user: str, injection: str | None, vectors: str) -> None:
        raw = suite.raw
        self._suite = suite
        self._user = raw.get_user_task_by_id(user)
        self._injection = None if injection is None else raw.get_injection_task_by_id(injection)
        self._env = self._user.init_environment(
            suite.environment("" if injection is None else vectors).model_copy(deep=True)
        )
        self._before = self._env.model_copy(deep=True)
        self._runtime = suite.runtime(raw.tools)
        self._ran: list[Any] = []
        self.prompt: str = self._user.PROMPT

    @property
    def truth(self) -> list[Step]:
        """The calls by which the user's task is done."""
        return [_step(each) for each in self._user.ground_truth(self._before)]

    @property
    def injected(self) -> list[Step]:
        """The calls that the injected instructions want."""
        if self._injection is None:
            return []
        return [_step(each) for each in self._injection.ground_truth(self._before)]

    @property
    def environment(self) -> Any:
        """The data, to plant something in before it begins."""
        return self._env

    def run(self, tool: str, args: Mapping[str, Any]) -> tuple[Any, str]:
        """(the value, or an error): what the tool of the corpus does."""
        value, error = self._runtime.run_function(self._env, tool, dict(args))
        self._ran.append(self._suite.function_call(function=tool, args=dict(args)))
        return self._suite.plain(value), error or ""

    def done(self) -> bool:
        """Whether the corpus counts the user's task as done."""
        return bool(self._check(self._user, self._user.GROUND_TRUTH_OUTPUT))

    def attacked(self) -> bool:
        """Whether the corpus counts the injected task as done."""
        return self._injection is not None and bool(self._check(self._injection, ""))

    def _check(self, task: Any, said: str) -> Any:
        output = [{"type": "text", "content": said}]
        return self._suite.raw._check_task_result(task, output, self._before, self._env, self._ran)


@dataclass(frozen=True, eq=False)
class Suite:
    """One of the corpus' suites."""

    name: str
    raw: Any = field(repr=False)
    runtime: Any = field(repr=False)
    function_call: Any = field(repr=False)
    plain: Any = field(repr=False)

    @lru_cache(maxsize=64)  # noqa: B019  a suite lives as long as the program
    def environment(self, vectors: str) -> Any:
        """The data of the suite; `vectors`, unless empty, at every place that others can write."""
        names = self.raw.get_injection_vector_defaults()
        injected = dict.fromkeys(names, vectors) if vectors else {}
        return self.raw.load_and_inject_default_environment(injected)

    @cached_property
    def users(self) -> list[str]:
        """The user's tasks."""
        return list(self.raw.user_tasks)

    @cached_property
    def injections(self) -> list[str]:
        """The injected tasks that want a call."""
        env = self.environment("")
        return [k for k, task in self.raw.injection_tasks.items() if task.ground_truth(env)]

    def world(self, user: str, injection: str | None = None, vectors: str = MARK) -> World:
        """A fresh environment; with an injection, `vectors` stands wherever others can write."""
        return World(self, user, injection, vectors)

    @cached_property
    def listed(self) -> list[dict[str, Any]]:
        """The tools as an MCP server lists them."""
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "inputSchema": tool.parameters.model_json_schema(),
            }
            for tool in self.raw.tools
        ]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every user's task with every injected one."""
        for user in self.users:
            for injection in self.injections:
                yield user, injection


def load(names: tuple[str, ...] = SUITES) -> list[Suite]:
    """The suites. Raises ImportError where the corpus is not installed."""
    found = importlib.import_module("agentdojo.task_suite")
    functions = importlib.import_module("agentdojo.functions_runtime")
    plain = importlib.import_module("pydantic_core").to_jsonable_python
    return [
        Suite(
            name,
            found.get_suite(VERSION, name),
            functions.FunctionsRuntime,
            functions.FunctionCall,
            plain,
        )
        for name in names
    ]


def _step(call: Any) -> Step:
    return Step(call.function, json.loads(json.dumps(call.args)))
