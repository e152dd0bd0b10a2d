"""A small internet for tests: a network namespace that owns globally routable addresses.

    with internet.stage(tmp_path, {"example.com": "93.184.215.14"}) as net:
        subprocess.run(net.command([sys.executable, "program.py"]))

Inside it the named sites are real TLS servers on real ports 443 and 80, under a certificate
authority made for the test (`net.roots`), and a real name server answers on loopback, named in the
namespace's own /etc/resolv.conf. Outside nothing changes. It needs root or user namespaces, and
Debian's iproute2 and util-linux; where one is missing the test fails and says so.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.house.source import ROOT

INSTALL = "apt-get install -y iproute2 util-linux"
PUBLIC = "93.184.215.14"
_LONG = datetime.timedelta(days=3650)


@dataclass(frozen=True)
class Internet:
    """A running stage. `roots` is the PEM file of the authority that signed its sites."""

    pid: int
    roots: Path
    log: Path
    rooted: bool

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` inside."""
        user = [] if self.rooted else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self.pid}", *user, "--net", "--mount", "--", *argv]

    def run(
        self, program: str, *args: str, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python program inside, from the checkout; its text output is captured."""
        return subprocess.run(
            self.command([sys.executable, "-c", program, *args]),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_paths())},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def requests(self) -> list[dict[str, Any]]:
        """What the sites were asked so far: site, method, path, host, headers, tls name."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def _paths() -> list[str]:
    rooms = ("", "sdk", "tokens", "issuer", "verifier", "proxy", "vmhost")
    return [str(ROOT / room) for room in rooms]


@contextmanager
def stage(
    folder: Path,
    sites: Mapping[str, str],
    *,
    pages: Mapping[str, Mapping[str, Any]] | None = None,
    names: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> Iterator[Internet]:
    """An internet while the block runs.

    `sites` maps names to the addresses they own. `pages` maps a site's paths to
    {"status", "type", "body", "headers"}; without it every path of every site says its name.
    `names` adds what the name server says: for each name a list of answers, given one after the
    other (the last one for ever), each a list of addresses.
    """
    for program in ("ip", "unshare", "nsenter"):
        if shutil.which(program) is None:
            raise AssertionError(f"this test needs {program}: {INSTALL}")
    folder.mkdir(parents=True, exist_ok=True)
    roots, chain, key = make_authority(folder, tuple(sites))
    config = {
        "sites": dict(sites),
        "pages": {site: dict(found) for site, found in (pages or {}).items()},
        "names": {**{name: [[at]] for name, at in sites.items()}, **dict(names or {})},
        "chain": str(chain),
        "key": str(key),
        "log": str(folder / "requests.jsonl"),
        "resolv": str(folder / "resolv.conf"),
    }
    (folder / "internet.json").write_text(json.dumps(config))
    (folder / "requests.jsonl").touch()
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:1\n")
    rooted = os.geteuid() == 0
    argv = ["unshare", *([] if rooted else ["--user", "--map-root-user"]), "--net", "--mount"]
    holder = subprocess.Popen(
        [*argv, sys.executable, "-m", "tests.support.internet_inside", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stderr is not None
    try:
        if holder.stdout.readline() != b"ready\n":
            raise AssertionError(
                "no network namespace could be made (root, or user namespaces, are needed): "
                + holder.stderr.read().decode(errors="replace")
            )
        # unshare replaces itself by the program: its pid is the namespace's.
        yield Internet(holder.pid, roots, folder / "requests.jsonl", rooted)
    finally:
        holder.stdin.close()  # it ends with its input
        holder.wait(30)
        holder.stdout.close()
        holder.stderr.close()


def make_authority(folder: Path, names: Sequence[str]) -> tuple[Path, Path, Path]:
    """A certificate authority and one certificate for all `names`: (roots, chain, key) as files."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nucleus test authority")])
    usage = {
        "digital_signature": False, "content_commitment": False, "key_encipherment": False,
        "data_encipherment": False, "key_agreement": False, "key_cert_sign": False,
        "crl_sign": False, "encipher_only": False, "decipher_only": False,
    }  # fmt: skip
    ca = (
        x509.CertificateBuilder()
        .subject_name(ca_name)
        .issuer_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _LONG)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": True}), critical=True
        )
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test site")]))
        .issuer_name(ca_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _LONG)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**usage, "digital_signature": True}), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    roots, chain, private = folder / "roots.pem", folder / "chain.pem", folder / "site.key"
    roots.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return roots, chain, private
