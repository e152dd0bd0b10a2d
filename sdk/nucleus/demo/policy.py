"""Law: what the operator of this demo says stands in two files, and nowhere else.

The policy file says what the tools of `mcp-server-git` are here; the profile says what the agent's
token may hold at most. Both are shown to whoever keeps the directory (`nucleus demo --keep`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

# Allowed at once, allowed where the issuer's own scope vouches for every argument, or never.
PROFILE: Final = """\
name = "demo"
description = "Read a repository, stage, branch, and hand commits to the review bot."
ttl_seconds = 3600

[levels]                   # what is not named is never
read_files = "always"
write_files = "low_risk"
git_commit = "low_risk"
spawn_agent = "always"

[budget]
usd = "1"
tokens_in = 100_000
tokens_out = 10_000
"""

_POLICY: Final = """\
# What the tools of mcp-server-git are, here. A tool that is not named is denied.
version = 1

# The operator's word: the agent's session saw nothing before. (In this demo no sandbox stands
# around the clients, so this line is a promise and not a wall.)
[wall]
id = {wall}
shows = []

# No --repository: the server alone would open any repository of this user. The hook below delivers
# to a place outside of the token's path, which no cell would let it; and the demo runs anywhere.
[server]
danger_outside_cell = true
command = {command}
cwd = {cwd}
env = {{ PATH = {path}, HOME = {home} }}

[tools.git_status]
operation = "read_files"
selectors = {{ "/repo_path" = "path" }}

[tools.git_diff_staged]
operation = "read_files"
selectors = {{ "/repo_path" = "path" }}
payload = ["/context_lines"]

[tools.git_diff_unstaged]
operation = "read_files"
selectors = {{ "/repo_path" = "path" }}
payload = ["/context_lines"]

[tools.git_log]
operation = "read_files"
selectors = {{ "/repo_path" = "path" }}
payload = ["/max_count", "/start_timestamp", "/end_timestamp"]

# These two can show any branch, so also what strangers pushed: untrusted content.
[tools.git_show]
operation = "read_files"
selectors = {{ "/repo_path" = "path", "/revision" = "ref" }}
adds = ["untrusted_content"]

[tools.git_diff]
operation = "read_files"
selectors = {{ "/repo_path" = "path", "/target" = "ref" }}
payload = ["/context_lines"]
adds = ["untrusted_content"]

# What git says of its own work is no stranger's text. Unsaid, it would count as a tool's answer.
[tools.git_add]
operation = "write_files"
label = "git_blob"
selectors."/repo_path" = "path"
selectors."/files" = {{ kind = "path", base = "/repo_path" }}

[tools.git_create_branch]
operation = "git_commit"
label = "git_blob"
selectors."/repo_path" = "path"
selectors."/branch_name" = "ref"
selectors."/base_branch" = {{ kind = "ref", optional = true }}

# A hook of this repository hands every commit to a review bot: another agent, so a way out.
[tools.git_commit]
operation = "spawn_agent"
label = "git_blob"
selectors = {{ "/repo_path" = "path" }}
payload = ["/message"]
"""


def policy_file(*, wall: str, command: list[str], cwd: Path, path: str, home: Path) -> str:
    """The policy file. A JSON text is a TOML text where it holds no control characters."""
    return _POLICY.format(
        wall=json.dumps(wall),
        command=json.dumps(command),
        cwd=json.dumps(str(cwd)),
        path=json.dumps(path),
        home=json.dumps(str(home)),
    )
