"""Law: what crosses a socket between services stands here: messages, and who is at the other end.

Nothing of the kernel imports this package; it needs the extra `services`.
"""
