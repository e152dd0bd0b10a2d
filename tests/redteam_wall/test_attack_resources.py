"""Red team: filling what the machine has."""

from __future__ import annotations

from nucleus_vmhost.work import Limits
from tests.redteam_wall.attacks import attack
from tests.vmhost.cells import python, ran

SMALL = Limits(tmp_bytes=4 << 20, file_bytes=64 << 20, data_bytes=256 << 20, files=32)


async def test_every_place_that_can_be_filled_is_bounded() -> None:
    refused = await attack(
        """
        for folder in ("/tmp", "/dev/shm", os.environ["HOME"], "/var/tmp"):
            def fill():
                total = 0
                with open(f"{folder}/big", "wb", 0) as file:
                    while total < 40 << 20:
                        total += file.write(bytes(1 << 20))
                return total
            attempt(folder, fill)
            if folder != "/var/tmp": os.unlink(f"{folder}/big")
        for folder in ("/", "/dev", "/run", "/etc", "/home", "/var", "/run/nucleus"):
            attempt(folder, lambda: open(f"{folder}/big", "wb"))
        """,
        limits=SMALL,
    )
    assert {refused[folder] for folder in ("/tmp", "/dev/shm", "/home/agent")} == {"ENOSPC"}
    assert {refused[folder] for folder in ("/", "/dev", "/run", "/etc", "/home")} <= {
        "EROFS",
        "EACCES",
    }


async def test_one_file_is_bounded(tmp_path: object) -> None:
    program = """
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        attempt("file", lambda: os.truncate(os.open("./big", os.O_CREAT | os.O_RDWR), 65 << 20))
    """
    refused = await attack(program, limits=SMALL, writable=(str(tmp_path),), cwd=str(tmp_path))
    assert refused == {"file": "EFBIG"}


async def test_memory_and_open_files_are_bounded() -> None:
    done = await ran(python("x = [bytearray(1 << 20) for _ in range(1000)]"), SMALL)
    assert b"MemoryError" in done.stderr
    assert await attack(
        'attempt("open", lambda: [os.dup(0) for _ in range(100)])', limits=SMALL
    ) == {"open": "EMFILE"}


async def test_a_limit_is_not_raised_again() -> None:
    await attack(
        """
        import resource
        for name in ("NPROC", "DATA", "NOFILE", "FSIZE", "CPU", "AS"):
            kind = getattr(resource, "RLIMIT_" + name)
            soft, hard = resource.getrlimit(kind)
            try:
                resource.setrlimit(kind, (hard + 1, hard + 1)); print("GOT", name)
            except (ValueError, OSError): print("no", name, "refused")
        """,
        limits=SMALL,
    )
