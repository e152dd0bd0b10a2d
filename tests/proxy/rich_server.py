"""An honest server of the official SDK that uses what the protocol has: progress, resources,
prompts, a question to the user. On standard streams."""

from __future__ import annotations

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("rich")


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


@server.resource("note://one")
def note() -> str:
    """A note."""
    return "what the note says"


@server.prompt()
def greet(name: str) -> str:
    """A greeting."""
    return f"Say hello to {name}."


if __name__ == "__main__":
    server.run("stdio")
