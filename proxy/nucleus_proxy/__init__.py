"""The only road from an agent to the world: it gathers the facts, asks the verifier, commits,
runs the effect under its permit and writes the trace.
"""
