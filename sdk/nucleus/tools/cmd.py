"""Commands of the innermost active session."""

from typing import Final

from nucleus.tools._here import run as _run
from nucleus.toolsets import Cmd

_here: Final = Cmd(_run)

run = _here.run
bash = _here.bash
