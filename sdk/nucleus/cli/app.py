"""Law: the list of commands; what a command does stands in its own module, imported when it runs.

Nothing heavy is imported here, so that `nucleus --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Final

import typer

from nucleus.cli import (
    approvals,
    approvals_ahead,
    approvals_kept,
    approvals_tui,
    audit,
    claims,
    console_serving,
    declassify,
    demo,
    doctor,
    identity,
    init,
    issuer,
    issuer_keys,
    mcp,
    mcp_bind,
    mcp_pins,
    observe,
    profiles,
    prompt,
    run,
    session,
    token_exchanging,
    token_making,
    token_narrowing,
    token_reading,
    token_revoking,
    trace,
    trace_replay,
    up,
    verifier,
    vm,
    vm_pool,
)
from nucleus.cli.options import examples, group

# name -> the command, and the examples at the end of its help
Table = dict[str, tuple[Callable[..., int], str]]

_EPILOG: Final = (
    examples(
        "nucleus init",
        "nucleus token key --out agent.key",
        "nucleus token issue --profile codegen --sub me --holder-key agent.key -o agent.token",
        "nucleus mcp --token agent.token -- mcp-server-git",
        "nucleus approvals list",
    )
    + "\n\n\b\nExit codes: 0 allowed, 1 denied, 2 nothing was decided, 3 approval needed."
)


def _token() -> tuple[typer.Typer, Table]:
    return group(
        "Make, narrow, hand over, read, check and revoke tokens.",
        "nucleus token issue --profile read-only --sub agent --bearer --ttl 1h -o agent.token",
        "nucleus token attenuate agent.token --path ./docs --calls 20 -o docs.token",
        "nucleus token inspect docs.token",
        "nucleus token revoke docs.token",
    ), {
        "key": (token_making.key, token_making.KEY),
        "issue": (token_making.issue, token_making.ISSUE),
        "attenuate": (token_narrowing.attenuate, token_narrowing.ATTENUATE),
        "delegate": (token_narrowing.delegate, token_narrowing.DELEGATE),
        "exchange": (token_exchanging.exchange, token_exchanging.EXCHANGE),
        "inspect": (token_reading.inspect, token_reading.INSPECT),
        "verify": (token_reading.verify, token_reading.VERIFY),
        "explain": (token_reading.explain, token_reading.EXPLAIN),
        "list": (token_revoking.inventory, token_revoking.LIST),
        "tree": (token_revoking.tree, token_revoking.TREE),
        "preimage": (token_revoking.preimage, token_revoking.PREIMAGE),
        "revoke": (token_revoking.revoke, token_revoking.REVOKE),
    }


def _approvals() -> tuple[typer.Typer, Table]:
    return group(
        "Answer what agents ask for.",
        "nucleus approvals list",
        "nucleus approvals approve 3f9c",
        'nucleus approvals deny 3f9c --reason "not on a Friday"',
    ), {
        "list": (approvals.waiting, approvals.LIST),
        "approve": (approvals.approve, approvals.APPROVE),
        "tui": (approvals_tui.tui, approvals_tui.TUI),
        "grant": (approvals_ahead.grant, approvals_ahead.GRANT),
        "deny": (approvals.deny, approvals.DENY),
        "forward": (approvals_kept.forward, approvals_kept.FORWARD),
        "granted": (approvals_kept.granted, approvals_kept.GRANTED),
        "revoke": (approvals_kept.revoke, approvals_kept.REVOKE),
        "rules": (approvals_kept.rules, approvals_kept.RULES),
        "forget": (approvals_kept.forget, approvals_kept.FORGET),
    }


def _mcp() -> tuple[typer.Typer, Table]:
    return group(
        "Put an MCP server behind the proxy.",
        "nucleus mcp --token agent.token -- mcp-server-git --repository .",
        "nucleus mcp serve --socket run/git.sock --policy git.toml -- mcp-server-git",
        "nucleus mcp connect --socket run/git.sock --token agent.token --holder-key agent.key",
        cls=mcp.Shorthand,
    ), {
        "run": (mcp.run, mcp.RUN),
        "serve": (mcp.serve, mcp.SERVE),
        "connect": (mcp.connect, mcp.CONNECT),
        "bind": (mcp_bind.bind, mcp_bind.BIND),
        "pins": (mcp_pins.pins, mcp_pins.PINS),
    }


def _observe() -> tuple[typer.Typer, Table]:
    return group(
        "See what an agent does, and make it the policy.",
        "nucleus observe -- python3 agent.py",
        "nucleus observe policy observed.jsonl -o observed.json",
        "nucleus observe replay observed.json observed.jsonl",
        cls=observe.Shorthand,
    ), {
        "run": (observe.run, observe.RUN),
        "policy": (observe.policy, observe.POLICY),
        "diff": (observe.diff, observe.DIFF),
        "replay": (observe.replay, observe.REPLAY),
    }


def _declassify() -> tuple[typer.Typer, Table]:
    return group(
        "Let one value out, once, after you have read it.",
        'nucleus declassify value 41 /body --reason "the draft holds no key"',
        "nucleus declassify list agent.token",
    ), {
        "value": (declassify.value, declassify.VALUE),
        "list": (declassify.kept, declassify.LIST),
    }


def _prompt() -> tuple[typer.Typer, Table]:
    return group(
        "Say what the user asked for, so that it vouches for arguments.",
        "nucleus prompt give agent.token task.txt",
        "nucleus prompt show agent.token",
    ), {
        "give": (prompt.give, prompt.GIVE),
        "show": (prompt.show, prompt.SHOW),
    }


def _session() -> tuple[typer.Typer, Table]:
    return group(
        "Sessions for programs that use the SDK.",
        "nucleus session serve --profile safe-pr-fixer",
        "nucleus session list",
    ), {
        "serve": (session.serve, session.SERVE),
        "list": (session.running, session.LIST),
    }


def _trace() -> tuple[typer.Typer, Table]:
    return group(
        "See what happened, and check that nobody edited it.",
        "nucleus trace show --verdict deny",
        "nucleus trace verify",
        "nucleus trace export --out trace.jsonl",
    ), {
        "show": (trace.show, trace.SHOW),
        "verify": (trace.verify, trace.VERIFY),
        "replay": (trace_replay.replay, trace_replay.EXAMPLES),
        "export": (trace.export, trace.EXPORT),
        "rotate": (trace.rotate, trace.ROTATE),
        "checkpoint": (trace.checkpoint, trace.CHECKPOINT),
    }


def _profiles() -> tuple[typer.Typer, Table]:
    return group(
        "Ready-made ceilings.", "nucleus profiles list", "nucleus profiles show safe-pr-fixer"
    ), {
        "list": (profiles.names, profiles.LIST),
        "show": (profiles.show, profiles.SHOW),
    }


def _identity() -> tuple[typer.Typer, Table]:
    return group(
        "Who a workload is: a SPIFFE Workload API for hosts without SPIRE.",
        "nucleus identity init example.org",
        "nucleus identity serve",
        "nucleus identity show",
    ), {
        "init": (identity.init, identity.INIT),
        "serve": (identity.serve, identity.SERVE),
        "show": (identity.show, identity.SHOW),
        "rotate": (identity.rotate, identity.ROTATE),
    }


def _issuer() -> tuple[typer.Typer, Table]:
    return group(
        "The issuer as a service, for many agents and tools.",
        "nucleus issuer serve --listen 0.0.0.0:8443 --passphrase-file issuer.pass",
    ), {
        "serve": (issuer.serve, issuer.SERVE),
        "keys": (issuer_keys.keys, issuer_keys.KEYS),
    }


def _verifier() -> tuple[typer.Typer, Table]:
    return group(
        "Decisions for gateways and tools.",
        "nucleus verifier serve --config sidecar.toml",
    ), {
        "join": (verifier.join, verifier.JOIN),
        "serve": (verifier.serve, verifier.SERVE),
    }


def _vm() -> tuple[typer.Typer, Table]:
    return group(
        "MicroVMs for agents: their images, and those that run.",
        "nucleus vm image build",
        "nucleus vm doctor",
        "nucleus vm list",
        "nucleus vm pool serve",
    ), {
        "image": (vm.image, vm.IMAGE),
        "doctor": (vm.doctor, vm.DOCTOR),
        "list": (vm.running, vm.LIST),
        "logs": (vm.logs, vm.LOGS),
        "kill": (vm.kill, vm.KILL),
        "pool": (vm_pool.pool, vm_pool.POOL),
    }


# Groups whose command may be left out before `--`.
_SHORT: Final = ("mcp", "observe")
GROUPS: Final = {
    "token": _token,
    "approvals": _approvals,
    "mcp": _mcp,
    "observe": _observe,
    "session": _session,
    "prompt": _prompt,
    "declassify": _declassify,
    "trace": _trace,
    "profiles": _profiles,
    "identity": _identity,
    "issuer": _issuer,
    "verifier": _verifier,
    "vm": _vm,
}


def build(words: Collection[str] | None = None) -> typer.Typer:
    """The command. Reading a command's signature takes as long as starting Python, so of groups
    and commands that a command line does not name, only what its help shows is read."""
    app = typer.Typer(
        name="nucleus",
        help="Capability tokens for AI agents, and the proxy that enforces them.",
        epilog=_EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_global)
    app.command("init", epilog=init.EXAMPLES)(init.init)
    for name, make in GROUPS.items():
        made, table = make()
        if words is None or name in words:
            # `mcp -- SERVER` names no command of ours, whatever the server is called.
            named = [
                each for each in table if words and each in words and name not in ("mcp", "observe")
            ]
            for each in named or table:
                command, epilog = table[each]
                made.command(each, epilog=epilog)(command)
        app.add_typer(made, name=name)
    app.command("up", epilog=up.UP)(up.up)
    app.command("doctor", epilog=doctor.DOCTOR)(doctor.doctor)
    app.command("run", epilog=run.RUN)(run.run)
    app.command("audit", epilog=audit.AUDIT)(audit.audit)
    app.command("console", epilog=console_serving.CONSOLE)(console_serving.console)
    app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
    app.command("claims", epilog=claims.CLAIMS)(claims.claims)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from nucleus import __version__
        from nucleus.cli.console import say

        say(f"nucleus {__version__}")
        raise typer.Exit


def _global(
    home: Annotated[
        Path | None,
        typer.Option(
            "--home", metavar="DIR", help="Where keys and state are; else NUCLEUS_HOME, else XDG."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Capability tokens for AI agents, and the proxy that enforces them."""
