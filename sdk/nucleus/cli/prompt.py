"""`nucleus prompt give` and `show`: the user's own words, by which arguments are vouched for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleus.cli.options import Json, Token, TokenFd, examples, home

GIVE = examples(
    "nucleus prompt give agent.token task.txt", "nucleus prompt give agent.token - < task.txt"
)
SHOW = examples("nucleus prompt show agent.token", "nucleus prompt show agent.token --json")


def give(
    ctx: typer.Context,
    token: Annotated[Path, typer.Argument(metavar="TOKEN", help="Any token of the tree.")],
    text: Annotated[
        Path, typer.Argument(metavar="TEXT", help="File with the prompt; - for standard input.")
    ],
    as_json: Json = False,
) -> int:
    """Give what the user asked for.

    It belongs to the whole delegation tree of the token, and adds to what was given before. Give
    the user's own words only: an agent's text for a sub-agent vouches for whatever it says.
    """
    from nucleus.cli import inputs
    from nucleus.cli.console import OK, answer
    from nucleus_tokens.errors import CallerError

    if token == text == inputs.STDIN:
        raise CallerError("input.twice", "Standard input holds either the token or the text.")
    place = home(ctx)
    tree = place.tree_of(inputs.token(token, None))
    said = inputs.text_file(text)
    with place.labels() as labels:
        labels.give_prompt(tree, said)
        number = len(labels.prompts(tree))
    answer(as_json, {"prompts": number, "tree": tree}, f"Prompt {number} of {tree}.")
    return OK


def show(
    ctx: typer.Context, token: Token = None, token_fd: TokenFd = None, as_json: Json = False
) -> int:
    """Show what was given for a token's tree."""
    from nucleus.cli import inputs
    from nucleus.cli.console import OK, document, safe, say

    place = home(ctx)
    tree = place.tree_of(inputs.token(token, token_fd))
    with place.labels() as labels:
        prompts = labels.prompts(tree)
    if as_json:
        document({"prompts": list(prompts), "tree": tree})
    elif not prompts:
        say("No prompt was given: nothing but the token vouches for an argument.")
    else:
        for number, text in enumerate(prompts, 1):
            say(f"{number}", *(f"  {safe(line)}" for line in text.splitlines()))
    return OK
