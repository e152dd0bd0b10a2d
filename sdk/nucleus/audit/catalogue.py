"""Law: the rules, each with an id that never changes its meaning, its severity, why and what to do.

A rule is found by its id here and nowhere else; the predicates that look for it are in `rules_*`
and `combination`.
"""

from __future__ import annotations

from typing import Final

from nucleus.audit.findings import Rule, Severity

_C, _H, _M, _L = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW


def _rules(*rows: tuple[str, Severity, str, str, str]) -> dict[str, Rule]:
    return {row[0]: Rule(*row) for row in rows}


RULES: Final = _rules(
    ("uninhabitable-state", _C, "One agent has all three legs: private data, untrusted content, "
     "a way out",
     "Whoever writes the untrusted content can tell the agent to read the private data and send it "
     "out. No instruction to the agent prevents that; taking one leg away does.",
     "Remove one of the three, or put the servers behind `nucleus mcp`, which asks a person when "
     "the third leg would be used: nucleus audit --fix"),
    ("possible-uninhabitable-state", _M, "An agent may have all three legs: nobody knows what a "
     "server does",
     "A server that is not known here could be the missing leg.",
     "Let the audit ask the server for its tools: nucleus audit --live. Or put it behind `nucleus "
     "mcp`, where a tool that nobody classified is denied."),
    ("unrestricted-shell", _H, "Any command runs without asking",
     "A shell is all three legs at once: it reads everything the user can, fetches and sends.",
     "Allow the few commands that are needed, or run the agent behind the wall: nucleus run "
     "--local -- AGENT"),
    ("safety-bypass", _H, "The client's own questions are switched off",
     "What a manipulated agent does is then seen by nobody before it happens.",
     "Remove the switch; let the proxy ask only where it matters instead."),
    ("exfiltration-command", _H, "A command that sends data runs without asking",
     "curl, wget, nc, scp and the like can send a file anywhere in their arguments.",
     "Remove the rule; allow fetching from named hosts only."),
    ("plaintext-credential", _H, "A credential stands in a file in clear",
     "The agent, every server it starts, and everybody with the repository can read it. Count it "
     "as leaked once it was committed.",
     "Revoke it, and refer to a variable or a secret store. nucleus audit --fix moves it into the "
     "proxy's store."),
    ("env-file-credential", _M, "A .env file that git does not ignore holds credentials",
     "It is one `git add .` away from being published, and an agent that sees the workspace reads "
     "it.",
     "Add it to .gitignore and keep the values elsewhere; behind `nucleus run --local` it is "
     "hidden."),
    ("unpinned-server", _M, "A server's package is fetched anew without a version",
     "Whoever can publish the package runs code here with the agent's power, from one start to "
     "the next.",
     "Name an exact version, or an image by digest."),
    ("lookalike-server", _H, "A server's package has nearly the name of a well-known one",
     "Names with one letter changed are how packages are planted.",
     "Check the name letter by letter."),
    ("remote-without-tls", _H, "A remote server is reached without TLS",
     "Anybody on the way reads the calls, and answers them.",
     "Use https."),
    ("remote-without-auth", _L, "A remote server is configured without any authorisation",
     "A server that answers everybody can be answered for by somebody else, and cannot tell whose "
     "data it gives out.",
     "Configure OAuth or a header whose value is a reference."),
    ("dangerous-command", _H, "A server, hook or container is started by a dangerous command",
     "Code from the network that runs at once, a shell line, root, or the machine's own sockets "
     "and root folder: what is started so is bounded by nothing.",
     "Start the program itself, as an ordinary user, with only the folders it needs."),
    ("broad-filesystem", _H, "A file server is given the home or the root folder",
     "Keys, browser profiles and every other project are in reach of the agent.",
     "Name the folders of this work."),
    ("sensitive-path", _M, "A place of secrets is given to an agent",
     "Keys and credentials are read by whatever the agent is told to do.",
     "Take the place out, or deny it."),
    ("writable-instructions", _M, "An agent may change what agents obey",
     "One manipulated run writes the instructions, settings or servers of all later ones.",
     "Deny writes to instruction and settings files."),
    ("hidden-unicode", _H, "Invisible or direction-changing characters in a text agents obey",
     "A person reviews one text and the agent reads another.",
     "Remove the characters; look at the file with `cat -A`."),
    ("hidden-instruction", _H, "A text tries to steer the agent unseen",
     "Instructions in comments and tool descriptions are obeyed like the user's own.",
     "Remove it, and look at who wrote it. Of a server's tool: do not use the server."),
    ("sandbox-off", _M, "The client's sandbox is switched off",
     "Without it every command of the agent has all that the user has.",
     "Switch it on, or run the agent behind the wall: nucleus run --local -- AGENT"),
    ("risky-hook", _M, "A hook runs code from the network",
     "Hooks run by themselves, before anybody is asked.",
     "Keep the program in the repository, and run that."),
    ("workflow-write-all", _H, "A workflow with an agent has write access to everything",
     "The job's token can change code, releases and settings; so can whoever steers the agent.",
     "Say `permissions:` for the job, with only what it needs."),
    ("workflow-untrusted-agent", _C, "Strangers talk to an agent with secrets or write access",
     "Anybody can open an issue or a pull request: untrusted content, secrets and a way out in one "
     "job.",
     "Start it only for people with write access, without secrets, and with read permissions."),
    ("workflow-injection", _H, "Text of strangers is pasted into a script or a prompt",
     "`${{ … }}` is replaced before the shell or the agent reads it.",
     "Pass it in a variable under `env:` and quote it; give none of it to an agent as orders."),
    ("unpinned-action", _L, "An agent's action is not pinned to a commit",
     "A tag can be moved; what runs with the job's secrets changes with it.",
     "Pin it to a full commit id."),
    ("container-root", _L, "An agent's container runs as root",
     "One step less to the host.",
     "Add a USER."),
    ("duplicate-key", _M, "A key stands twice in one object",
     "Programs disagree on which one counts, so what was reviewed may not be what runs.",
     "Remove one of them."),
    ("policy-invalid", _H, "A policy file of Nucleus is refused",
     "A proxy with this file does not start.",
     "Correct it; docs/spec/policy.md has the schema."),
    ("policy-weak", _M, "A policy file of Nucleus gives much away",
     "What the file opens is open for every token of this proxy.",
     "See the message."),
    ("unreadable-config", _L, "A configuration could not be read",
     "What is not read is not judged: it may hold anything.",
     "Correct the file."),
    ("suppression-without-reason", _L, "A suppression gives no reason",
     "Nobody can tell later whether it still holds. It suppresses nothing.",
     "Say why: nucleus-audit: ignore RULE -- REASON"),
)  # fmt: skip
