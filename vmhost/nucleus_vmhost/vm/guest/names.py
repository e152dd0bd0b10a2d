"""What both ends of a channel call by the same name, and who is who inside."""

from __future__ import annotations

from typing import Final

PORT: Final = "nucleus.channel"
BY_VSOCK: Final = "nucleus.channel=vsock"  # on the kernel's command line
CHANNEL_PORT: Final = 1024
READY: Final = "nucleus: ready"

# Served inside, by the first process; the host opens streams to them.
PING: Final = "ping"
CLAIM: Final = "claim"
RUN: Final = "run"
SIZE: Final = "size"
STDIN: Final = "stdin"
STDOUT: Final = "stdout"
STDERR: Final = "stderr"
INSIDE: Final = (PING, CLAIM, RUN, SIZE, STDIN, STDOUT, STDERR)

# Served by the host half; whoever is inside opens streams to them.
TOOLS: Final = "tools"
PROXY: Final = "proxy"
GRPC: Final = "grpc"
IDENTITY: Final = "identity"
OUTSIDE: Final = (TOOLS, PROXY, GRPC, IDENTITY)
WORKLOAD_API: Final = "unix:///run/nucleus/identity.sock"

PROXY_NAMES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
PROXY_PORT: Final = 3128
TOOLS_PORT: Final = 3129
GRPC_SOCKET: Final = "/run/nucleus/grpc.sock"
HALF_UID: Final = 100
AGENT_UID: Final = 1000
HOME: Final = "/home/agent"
CONNECT: Final = "/run/nucleus/mcp"
LINE: Final = 1 << 20
