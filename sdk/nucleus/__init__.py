"""What people use: sessions, tools, profiles and the `nucleus` command. It is the one
composition root: the only package that may import all the others and wire them together.
"""

from typing import Final

__version__: Final = "0.1.0"
