"""Who may import whom. The direction is what lets a part be read, proved and replaced alone."""

from __future__ import annotations

import sys
import tomllib

import pytest

from tests.house.source import PACKAGES, ROOT, imports, modules, shown

# package: (what of ours it may import, why no more)
MAY_IMPORT = {
    "nucleus_tokens": (
        set(),
        "a token is read in other languages and other processes: it knows nothing of ours",
    ),
    "nucleus_verifier": (
        {"nucleus_tokens"},
        "the kernel judges; it must not be able to mint, to perform, or to reach the world",
    ),
    "nucleus_issuer": (
        {"nucleus_tokens", "nucleus_verifier"},
        "the issuer holds the keys; it meets proxy and vmhost on a socket, never in one process",
    ),
    "nucleus_proxy": (
        {"nucleus_tokens", "nucleus_verifier"},
        "the proxy stands next to a compromised agent; it must not hold code that mints",
    ),
    "nucleus_vmhost": (
        {"nucleus_tokens"},
        "the wall moves bytes; what it cannot import it cannot decide",
    ),
    "nucleus": (set(PACKAGES), "sdk is the one composition root"),
}

# Of the verifier, what is a service: it needs the extra of that name, and the kernel does not.
SERVICES = (
    "nucleus_verifier.middleware.",
    "nucleus_verifier.rpc.",
    "nucleus_verifier.sidecar.",
)

# Third-party: where the import name is not the distribution's name in lower case.
IMPORT_NAME = {
    "grpcio": "grpc",
    "grpcio-health-checking": "grpc_health",
    "opentelemetry-api": "opentelemetry",
    "prometheus-client": "prometheus_client",
    "protobuf": "google",
    "pyjwt": "jwt",
    "pynacl": "nacl",
    "python-pkcs11": "pkcs11",
}


def test_every_package_has_a_rule() -> None:
    assert set(MAY_IMPORT) == set(PACKAGES), "a package without a rule could import anything"


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_imports_point_one_way(package: str) -> None:
    allowed, reason = MAY_IMPORT[package]
    wrong = [
        f"{shown(path)}:{found.line} imports {found.name}"
        for module, path in modules().items()
        if module.split(".")[0] == package
        for found in imports(module, path)
        if (top := found.name.split(".")[0]) in PACKAGES and top not in allowed | {package}
    ]
    assert not wrong, f"{package} may import {sorted(allowed)} of ours, since {reason}: {wrong}"


def test_only_declared_dependencies_are_imported() -> None:
    """What is installed in a developer's environment may be absent in a user's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    base = _import_names(project["dependencies"])
    services = base.union(
        *(_import_names(extras[name]) for name in ("cli", "pkcs11", "proxy", "services"))
    )
    # A client of ours exists only to be shown: nothing but the demo may need it.
    demo = services | _import_names(extras["demo"])
    tui = services | _import_names(extras["tui"])
    wrong = []
    for module, path in modules().items():
        package = module.split(".")[0]
        declared = base if package in {"nucleus_tokens", "nucleus_verifier"} else services
        if module.startswith("nucleus.demo."):
            declared = demo
        if module.startswith("nucleus.tui."):
            declared = tui
        if module.startswith(SERVICES):
            declared = services
        for found in imports(module, path):
            top = found.name.split(".")[0]
            if top not in {*PACKAGES, *sys.stdlib_module_names, *declared}:
                wrong.append(f"{shown(path)}:{found.line} imports {top}")
    assert not wrong, f"declare it in pyproject.toml or do without it: {wrong}"


def _import_names(requirements: list[str]) -> set[str]:
    names = set()
    for requirement in requirements:
        name = "".join(c if c.isalnum() or c in "-_" else " " for c in requirement).split()[0]
        names.add(IMPORT_NAME.get(name.lower(), name.lower()))
    return names
