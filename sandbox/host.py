"""The simulated host name of a process, for ``[core] hostname_callable``."""

from __future__ import annotations

import os

#: The environment variable with the host name.
VARIABLE = "SANDBOX_HOST"


def name() -> str:
    """Return the host name."""
    return os.environ.get(VARIABLE, "localhost")
