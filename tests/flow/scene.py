"""A scene for evidence tests: a policy with every kind of selector, and a session's knowledge."""

from __future__ import annotations

from typing import Any

from nucleus_proxy import binding, evidence, policy
from nucleus_proxy.binding import Hints
from nucleus_proxy.evidence import Vouched
from nucleus_proxy.knowledge import Known, learned
from nucleus_proxy.words import Words

POLICY = """
version = 1
[wall]
id = "test"
shows = []

[tools.mail]
operation = "create_pr"
sink = "email_send"
verbs = ["send", "mail", "forward", "write"]
selectors."/to" = "email"
selectors."/cc" = { kind = "email", optional = true }
payload = ["/subject", "/body"]
scan = ["/subject", "/body"]

[tools.pay]
operation = "manage_pods"
selectors."/payee" = "payee"
selectors."/amount" = "amount"
selectors."/recurring" = { kind = "flag", optional = true }
payload = ["/note"]

[tools.share]
operation = "manage_pods"
selectors."/file" = { kind = "id", of = "file" }
selectors."/email" = "email"
selectors."/right" = { kind = "choice", least = "r" }

[tools.delete]
operation = "manage_pods"
selectors."/file" = { kind = "id", of = "file" }

[tools.post]
operation = "create_pr"
sink = "email_send"
selectors."/channel" = "member"
payload = ["/body"]
scan = ["/body"]

[tools.invite]
operation = "manage_pods"
selectors."/user" = "name"

[tools.book]
operation = "manage_pods"
selectors."/day" = "date"
selectors."/title" = "text"

[tools.login]
operation = "manage_pods"
selectors."/password" = "credential"

[tools.get]
operation = "web_fetch"
selectors."/url" = "url"

[tools.connect]
operation = "web_search"
selectors."/host" = "host"

[tools.save]
operation = "write_files"
selectors."/path" = "path"
payload = ["/content"]

[tools.push]
operation = "git_push"
selectors."/branch" = "ref"

[tools.run]
operation = "run_bash"
selectors."/argv" = "argv"

[tools.reach]
operation = "create_pr"
sink = "email_send"
selectors."/who" = "recipient"

[tools.files]
operation = "read_files"
selectors."/query" = { kind = "text", optional = true }
[[tools.files.results]]
yields = "record"
at = "/files"
kind = "file"
key = "/id"
name = "/name"
participants = { "/shared_with" = "email" }

[tools.own_files]
operation = "read_files"
[[tools.own_files.results]]
yields = "record"
kind = "file"
key = "/id"
name = "/name"
strangers = false

[tools.contacts]
operation = "read_files"
[[tools.contacts.results]]
yields = "record"
at = "/contacts"
kind = "contact"
key = "/id"
name = "/name"
attributes = { "/email" = "email" }

[tools.create]
operation = "write_files"
[[tools.create.results]]
yields = "created"
at = "/id"
kind = "file"

[tools.channels]
operation = "read_files"
[[tools.channels.results]]
yields = "directory"
at = "/channels"

[tools.me]
operation = "read_files"
[[tools.me.results]]
yields = "own"
at = "/email"
kind = "email"
[[tools.me.results]]
yields = "own"
at = "/iban"
kind = "payee"
[[tools.me.results]]
yields = "private"
at = "/passport"
words = ["passport"]

[tools.paid]
operation = "read_files"
[[tools.paid.results]]
yields = "record"
at = "/payments"
kind = "payment"
key = "/id"
attributes = { "/to" = "payee" }
strangers = false

[tools.transfer]
operation = "manage_pods"
selectors."/to" = "payee"
selectors."/amount" = { kind = "amount", within = ["/to"] }
selectors."/again" = { kind = "flag", words = ["monthly"], optional = true }

[tools.attach]
operation = "manage_pods"
sink = "email_send"
selectors."/files" = { kind = "id", of = "file", item = "file_id", beside = { type = "file" } }

[tools.entry]
operation = "write_files"
selectors."/day" = "date"
selectors."/guests" = { kind = "email", optional = true }
payload = ["/title"]
given."/guests" = { operation = "manage_pods", sink = "email_send", adds = ["exfil_vector"] }

[tools.bank]
operation = "read_files"
[[tools.bank.results]]
yields = "payment"
key = "/amount"
parties = ["/from", "/to"]
name = "/subject"
where = { "/from" = "me" }

[tools.chat]
operation = "read_files"
[[tools.chat.results]]
yields = "directory"
key = "/sender"

[tools.messages]
operation = "read_files"
[[tools.messages.results]]
yields = "links"
at = "/links"
"""
PARSED = policy.parse(POLICY.encode())


class Scene:
    """One user's session."""

    def __init__(self, *prompts: str, also: frozenset[str] = frozenset(), cwd: str = "/") -> None:
        self.known = Known(Words(prompts))
        self.also = also
        self.cwd = cwd

    def saw(self, tool: str, result: Any, args: Any = None) -> Scene:
        """A result of this tool was shown."""
        bound = PARSED.tools[tool]
        given = {} if args is None else args
        mine = evidence.by_users_words(bound, given, self.known)
        self.known.learn(learned(bound.results, result, by_users_words=mine))
        return self

    def vouched(self, tool: str, args: Any) -> Vouched:
        bound = PARSED.tools[tool]
        call = binding.bind(tool, args, bound, Hints(), self.cwd)
        return evidence.vouched(
            bound, args, call.selectors, self.known, also=self.also, cwd=self.cwd,
            today="2026-05-15",
        )  # fmt: skip

    def missing(self, tool: str, args: Any) -> set[str]:
        """The selectors nothing vouches for, and what rules S and L ask about besides."""
        call = binding.bind(tool, args, PARSED.tools[tool], Hints(), self.cwd)
        found = self.vouched(tool, args)
        return {s.pointer for s in call.selectors} - found.pointers | {
            s.pointer for s in found.more
        }

    def admits(self, tool: str, args: Any) -> bool:
        """Whether every selector has evidence and nothing is asked besides."""
        return not self.missing(tool, args)
