"""A sidecar and its issuer on two hosts, and the wire between them cut: nothing is missed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from nucleus.home import Home
from nucleus_issuer import keys
from nucleus_verifier.sidecar.answers import Admitted, Refused
from tests.cli.command import PASSPHRASE, PROGRAM
from tests.service.network import HERE, THERE, network
from tests.service.stage import environ, running
from tests.sidecar.stage import Sidecar, sidecar
from tests.sidecar.test_watching import AGENT, PEERED, POLICY, asked, until_ready
from tests.support import world

PORT = 8443  # nobody else is in this network


class Agent:
    """Commands on the issuer's host."""

    def __init__(self, root: Path, prefix: tuple[str, ...], socket: str) -> None:
        self.root = root
        self.words = (*prefix, *PROGRAM, "--home", str(root / "agent"))
        self.env = environ(SPIFFE_ENDPOINT_SOCKET=socket)
        self.where = ("--issuer", f"{HERE}:{PORT}")

    def run(self, *words: object) -> Any:
        done = subprocess.run(
            [*self.words, *map(str, words), *self.where, "--json"],
            capture_output=True, text=True, env=self.env, cwd=self.root, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def issue(self, name: str, audience: str, key: Path) -> Path:
        token = self.root / f"{name}.token"
        self.run(
            "token", "issue", "--profile", "read-only", "--audience", audience, "--sub", AGENT,
            "--holder-key", key, "-o", token,
        )  # fmt: skip
        return token


@pytest.mark.slow
async def test_a_cut_wire_closes_the_sidecar_and_hides_no_revocation(tmp_path: Path) -> None:
    with network() as net, running(tmp_path, "--lease", "2s", start=False) as stage:
        stage.listen, stage.prefix = f"{HERE}:{PORT}", net.at(HERE)
        audience = stage.ring().bundle().audience_named(None)
        (stage.home / "config" / "issuance.toml").write_text(POLICY.format(audience=audience.name))
        shutil.copytree(stage.home, tmp_path / "second")
        home = Home.find(tmp_path / "second", {})
        signer = home.keyring().issuer(home.issuer_key_id(), lambda _: PASSPHRASE).signer
        stage.start()
        agent = Agent(tmp_path, net.at(HERE), stage.socket("agent"))
        key = tmp_path / "agent.key"
        keys.write(
            key,
            keys.Key("holder", "agent", world.public("agent"), world.secret("agent")),
            random=os.urandom,
        )
        tokens = [agent.issue(f"t{n}", audience.name, key) for n in range(4)]
        text = [path.read_text().strip() for path in tokens]
        words = ("--issuer", stage.address, "--issuer-id", "spiffe://example.org/issuer")
        with sidecar(
            tmp_path, PEERED, *words, made_home=(home, signer, audience), prefix=net.at(THERE),
            SPIFFE_ENDPOINT_SOCKET=stage.socket("tool"),
        ) as tool:  # fmt: skip
            await until_ready(tool, True)
            for each in text:
                assert isinstance(await asked(tool, each), Admitted), tool.log[-3:]
            for cut in range(2):
                net.cut()
                # `effective` is said although the sidecar cannot confirm: its lease has run out.
                assert agent.run("token", "revoke", tokens[cut])["effective"] is True
                answer = await asked(tool, text[cut])
                assert isinstance(answer, Refused), "effective, and somebody still allows it"
                assert await stale(tool)
                for each in text:
                    answer = await asked(tool, each)
                    assert isinstance(answer, Refused)
                    assert answer.code == "revocation.stale"
                net.mend()
                await until_ready(tool, True)
                for n, each in enumerate(text):
                    answer = await asked(tool, each)
                    if n <= cut:
                        assert isinstance(answer, Refused), "missed"
                        assert answer.code == "token.revoked"
                    else:
                        assert isinstance(answer, Admitted), tool.log[-3:]


async def stale(tool: Sidecar) -> bool:
    end = time.monotonic() + 30
    while tool.ready()[1]["missing"] != ["revocation.stale"]:
        assert time.monotonic() < end
    return True
