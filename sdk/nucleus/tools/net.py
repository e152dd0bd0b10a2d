"""The network of the innermost active session."""

from typing import Final

from nucleus.tools._here import run as _run
from nucleus.toolsets import Net

_here: Final = Net(_run)

fetch = _here.fetch
search = _here.search
