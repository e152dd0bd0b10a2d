"""Sub-agents of the innermost active session."""

from typing import Final

from nucleus.tools._here import run as _run
from nucleus.toolsets import Agent

_here: Final = Agent(_run)

spawn = _here.spawn
