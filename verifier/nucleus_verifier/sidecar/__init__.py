"""Serves the kernel's decisions to gateways and tools: request facts in, one answer out."""
