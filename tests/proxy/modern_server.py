"""An honest server of the official SDK that speaks 2026-07-28 alone, and asks its client things.
Over HTTP, at the port that is its argument: on a pipe the first message would choose the era."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from mcp import MCPError
from mcp.server.mcpserver import Context, Elicit, ListRoots, MCPServer, Resolve, Sample
from mcp_types import (
    METHOD_NOT_FOUND,
    CreateMessageResult,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel, Field

server = MCPServer("modern", version="1")


class Colour(BaseModel):
    """What the user is asked for."""

    colour: str


def which() -> Elicit[Colour]:
    return Elicit("Which colour?", Colour)


def shade(first: Annotated[Colour, Resolve(which)]) -> Elicit[Colour]:
    return Elicit(f"Which shade of {first.colour}?", Colour)


def thought() -> Sample:
    text = SamplingMessage(role="user", content=TextContent(type="text", text="2+2"))
    return Sample([text], max_tokens=10)


def rooted() -> ListRoots:
    return ListRoots()


@server.tool()
async def ask(context: Context, colour: Annotated[Colour, Resolve(which)]) -> str:
    """Ask the user."""
    await context.report_progress(1, 1, "painted")
    return f"accept: {colour.colour}"


@server.tool()
def ask_twice(colour: Annotated[Colour, Resolve(shade)]) -> str:
    """Ask the user, and again by the answer."""
    return f"shade: {colour.colour}"


@server.tool()
def sample(said: Annotated[CreateMessageResult, Resolve(thought)]) -> str:
    """Ask the client's model."""
    return f"it says {said.content.text}"  # type: ignore[union-attr]  # as asked


@server.tool()
def travel(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
    count: Annotated[int, Field(json_schema_extra={"x-mcp-header": "Count"})] = 1,
    fast: Annotated[bool | None, Field()] = None,
) -> str:
    """What travels in headers too. The library refuses a call whose headers say something else."""
    return f"{count} to {region}"


@server.tool()
def roots(found: Annotated[ListRootsResult, Resolve(rooted)]) -> str:
    """Ask for the client's roots."""
    return ", ".join(str(root.uri) for root in found.roots)


async def modern_alone(context: Any, call_next: Any) -> Any:
    """Nobody says hello as before."""
    if context.method == "initialize":
        raise MCPError(code=METHOD_NOT_FOUND, message="Method not found")
    return await call_next(context)


if __name__ == "__main__":
    server.middleware.append(modern_alone)
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
