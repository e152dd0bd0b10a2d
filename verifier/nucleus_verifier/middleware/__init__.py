"""What the sidecar does, in a tool's own process: over a `Gate`, or a `Remote` that asks one."""
