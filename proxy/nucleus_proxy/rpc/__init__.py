"""The same tools by gRPC, for an agent inside a wall: a client of the socket that speaks MCP.

Nothing else of the proxy imports this package: it runs in a process of its own.
"""
