"""An honest server of the official SDK that uses what the protocol has: progress, resources and
their templates, prompts, completion, logging, changes, and questions to the client. On standard
streams, or with a port as its argument over HTTP."""

from __future__ import annotations

import sys

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel

server = MCPServer("rich", instructions="Be rich.", version="1")


class Colour(BaseModel):
    """What the user is asked for."""

    colour: str


@server.tool()
async def steps(count: int, context: Context) -> str:
    """Count, and say so."""
    for number in range(count):
        await context.report_progress(number + 1, count, f"step {number + 1}")
    return f"counted to {count}"


@server.tool()
async def forever(context: Context) -> str:
    """Never answer."""
    import anyio

    await context.report_progress(1, 2, "begun")
    await anyio.sleep_forever()
    return ""


@server.tool()
async def change(context: Context) -> str:
    """Say that things have changed."""
    if (context.protocol_version or "") < "2026":
        await context.session.send_tool_list_changed()
        await context.session.send_resource_updated("note://one")
    await context.notify_tools_changed()
    await context.notify_resource_updated("note://one")
    return "changed"


@server.tool()
async def speak(context: Context) -> str:
    """Write to the log."""
    await context.warning("a warning")
    return "spoken"


@server.tool()
async def ask(context: Context) -> str:
    """Ask the user."""
    found = await context.elicit("Which colour?", Colour)
    return f"{found.action}: {getattr(found, 'data', None) and found.data.colour}"  # type: ignore[union-attr]  # as asked


@server.tool()
async def sample(context: Context) -> str:
    """Ask the client's model."""
    text = SamplingMessage(role="user", content=TextContent(type="text", text="2+2"))
    found = await context.session.create_message([text], max_tokens=10)
    return f"it says {found.content.text}"  # type: ignore[union-attr]  # as asked


@server.tool()
async def roots(context: Context) -> str:
    """Ask for the client's roots."""
    found = await context.session.list_roots()
    return ", ".join(str(root.uri) for root in found.roots)


@server.resource("note://one")
def note() -> str:
    """A note."""
    return "what the note says"


@server.resource("page://{name}")
def page(name: str) -> str:
    """A page."""
    return f"the page {name}"


@server.prompt()
def greet(name: str) -> str:
    """A greeting."""
    return f"Say hello to {name}."


@server.completion()
async def complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion | None:
    """Three names."""
    found = [name for name in ("ann", "anton", "bob") if name.startswith(argument.value)]
    return Completion(values=found, has_more=False)


def main() -> None:
    """Serve as the arguments say."""
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")


if __name__ == "__main__":
    main()
