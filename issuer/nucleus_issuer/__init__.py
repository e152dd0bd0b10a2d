"""Mints, records, approves and revokes tokens, and is the only holder of the issuer's keys.
Nothing here decides whether a call may run.
"""
