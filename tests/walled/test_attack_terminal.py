"""Red team: the agent at the terminal of the person who answers for it."""

from __future__ import annotations

from tests.walled.place import Place, code

RAN = b'"text":"it ran'
ASKED = b"anything else to deny it: "


def test_a_person_approves_one_call_by_typing_its_id(place: Place) -> None:
    call = place.calls("exec_run", argv=["echo", "it", "ran"])
    out, status = place.typed("--", "sh", "-c", call, dialogue=[(ASKED, code)])
    assert b"Approved by alice." in out
    assert RAN in out
    assert status == 0


def test_any_other_answer_says_no(place: Place) -> None:
    call = place.calls("exec_run", argv=["echo", "it", "ran"])
    for answer in (b"\n", b"yes\n"):
        out, _ = place.typed("--", "sh", "-c", call, dialogue=[(ASKED, answer)])
        assert b"Denied." in out
        assert b"denied this call" in out
        assert RAN not in out


def test_what_was_typed_before_the_question_approves_nothing(place: Place) -> None:
    """An agent that makes a person type a lot, and then asks: only what follows counts. Nor does
    the agent get what is typed at the question."""
    call = place.calls("exec_run", argv=["echo", "it", "ran"])
    script = f"echo type-now; read line; {call}; read -t 1 line; echo got $line"
    dialogue = [(b"type-now", b"1\n\n" * 20), (ASKED, b"secretly\n")]
    out, _ = place.typed("--", "bash", "-c", script, dialogue=dialogue)
    assert b"Denied." in out
    assert b"got secretly" not in out
    assert RAN not in out


def test_pushed_keys_reach_nobody(place: Place) -> None:
    """TIOCSTI on every terminal that can be opened."""
    program = (
        "import fcntl, os, termios\n"
        "for path in ('/dev/tty', '/proc/self/fd/0', '/proc/self/fd/1', '/dev/console'):\n"
        "    for request in (termios.TIOCSTI, termios.TIOCSTI | 1 << 32):\n"
        "        try:\n"
        "            fd = os.open(path, os.O_RDWR)\n"
        "            fcntl.ioctl(fd, request & 0xffffffff, b'x')\n"
        "            print('PUSHED', path)\n"
        "        except OSError as error: print(path, error.strerror)\n"
    )
    out, _ = place.typed("--", "/usr/bin/python3", "-c", program, dialogue=[])
    assert b"PUSHED" not in out
    assert b"Operation not permitted" in out


def test_the_agent_has_a_terminal_and_it_is_another_one(place: Place) -> None:
    script = (
        "test -t 0 && test -t 1 && test -t 2 && echo terminal; ps -o pid,tty,args 2>/dev/null;"
        "stty size < /dev/tty; ls /dev/pts"
    )
    out, status = place.typed("--", "sh", "-c", script, dialogue=[])
    assert status == 0
    assert b"terminal\r\n" in out
    assert b"0 0\r\n" in out, "the window's size is carried"
    assert out.split()[-1] == b"ptmx", "no other terminal can be opened by name"


def test_control_c_is_for_the_agent(place: Place) -> None:
    script = "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.1; done"
    out, status = place.typed("--", "sh", "-c", script, dialogue=[(b"ready", b"\x03")])
    assert b"interrupted" in out
    assert status == 9


def test_without_a_terminal_the_call_waits_for_another_one(place: Place) -> None:
    call = place.calls("exec_run", argv=["echo", "it", "ran"])
    done = place.run("--ask-for", "2s", "--", "sh", "-c", call)
    assert "answer with: nucleus approvals approve" in done.err
    assert "Nobody approved this call in time." in done.out
