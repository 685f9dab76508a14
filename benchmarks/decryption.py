"""The time to decrypt a stored record: the first time in a process, with scrypt, and later."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.runtime import airflow_variables
from airflow_provider_oauth.runtime.record_codec import RecordCodec
from benchmarks.client import register
from benchmarks.measuring import Row, in_turns, milliseconds, ratio
from sandbox.server import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Callable

CONN_ID = "decryption"
ROUNDS = 21


def measure() -> dict[str, list[float]]:
    """Return the processor seconds to decrypt a record and to read its Variable."""
    hook = OAuthHook(CONN_ID)
    hook.get_token()
    used = RecordCodec(hook.config, "the record")
    name = airflow_variables.variable_name("oauth_token__", CONN_ID)
    text = airflow_variables.get_variable(name)
    assert text
    record = used.decode(text)
    assert record.readable
    calls: dict[str, Callable[[], object]] = {
        "first": lambda: RecordCodec(hook.config, "the record").decode(text),
        "later": partial(used.decode, text),
        "read": partial(airflow_variables.get_variable, name),
    }
    first = in_turns({"first": calls.pop("first")}, times=1, rounds=ROUNDS, clock=time.process_time)
    return first | in_turns(calls, times=50, rounds=ROUNDS, clock=time.process_time)


def rows() -> list[Row]:
    """Return the rows of the table."""
    with SandboxProcess(Path(os.environ["AIRFLOW_HOME"], "decryption")) as sandbox:
        register(sandbox, CONN_ID)
        seconds = measure()
    read = f"reading a Variable {milliseconds(seconds['read'])}"
    return [
        Row(f"Decryption: {label}", read, milliseconds(seconds[name]), f"{ratio(seconds[name], seconds['read']):.2f}")
        for name, label in (("first", "first in a process (scrypt)"), ("later", "later"))
    ]
