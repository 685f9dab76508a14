from __future__ import annotations

import subprocess
import sys


def test_a_task_that_finds_a_token_in_the_store_does_not_import_pyjwt() -> None:
    """Importing it takes as long as importing this whole package, and only token requests and key files need it."""
    code = (
        "import sys, airflow_provider_oauth.operators.oauth, airflow_provider_oauth.runtime.token_sources\n"
        "print(sorted({'jwt', 'airflow_provider_oauth.protocol.signing_keys'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "[]\n"
