"""What it takes to open a sealed record: once in a process, with scrypt, and from then on."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.runtime import airflow_variables
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from benchmarks.client import register
from benchmarks.measuring import Row, in_turns, milliseconds, ratio
from sandbox.server import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Callable

CONN_ID = "unsealing"
ROUNDS = 21


def measure() -> dict[str, list[float]]:
    """Return the processor time of opening a record and of reading the Variable that it is in."""
    hook = OAuthHook(CONN_ID)
    hook.get_token()
    known = VariableTokenStore(hook.config)
    name = airflow_variables.variable_name("oauth_token__", CONN_ID)
    text = airflow_variables.get_variable(name)
    assert text
    record = known._decode(text)
    assert record.readable
    calls: dict[str, Callable[[], object]] = {
        "first": lambda: VariableTokenStore(hook.config)._decode(text),
        "later": partial(known._decode, text),
        "read": partial(airflow_variables.get_variable, name),
    }
    first = in_turns({"first": calls.pop("first")}, times=1, rounds=ROUNDS, clock=time.process_time)
    return first | in_turns(calls, times=50, rounds=ROUNDS, clock=time.process_time)


def rows() -> list[Row]:
    """Return what goes into the table."""
    with SandboxProcess(Path(os.environ["AIRFLOW_HOME"], "unsealing")) as sandbox:
        register(sandbox, CONN_ID)
        seconds = measure()
    read = f"Variable read {milliseconds(seconds['read'])}"
    return [
        Row(f"Unsealing: {what}", read, milliseconds(seconds[name]), f"{ratio(seconds[name], seconds['read']):.2f}")
        for name, what in (("first", "first in a process (scrypt)"), ("later", "from then on"))
    ]
