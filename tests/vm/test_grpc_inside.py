"""An agent in a microVM uses the tools by gRPC over a unix socket, with a client of its own."""

from __future__ import annotations

import json
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
from tests.walled import grpc_agent
from tests.walled.place import Place
from tests.walled.test_grpc_inside import HEARD

INSIDE = "/opt/client"
PROTOCOL = ("tools_pb2.py", "tools_pb2_grpc.py")


@pytest.fixture(scope="module")
def client() -> str:
    """The name of an image with a gRPC client for Python, and the protocol."""
    here = Path(rpc.__file__).parent
    adds = (
        (Path(grpc.__file__).parent, "grpc"),
        (Path(google.protobuf.__file__).parents[1], "google"),
        (Path(typing_extensions.__file__), "typing_extensions.py"),
        *((here / name, f"nucleus_proxy/rpc/{name}") for name in PROTOCOL),
    )
    added = tuple((str(path), f"{INSIDE}/{name}") for path, name in adds)
    recipe = Recipe(packages=("libstdc++6",), adds=added)
    image.name(CACHE, built(recipe), "grpc-client")
    return "grpc-client"


@pytest.mark.slow
def test_a_grpc_client_of_somebody_else_calls_the_tools(place: Place, client: str) -> None:
    shutil.copy(grpc_agent.__file__, place.folder / "agent.py")
    done = place.run(
        "--image", client, "--env", f"PYTHONPATH={INSIDE}", "--", "python3", "agent.py"
    ).ok()
    listed, *heard = map(json.loads, done.out.splitlines())
    assert {"fs_read", "exec_run"} <= set(listed)
    assert tuple(heard) == HEARD
    place.desk.run("trace", "verify").ok()
