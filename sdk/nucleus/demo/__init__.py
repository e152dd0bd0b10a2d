"""Law: the demo does only what a user could do; it stages nothing and knows no back door.

Everything in it is real: a git repository, the `nucleus` command in processes of its own,
`mcp-server-git` behind the proxy, and the official MCP client in front of it. `story` is the order
of the steps, `acts` and `attacks` are the steps, `world` is where they happen, `clients` who calls.
"""
