"""Law: every bound on what a stranger can make us do stands in this file, with its reason.

A bound is part of the format: two verifiers that disagree on one disagree on what a token is.
"""

from typing import Final

# Credentials --------------------------------------------------------------------------------
# 8 KiB is the smallest common ceiling for one HTTP header (nginx, gRPC default metadata); 1 KiB
# of it is left for the header name and the other headers.
CREDENTIAL_CHARS: Final = 7168
# A chain is folded on every call; 64 is eight caveats for each of eight delegation hops.
CAVEATS: Final = 64
# An organisation, a team, an agent, and its sub-agents: deeper trees are loops.
DEPTH: Final = 8
# What an exchanged token still answers to: rid 0 and the hops of every token before it.
ANCESTORS: Final = 32
# Live tokens that one tree may be exchanged for: audiences of an agent, on several keys.
EXCHANGES_PER_TREE: Final = 64
# One caveat: the largest honest one is a list of some thirty paths.
CAVEAT_BYTES: Final = 2048
# One signed header body: ceilings are written by people, or by an Exchange that carries them over.
HEADER_BYTES: Final = 4096
# Two-byte varints: nothing in a credential of this size needs a third.
FIELD_BYTES: Final = 16383

# Meaning ------------------------------------------------------------------------------------
STRING_CHARS: Final = 1024
LIST_ITEMS: Final = 64
# Patterns a whole token may carry: each costs a scan of the value it is matched against.
PATTERNS: Final = 64
PATTERN_SEGMENTS: Final = 32
PATTERN_DOUBLE_STARS: Final = 2
# Segments after a `**` are tried at every place of the value: so many in a whole chain,
PATTERN_FLOATING: Final = 32
# and so many `*` in one segment.
PATTERN_STARS: Final = 4
# A command of more words than this is judged by nobody.
ARGV_WORDS: Final = 512
# Resolved paths longer than this are refused by the scope check, not matched (Linux PATH_MAX).
PATH_CHARS: Final = 4096
PATH_SEGMENTS: Final = 64
# Exact in every JSON implementation (RFC 7493): the integers of I-JSON.
INTEGER: Final = 2**53 - 1

# Calls --------------------------------------------------------------------------------------
# Deeper JSON than this is an attack on recursive readers (DESIGN section 4).
JSON_DEPTH: Final = 64
# A tool call's arguments; a file written through MCP travels in them.
ARGUMENT_BYTES: Final = 4 * 1024 * 1024

# Time, in seconds ---------------------------------------------------------------------------
# Clocks of two honest machines; applies to `req` and `nbf` only, never extends `exp`.
SKEW: Final = 60
# A token that outlives the people who remember issuing it cannot be revoked by them.
TOKEN_LIFETIME: Final = 366 * 24 * 3600

# Approvals ----------------------------------------------------------------------------------
APPROVAL_BYTES: Final = 4096
APPROVALS_PER_CALL: Final = 8
APPROVAL_USES: Final = 1000

# State --------------------------------------------------------------------------------------
# Live budget counters, revocation entries and cached prefixes that one token tree may occupy.
COUNTERS_PER_TREE: Final = 64
REVOCATIONS_PER_TREE: Final = 64
CACHED_PREFIXES_PER_TREE: Final = 64
