"""`nucleus token inspect`, `verify` and `explain`: what a token says, whether it holds, and why a
call would be allowed, asked about or denied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nucleus.cli import options
from nucleus.cli.options import Json, Policy, Token, TokenFd, examples

if TYPE_CHECKING:
    from nucleus.describing import Known
    from nucleus.explaining import Answer
    from nucleus.home import Home

INSPECT = examples("nucleus token inspect agent.token", "nucleus token inspect - < agent.token")
VERIFY = examples("nucleus token verify agent.token", "nucleus token verify --cross-check a.token")
EXPLAIN = examples(
    "nucleus token explain agent.token call.json --policy git.toml",
    'echo \'{"tool":"git_log","arguments":{"repo_path":"/srv/repo"}}\' | '
    "nucleus token explain agent.token -",
)


def inspect(
    ctx: typer.Context,
    token: Token = None,
    token_fd: TokenFd = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one page instead.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show what a token says, and no secret.

    Who, what for, what is left of it, who added what, who can revoke what. Where this host's keys
    can open it, it is authenticated first; where they cannot, everything shown is the token's own
    word, and says so.
    """
    from nucleus.cli import inputs
    from nucleus.cli.console import OK, document
    from nucleus.describing import describe, read

    text = inputs.token(token, token_fd)
    place = options.home(ctx)
    known = read(text, place.verifier_keys() if place.exists else None)
    value = describe(known, _spent(place, known))
    if html is not None:
        from nucleus.audit import page
        from nucleus_issuer import files

        files.create(html, page.token(value).encode())
    elif as_json:
        document(value)
    else:
        from nucleus.cli.drawing import token as draw_token

        draw_token(value)
    return OK


def _spent(place: Home, known: Known) -> dict[str, int] | None:
    """What the budgets stand at; None where they are kept elsewhere."""
    if known.credential is None:
        return None
    from nucleus_verifier import gather

    with place.store() as store:
        return dict(store.read(gather.wanted(known.credential, "run:inspect")).spent)


def verify(
    ctx: typer.Context,
    token: Token = None,
    token_fd: TokenFd = None,
    cross_check: Annotated[
        bool,
        typer.Option("--cross-check", help="Read it with pymacaroons as well, and compare."),
    ] = False,
    as_json: Json = False,
) -> int:
    """Check a token against this host's keys and state.

    Signature, chain, delegations, revocation and time; exit code 1 if it is not valid. Valid is not
    allowed: what it may do depends on the call. See `nucleus token explain`.
    """
    from nucleus.cli import inputs
    from nucleus.cli.console import DENIED, OK, answer, safe
    from nucleus.describing import read

    text = inputs.token(token, token_fd)
    place = options.home(ctx)
    keys = place.verifier_keys()
    known = read(text, keys)
    problems = [_problem(known)] if known.refused is not None else _facts(place, known)
    value: dict[str, Any] = {
        "problems": problems,
        "rid": known.rids[-1] if known.rids and known.credential else None,
        "sub": known.header.sub if known.credential else None,
        "tid": known.header.tid if known.credential else None,
        "valid": not problems,
    }
    lines = [f"{p['detail']} [{p['code']}] {p['enough']}" for p in problems]
    if not problems:
        lines = [f"Valid: token {known.header.tid} of {safe(known.header.sub)}."]
    if cross_check:
        from nucleus_issuer.crosscheck import cross_check as compare

        found = compare(text, keys)
        value["cross_check"] = {"agrees": found.agrees, "differences": list(found.differences)}
        lines += (
            ["pymacaroons agrees."]
            if found.agrees
            else [f"pymacaroons and the kernel differ: {safe(each)}" for each in found.differences]
        )
        value["valid"] = value["valid"] and found.agrees
    answer(as_json, value, *lines)
    return OK if value["valid"] else DENIED


def _problem(known: Known) -> dict[str, Any]:
    from nucleus_verifier.hints import detail, operator_hint

    deny = known.refused
    if deny is None:  # pragma: no cover - asked for refused tokens only
        return {}
    return {
        "code": deny.code,
        "detail": detail(deny),
        "enough": operator_hint(deny),
        "step": deny.step,
    }


def _facts(place: Home, known: Known) -> list[dict[str, Any]]:
    """Steps 6 and 7 for a token whose bytes hold: every one that would refuse it now."""
    from nucleus_tokens.limits import SKEW
    from nucleus_verifier import gather
    from nucleus_verifier.decision import Deny
    from nucleus_verifier.hints import detail, operator_hint

    if known.credential is None:  # pragma: no cover - asked for authenticated tokens only
        return []
    prefix = known.credential.prefix
    with place.store() as store:
        snapshot = store.read(gather.wanted(known.credential, "run:verify"))
    found: list[Deny] = []
    if snapshot.revoked:
        found.append(Deny(6, "token.revoked"))
    if not snapshot.clock_ok:
        found.append(Deny(7, "clock.stepped_back"))
    if snapshot.now >= prefix.authority.exp:
        found.append(Deny(7, "token.expired"))
    if snapshot.now < max(prefix.authority.nbf, known.header.iat) - SKEW:
        found.append(Deny(7, "token.not_yet_valid"))
    return [
        {"code": d.code, "detail": detail(d), "enough": operator_hint(d), "step": d.step}
        for d in found
    ]


def explain(
    ctx: typer.Context,
    token: Token,
    call: Annotated[
        Path, typer.Argument(metavar="CALL.json", help="The call in JSON; - for standard input.")
    ],
    policy: Policy = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="NAME", help="In the session of `nucleus mcp --run NAME`."),
    ] = None,
    seen: Annotated[
        list[str] | None,
        typer.Option(
            "--seen", metavar="LABEL", help="Judge as if the session had seen this (none: nothing)."
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Say what would become of a call, and why.

    Which step decides, which caveat, who added it, and what would be enough. Nothing is spent or
    recorded. A call is {"tool": …, "arguments": {…}}, bound by the policy file as in the proxy; or
    it says itself what it is: {"tool", "operation", "arguments", "resources": {"path": […]}, …}.
    """
    from nucleus.cli import inputs
    from nucleus.cli.console import ASK, DENIED, OK, document, say
    from nucleus.explaining import judge, verdict
    from nucleus_proxy import policy as policies
    from nucleus_tokens import names
    from nucleus_tokens.errors import CallerError

    text = inputs.token(token, None)
    question = inputs.json_file(call)
    place = options.home(ctx)
    explicit = type(question) is dict and "operation" in question
    path = policy or place.policy_path
    chosen = None if explicit and policy is None else policies.load(path)
    try:
        bits = None if not seen else names.exposure_bits([] if seen == ["none"] else seen)
    except ValueError as error:
        raise CallerError("call.seen", f"--seen is one of {', '.join(names.EXPOSURES)}.") from error
    with place.store() as store:
        found = judge(
            text, question, keys=place.verifier_keys(), ledger=store, policy=chosen,
            now=place.clock(), run=run, seen=bits,
        )  # fmt: skip
    if as_json:
        document(found.as_json())
    else:
        say(*_explained(found))
    return {"allow": OK, "ask": ASK, "deny": DENIED}[verdict(found.decision)]


def _explained(found: Answer) -> list[str]:
    from nucleus.cli.console import safe

    said = found.explanation
    word = {"allow": "Allowed", "ask": "Approval needed", "deny": "Denied"}[said.verdict]
    detail = "A person must answer for it." if said.verdict == "ask" else said.detail
    lines = [
        f"{word}: {safe(detail)}" + (f" [{said.code}]" if said.code else ""),
        f"  decided by  step {said.step}, {said.step_name}",
    ]
    if said.caveat:
        lines += [f"  caveat      {safe(said.caveat)}", f"  added by    {safe(said.added_by)}"]
    for id_, why, demanded_by in found.obligations:
        whose = f" (demanded by {safe(demanded_by)})" if demanded_by else ""
        lines.append(f"  needed      {safe(id_)}: {safe(why)}{whose}")
    if said.enough:
        lines.append(f"  enough      {safe(said.enough)}")
    lines.append(f"  session     has seen {', '.join(found.session) or 'nothing'}")
    return lines
