"""Files of the innermost active session."""

from typing import Final

from nucleus.tools._here import run as _run
from nucleus.toolsets import Fs

_here: Final = Fs(_run)

read = _here.read
read_bytes = _here.read_bytes
write = _here.write
edit = _here.edit
glob = _here.glob
grep = _here.grep
