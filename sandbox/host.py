"""The name of the host that a process pretends to be on, for ``[core] hostname_callable``."""

from __future__ import annotations

import os

#: The environment variable of the name.
VARIABLE = "SANDBOX_HOST"


def name() -> str:
    """Return the host's name."""
    return os.environ.get(VARIABLE, "localhost")
