"""A guest whose first process is the attacker's: root, and it owns the channel. Runs inside, in the
place of ours; the host orders it by name what to try."""

import glob
import os
import struct
import sys
import time


def port() -> int:
    while True:
        for place in glob.glob("/sys/class/virtio-ports/*"):
            with open(f"{place}/name") as file:
                if file.read().strip() == "nucleus.channel":
                    return os.open(f"/dev/{os.path.basename(place)}", os.O_RDWR)
        time.sleep(0.01)


def frame(kind: int, stream: int, body: bytes = b"") -> bytes:
    return struct.pack(">BIH", kind, stream, len(body)) + body


def say(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(CHANNEL, view) :]


def giant() -> None:
    say(struct.pack(">BIH", 3, 2, 65535) + bytes(65535))


def malformed() -> None:
    say(b"\xff" * 4096)


def beyond_the_window() -> None:
    for _ in range(8):
        say(frame(3, 2, bytes(60000)))


def cut() -> None:
    say(frame(3, 2, bytes(1000))[:500])
    panic()


def panic() -> None:
    with open("/proc/sysrq-trigger", "w") as file:
        file.write("c")


def ended() -> None:
    sys.exit(0)


def flood_of_streams() -> None:
    """Opens to what it was not given, and to what it was, and never reads."""
    for number in range(1, 20001, 2):
        name = b"issuer" if number % 4 == 1 else b"tools"
        say(frame(2, number, name) + frame(3, number, name + b"\n"))


def flood_of_console() -> None:
    for _ in range(6):
        sys.stdout.write("x" * 65536)
    sys.stdout.flush()
    panic()


def lies() -> None:
    """An answer that is no answer, on whichever stream the order came."""
    for stream in (2, 4, 6, 8):
        say(frame(3, stream, b'{"code": "' + b"9" * 50000 + b'"}\n'))


def forges_changes() -> None:
    """Says that the agent changed a file that is not below the copy, and that it ended well."""
    forged = b'["file", "../../etc/cron.d/evil", 420, 5]\nevil\n["end"]\n'
    say(frame(3, 4, forged) + frame(5, 4) + frame(5, 6) + frame(3, 8, b'{"code": 0}\n'))


sys.stdout.write("nucleus: ready\n")
sys.stdout.flush()
CHANNEL = port()
heard = b""
while b"attack:" not in heard or b"!" not in heard:
    heard += os.read(CHANNEL, 65536)
say(frame(1, 0, b"nucleus-vm/1"))
globals()[heard.partition(b"attack:")[2].partition(b"!")[0].decode()]()
while True:
    if not os.read(CHANNEL, 65536):
        time.sleep(0.01)
