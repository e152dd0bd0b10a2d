"""The Runner's promises to whoever gives it work."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from nucleus_tokens.errors import CallerError, WorldError
from nucleus_vmhost.bubblewrap import Bubblewrap
from nucleus_vmhost.work import Limits
from tests.vmhost.cells import Job, gone, mark, python, ran, running, said, shell


async def test_a_program_gets_its_input_and_gives_its_output_and_its_code() -> None:
    done = await ran(shell("cat; echo warned >&2; exit 7", stdin=b"words\n"))
    assert (done.code, done.stdout, done.stderr) == (7, b"words\n", b"warned\n")
    assert not done.truncated
    assert not done.timed_out


async def test_it_gets_exactly_its_environment() -> None:
    os.environ["NUCLEUS_TEST_SECRET"] = "leaks"
    try:
        text = await said(Job(("env",), env={"NAME": "value with = and\nlines"}))
    finally:
        del os.environ["NUCLEUS_TEST_SECRET"]
    assert "leaks" not in text
    assert "NAME=value with = and\nlines\n" in text
    names = {line.split("=")[0] for line in text.splitlines() if "=" in line}
    assert names == {"HOME", "PATH", "TMPDIR", "LANG", "NAME"}


async def test_it_reads_what_is_readable_and_writes_what_is_writable(tmp_path: Path) -> None:
    read, write = tmp_path / "read", tmp_path / "write"
    read.mkdir()
    write.mkdir()
    (read / "a").write_text("seen")
    script = f"cat {read}/a > {write}/b && ! touch {read}/c 2>/dev/null"
    await said(shell(script, readable=(str(read),), writable=(str(write),)))
    assert (write / "b").read_text() == "seen"
    assert not (read / "c").exists()


async def test_what_was_not_given_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "other").write_text("secret")
    text = await said(shell(f"ls -a {tmp_path} /home /root /etc", readable=(f"{tmp_path}/given",)))
    assert "other" not in text
    assert "shadow" not in text


async def test_what_is_masked_is_not_seen_and_not_made(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KEY=1")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.pem").write_text("KEY=2")
    masked = tuple(f"{tmp_path}/{name}" for name in (".env", "keys", "absent", "no/such/place"))
    done = await ran(
        shell(
            f"cd {tmp_path}; cat .env; cat keys/a.pem; ls keys; rm -rf .env keys; mv keys k2;"
            "echo x > .env; echo x > keys/b; echo x > absent; mkdir -p no/such; ls -R .",
            writable=(str(tmp_path),),
            masked=masked,
        )
    )
    assert b"KEY" not in done.stdout
    assert (tmp_path / ".env").read_text() == "KEY=1"
    assert (tmp_path / "keys" / "a.pem").read_text() == "KEY=2"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".env", "keys"], "placeholders are gone"


async def test_a_placeholder_stays_while_another_cell_relies_on_it(tmp_path: Path) -> None:
    runner = Bubblewrap()
    folder = str(tmp_path)
    first = shell(
        "read line; echo x > hook", cwd=folder, writable=(folder,), masked=(f"{folder}/hook",)
    )
    async with runner.opened(first) as process:
        await ran(shell("true", cwd=folder, writable=(folder,), masked=(f"{folder}/hook",)))
        assert (tmp_path / "hook").exists()
        _, complaint = await process.communicate(b"go\n")
        assert b"hook" in complaint
    assert not (tmp_path / "hook").exists()


async def test_readable_inside_writable_cannot_be_written_nor_moved_away(tmp_path: Path) -> None:
    config = tmp_path / ".git" / "deep" / "config"
    config.parent.mkdir(parents=True)
    config.write_text("[core]")
    script = (
        "echo x > .git/deep/config; rm -rf .git; mv .git g; mv .git/deep .git/d; echo ok > file"
    )
    await said(shell(script, cwd=str(tmp_path), readable=(str(config),), writable=(str(tmp_path),)))
    assert config.read_text() == "[core]"
    assert (tmp_path / "file").read_text() == "ok\n"
    assert not (tmp_path / "g").exists()


async def test_nothing_inside_what_is_masked_is_shown(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "public").write_text("seen")
    folder = str(tmp_path)
    job = shell(
        f"cat {folder}/keys/public",
        readable=(folder, f"{folder}/keys/public"),
        writable=(f"{folder}/keys/public",),
        masked=(f"{folder}/keys",),
    )
    assert (await ran(job)).stdout == b""


async def test_writable_inside_readable_is_written(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    script = "echo x > out/a && ! echo x > b 2>/dev/null"
    folder = str(tmp_path)
    await said(shell(script, cwd=folder, readable=(folder,), writable=(f"{folder}/out",)))
    assert (tmp_path / "out" / "a").exists()


async def test_a_link_is_never_followed_to_a_mount(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for paths in ({"readable": (f"{tmp_path}/link",)}, {"writable": (f"{tmp_path}/link",)}):
        with pytest.raises(WorldError, match="link") as caught:
            await ran(Job(("true",), **paths))  # type: ignore[arg-type]
        assert caught.value.code == "wall.moved"
    job = Job(("true",), writable=(str(tmp_path),), masked=(f"{tmp_path}/link/x",))
    with pytest.raises(WorldError) as caught:
        await ran(job)
    assert caught.value.code == "wall.moved"


@pytest.mark.parametrize(
    "job",
    [
        Job(()),
        Job(("true",), network=True),
        Job(("true",), readable=("relative",)),
        Job(("true",), readable=("/a/../etc",)),
        Job(("true",), readable=("/",)),
        Job(("true",), writable=("/proc",)),
        Job(("true",), readable=("/dev/mem",)),
        Job(("true",), env={"A=B": "c"}),
        Job(("true", "\0")),
        Job(("true",), seconds=0),
        Job(("true",), seconds=float("nan")),
        Job(("true",), output_bytes=-1),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_starts(job: Job) -> None:
    with pytest.raises(CallerError) as caught:
        await ran(job)
    assert caught.value.code == "wall.work"


async def test_at_the_time_limit_all_of_it_ends() -> None:
    done = await ran(shell(f"sleep {mark(61234)} & sleep {mark(61234)}", seconds=0.5))
    assert done.timed_out
    assert done.code == 137
    assert not running(mark(61234))


async def test_at_the_output_limit_all_of_it_ends() -> None:
    done = await ran(shell(f"sleep {mark(61235)} & yes", output_bytes=10_000))
    assert done.truncated
    assert len(done.stdout) + len(done.stderr) == 10_000
    assert not running(mark(61235))


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64, 256, 1024, 4096])
async def test_a_call_that_is_cancelled_while_it_starts_leaves_nothing(turns: int) -> None:
    """After so many turns of the event loop: before the cell's process, while it starts, after."""
    before = len(os.listdir("/proc/self/fd"))
    name = mark(740000 + turns)
    task = asyncio.ensure_future(ran(shell(f"exec sleep {name}")))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await gone(name)
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_a_cancelled_call_leaves_nothing() -> None:
    task = asyncio.create_task(ran(shell(f"sleep {mark(61236)}")))
    while not running(mark(61236)):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not running(mark(61236))


async def test_a_started_server_talks_and_ends_with_its_input() -> None:
    async with Bubblewrap().opened(Job(("cat",), output_bytes=1 << 20)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in (b"one\n", b"x" * 200_000 + b"\n"):
            process.stdin.write(line)
            await process.stdin.drain()
            assert await process.stdout.readline() == line
        process.stdin.close()
        assert await process.wait() == 0


async def test_when_the_block_of_a_server_ends_nothing_of_it_runs() -> None:
    """Not soon after: then somebody looks for what it left."""
    async with Bubblewrap().opened(shell(f"setsid sleep {mark(61238)} & exec sleep {mark(61238)}")):
        while len(running(mark(61238))) < 2:
            await asyncio.sleep(0.01)
    assert not running(mark(61238))


async def test_a_started_server_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    """kill -9 of the runner leaves no process, wherever it was."""
    name = mark(61237)
    program = (
        "import asyncio, sys\n"
        "from nucleus_vmhost.bubblewrap import Bubblewrap\n"
        "from tests.vmhost.cells import shell\n"
        "async def main():\n"
        f"    async with Bubblewrap().opened(shell('setsid sleep {name} & exec sleep {name}')):\n"
        "        print('up', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    while len(running(name)) < 2:
        await asyncio.sleep(0.01)
    process.kill()
    await process.wait()
    assert await gone(name)


async def test_a_program_that_is_not_there_says_so() -> None:
    done = await ran(Job(("no-such-program",)))
    assert done.code == 127
    assert done.stderr == b"nucleus: no-such-program: No such file or directory\n"


async def test_a_signal_is_passed_on_as_a_shell_would() -> None:
    assert (await ran(shell("kill -TERM $$"))).code == 143


async def test_limits_hold_inside() -> None:
    limits = Limits(files=64, file_bytes=1 << 20, cpu_seconds=17, data_bytes=1 << 30)
    text = await said(shell("ulimit -n; ulimit -f; ulimit -t; ulimit -c"), limits)
    assert text.split() == ["64", "2048", "17", "0"]
    done = await ran(python("x = bytearray(2 << 30)"), limits)
    assert b"MemoryError" in done.stderr


async def test_many_cells_at_once_do_not_meet(tmp_path: Path) -> None:
    done = await asyncio.gather(
        *(
            ran(shell(f"echo {n} > /tmp/x; sleep 0.1; cat /tmp/x; ls /tmp | wc -l"))
            for n in range(6)
        )
    )
    assert [each.stdout.split() for each in done] == [[b"%d" % n, b"1"] for n in range(6)]
