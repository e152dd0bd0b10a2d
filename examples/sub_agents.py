"""Sub-agents with less, all at once: nucleus session serve --profile codegen"""

import asyncio

from nucleus import BudgetExceeded, PolicyDenied
from nucleus.aio import Session


async def reader(session: Session, path: str) -> int:
    """A sub-agent: it may read, twenty times in all with its siblings, and nothing else."""
    async with session:
        text = await session.fs.read(path)
        try:
            await session.fs.write(path, "changed")
        except PolicyDenied as error:
            print(f"{path}: {error.code}, {error.caveat} added by {error.added_by}")
        return len(text)


async def main() -> None:
    async with Session(profile="codegen") as s:
        paths = await s.fs.glob("*.txt")
        await s.attenuate(["budget", "calls", len(paths) + 1])  # from now on, for everybody
        only_read = ["tool", "in", ["fs_read"]]
        # Approvals of this session do not carry over: a sub-agent's calls are asked about anew.
        below = [await s.delegate(f"reader-{path}", only_read) for path in paths]
        sizes = await asyncio.gather(*map(reader, below, paths))
        await s.fs.write("sizes.md", "\n".join(map(str, sorted(sizes))))
        try:
            await s.fs.read("sizes.md")
        except BudgetExceeded as error:
            print(f"the tree's budget is used up: {error.code}")
        print("trace:", len((await s.trace.export_jsonl()).splitlines()), "records")


asyncio.run(main())
