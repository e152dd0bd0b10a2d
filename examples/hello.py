"""The first program. In another terminal: nucleus session serve --profile safe-pr-fixer --answer"""

from nucleus import Session, approve
from nucleus.tools import fs, git, net

with Session(profile="safe_pr_fixer") as s:
    readme = fs.read("README.md")  # ok
    fs.write("README.md", readme + "\n")  # ok (scoped)

    # risky: outbound fetch — explicit gate
    page = approve("fetch", net.fetch, "https://example.com")

    # forbidden: publish
    git.push("origin", "main")  # raises PolicyDenied
