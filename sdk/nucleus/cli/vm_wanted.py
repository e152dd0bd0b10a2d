"""Law: what a person left out of a command about microVMs is what is usual, and nothing else is."""

from __future__ import annotations

from nucleus.cli import inputs
from nucleus_vmhost.vm.driver import CPU_SECONDS, LIFE_SECONDS
from nucleus_vmhost.vm.wanted import DRIVERS, Wanted


def wanted(
    image: str,
    driver: str | None = None,
    memory_mib: int | None = None,
    cpu_seconds: int | None = None,
    life: str | None = None,
) -> Wanted:
    """A microVM as the options say. Raises CallerError `input.duration`."""
    return Wanted(
        image=image,
        driver=DRIVERS[0] if driver is None else driver,
        memory_mib=memory_mib,
        cpu_seconds=CPU_SECONDS if cpu_seconds is None else cpu_seconds,
        life_seconds=LIFE_SECONDS if life is None else inputs.duration(life, "--life"),
    )
