"""Git of the innermost active session."""

from typing import Final

from nucleus.tools._here import run as _run
from nucleus.toolsets import Git

_here: Final = Git(_run)

status = _here.status
diff = _here.diff
commit = _here.commit
push = _here.push
create_pr = _here.create_pr
