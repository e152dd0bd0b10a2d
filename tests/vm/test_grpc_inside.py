"""An agent in a microVM uses the tools by gRPC over a unix socket, with a client of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import google.protobuf
import grpc
import pytest
import typing_extensions

from nucleus_proxy import rpc
from nucleus_vmhost.vm import image
from nucleus_vmhost.vm.image import Recipe
from tests.vm.machines import CACHE, built
from tests.walled.place import Place
from tests.walled.test_grpc_inside import AGENT, check

NAME, INSIDE = "grpc-client", "/opt/client"
PROTOCOL = ("tools_pb2.py", "tools_pb2_grpc.py")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an image with a gRPC client for Python, and the protocol."""
    folder = tmp_path_factory.mktemp("client")
    # Without what Python compiled meanwhile: the same image each time, and made once.
    sources = shutil.ignore_patterns("__pycache__")
    for package in (Path(grpc.__file__).parent, Path(google.protobuf.__file__).parents[1]):
        shutil.copytree(package, folder / package.name, ignore=sources)
    shutil.copy(typing_extensions.__file__, folder)
    (folder / "nucleus_proxy" / "rpc").mkdir(parents=True)
    for name in PROTOCOL:
        shutil.copy(Path(rpc.__file__).parent / name, folder / "nucleus_proxy" / "rpc")
    adds = tuple((str(path), f"{INSIDE}/{path.name}") for path in sorted(folder.iterdir()))
    image.name(CACHE, built(Recipe(packages=("libstdc++6",), adds=adds)), NAME)
    return NAME


@pytest.mark.slow
def test_a_grpc_client_of_somebody_else_calls_the_tools(place: Place, client: str) -> None:
    shutil.copy(AGENT, place.folder / "agent.py")
    done = place.run(
        "--image", client, "--env", f"PYTHONPATH={INSIDE}", "--", "python3", "agent.py"
    ).ok()
    check(done.out)
    place.desk.run("trace", "verify").ok()
