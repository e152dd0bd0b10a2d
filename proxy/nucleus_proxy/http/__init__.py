"""MCP over streamable HTTP: what stands in front of a relay."""
