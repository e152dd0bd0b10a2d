"""The kernel: bytes and facts in, a decision out. `decide` is pure; `commit` spends what the
decision needs, in one transaction, and alone returns a permit.
"""
