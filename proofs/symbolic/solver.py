"""Law: z3 is asked for by name, so that everything else here type-checks where it is absent."""

import importlib
from typing import Any

z3: Any = importlib.import_module("z3")
