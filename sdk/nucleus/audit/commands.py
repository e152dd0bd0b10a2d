"""Law: which commands are dangerous however they are meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from nucleus.audit.packages import base

_SHELLS: Final = frozenset(
    ("sh", "bash", "zsh", "dash", "fish", "cmd", "powershell", "pwsh", "ksh")
)
_PIPED: Final = re.compile(
    r"\b(?:curl|wget|iwr|invoke-webrequest|fetch)\b[^|;&]{0,400}\|\s*(?:sudo\s+)?(?:ba|z|da|k)?sh\b|"
    r"\b(?:curl|wget)\b[^|;&]{0,400}\|\s*(?:sudo\s+)?(?:python3?|node|perl|ruby|php)\b|"
    r"(?:ba|z|da)?sh\s+(?:-c\s+)?[\"']?(?:<\(|\$\()\s*(?:curl|wget)\b|"
    r"\beval\s+[\"']?\$\(\s*(?:curl|wget)\b|\biex\b.{0,200}\b(?:iwr|downloadstring)\b|"
    r"\bbase64\s+(?:-d|--decode|-D)\b[^|;&]{0,200}\|\s*(?:ba|z|da)?sh\b",
    re.IGNORECASE,
)
_REVERSE: Final = re.compile(
    r"/dev/tcp/|\bnc\b[^|;]{0,200}\s-[a-z]{0,8}e\b|\bsocat\b[^|;]{0,200}\bexec:", re.IGNORECASE
)
SENDING: Final = frozenset(
    ("curl", "wget", "nc", "ncat", "netcat", "scp", "sftp", "rsync", "ftp", "telnet", "ssh",
     "socat", "httpie", "http", "xh", "aria2c", "lynx", "rclone", "invoke-webrequest")
)  # fmt: skip
# Options of agents that switch their own questions off.
BYPASSES: Final = re.compile(
    r"--dangerously-skip-permissions|--dangerously-bypass-approvals-and-sandbox|--yolo\b|"
    r"--permission-mode[= ]bypassPermissions|--allow-all-tools|--full-auto|--trust-all-tools|"
    r"--approval-mode[= ]yolo|--dangerously-allow-all|--sandbox[= ]danger-full-access|"
    r"--ask-for-approval[= ]never"
)


def line_dangers(line: str) -> Iterator[str]:
    """Of a line that a shell reads."""
    if _PIPED.search(line):
        yield "code from the network runs at once"
    if _REVERSE.search(line):
        yield "it opens a shell to somewhere"
    if re.search(
        r"\brm\s+(?:-[a-z]{1,8}\s+){0,4}-[a-z]{0,8}r[a-z]{0,8}\s+(?:-[a-z]{1,8}\s+){0,4}(?:/|~|\$HOME)(?:\s|/\*|$)",
        line,
    ):
        yield "it deletes the home or the root folder"
    if re.search(r"\bchmod\s+(?:-R\s+)?(?:0?777|a\+rwx)\s+/", line):
        yield "it opens a folder of the system to everybody"


def argv_dangers(argv: tuple[str, ...]) -> Iterator[str]:
    """Of a command that is started as it stands."""
    if not argv:
        return
    name, rest = base(argv[0]), argv[1:]
    joined = " ".join(rest)
    yield from line_dangers(" ".join(argv))
    if name in ("sudo", "doas", "su", "pkexec", "runas"):
        yield f"it runs as another user, with {name}"
    if name in _SHELLS and any(
        word.lower() in ("-c", "-lc", "-ic", "-command", "-e", "-enc") for word in rest
    ):
        yield "a shell reads its command line"
    if name in ("docker", "podman"):
        yield from docker_dangers(rest)
    if name in ("python", "python3", "node", "perl", "ruby", "deno", "bun") and rest[:1] in (
        ("-c",), ("-e",), ("--eval",),
    ):  # fmt: skip
        yield "its program stands in the command line"
    if BYPASSES.search(joined):
        yield "it starts an agent that asks nobody"
    if re.search(r"(?:^|\s)--(?:index-url|extra-index-url|registry)[= ]http://", " " + joined):
        yield "its packages come over a connection without TLS"


def docker_dangers(options: tuple[str, ...]) -> Iterator[str]:
    """Of what `docker run` is told."""
    joined = " ".join(options)
    if re.search(r"(?:^|\s)--privileged(?:=true)?(?:\s|$)", joined):
        yield "its container is privileged"
    if "docker.sock" in joined or "podman.sock" in joined:
        yield "its container is given the container engine's socket, and so the host"
    if re.search(r"(?:-v|--volume)[= ]/:|source=/(?:,|\s|$)|src=/(?:,|\s|$)", joined):
        yield "its container is given the root folder of the host"
    if re.search(
        r"(?:-v|--volume)[= ](?:~|\$\{?HOME\}?|/home/[^/:]+|/Users/[^/:]+|/root)/?:", joined
    ):
        yield "its container is given the whole home folder"
    if re.search(r"--(?:net|network|pid|ipc|userns)[= ]host\b", joined):
        yield "its container shares the host's network or processes"
    if re.search(
        r"--cap-add[= ](?:ALL|SYS_ADMIN|SYS_PTRACE|SYS_MODULE|NET_ADMIN|DAC_READ_SEARCH)\b",
        joined,
        re.I,
    ):
        yield "its container has capabilities that lead out of it"
    if re.search(r"--security-opt[= ](?:seccomp|apparmor)[=:]unconfined", joined):
        yield "its container's system calls are not filtered"
