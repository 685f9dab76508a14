"""What a 403 of the APIs means."""

from __future__ import annotations

import pytest

from airflow_provider_oauth.exceptions import ApiError
from tests.servers.steps import authorize, call


def statuses(server):
    return [event["status"] for event in server.events("api")]


def test_a_missing_scope_sends_no_token_request(connect, server):
    authorize(connect(server, "app"))
    server.forget()
    with pytest.raises(ApiError) as refused:
        call("admin")
    assert refused.value.status_code == 403
    assert (statuses(server), server.events("token")) == ([403], [])
