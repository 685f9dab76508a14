"""Extracts do not mix the rows of two accounts that the callback distinguishes, such as two companies."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError
from airflow_provider_oauth.extract.incremental import Incremental
from airflow_provider_oauth.extract.paginators import PageNumberPaginator
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime import token_sources
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.tokens.record import Record
from tests.unit.operators.task_runs import context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from requests_mock import Mocker

API = "https://api.example.com/v1"
NOW = datetime.now(UTC)
RECORD = Record(
    generation=1,
    nonce="n",
    tokens={"": Token(access_token="fake-access", issued_at=NOW, expires_at=NOW + timedelta(days=1))},
    refresh_token="fake-refresh",
)
#: How a connection can tell the API the company.
PLACES: list[tuple[str, dict[str, Any]]] = [
    ("{realm_id}/rows", {}),
    ("rows?company={realm_id}", {}),
    ("rows", {"api_headers": {"X-Company": "{realm_id}"}}),
    ("rows", {}),
]


@pytest.fixture(autouse=True)
def variables(variables: dict[str, str]) -> dict[str, str]:
    return variables


@pytest.fixture
def authorize(define_connection: Callable[..., None]) -> Callable[..., None]:
    """Define a connection that a user has authorized for a company."""

    def define(realm_id: str, **fields: Any) -> None:
        token_sources._sources.clear()
        define_connection(
            "my_api", host=API, grant_type="authorization_code", callback_map="realm_id=realmId", **fields
        )
        VariableTokenStore(OAuthHook("my_api").config).write(replace(RECORD, callback={"realmId": realm_id}))

    return define


@pytest.mark.parametrize(("endpoint", "fields"), PLACES)
def test_a_mark_is_not_continued_with_the_rows_of_another_company(
    authorize: Callable[..., None], requests_mock: Mocker, tmp_path: Path, endpoint: str, fields: dict[str, Any]
) -> None:
    row = {"id": 1, "updated": "2026-05-01T10:00:00Z"}
    requests_mock.get(f"{API}/rows", json=[row])
    requests_mock.get(f"{API}/1/rows", json=[row])

    def run(number: int) -> None:
        task = OAuthExtractOperator(
            task_id="contacts",
            oauth_conn_id="my_api",
            endpoint=endpoint,
            incremental=Incremental(field="updated", param="since", initial="2024-01-01T00:00:00Z"),
            path=f"{tmp_path}/{{{{ run_id }}}}.jsonl",
        )
        task.render_template_fields(context(number))
        task.execute(context(number))

    authorize("1", **fields)
    run(1)
    run(2)
    authorize("2", **fields)
    with pytest.raises(ConfigurationError, match="These parts have changed: account.realm_id. Change them back"):
        run(3)
    authorize("1", **fields)
    run(4)


@pytest.mark.parametrize(("endpoint", "fields"), PLACES)
def test_a_retry_does_not_continue_the_list_of_another_company(
    authorize: Callable[..., None], requests_mock: Mocker, tmp_path: Path, endpoint: str, fields: dict[str, Any]
) -> None:
    is_broken, company = True, "1"

    def respond(request: Any, response: Any) -> Any:
        page = int(request.qs["page"][0])
        if is_broken and page == 3:
            response.status_code = 500
        return [{"company": company, "page": page}] * (2 if page < 3 else 1)

    for path in ("rows", "1/rows", "2/rows"):
        requests_mock.get(f"{API}/{path}", json=respond)
    task = OAuthExtractOperator(
        task_id="contacts",
        oauth_conn_id="my_api",
        endpoint=endpoint,
        paginator=PageNumberPaginator(size_param="size", size=2),
        path=f"{tmp_path}/rows/",
        part_rows=2,
    )
    authorize("1", **fields)
    with pytest.raises(ApiError):
        task.execute(context())
    is_broken, company = False, "2"
    authorize("2", **fields)
    task.execute(context(try_number=2))

    parts = json.loads((tmp_path / "rows" / "_manifest.json").read_text())["parts"]
    text = b"".join(gzip.decompress((tmp_path / "rows" / part["name"]).read_bytes()) for part in parts)
    assert [json.loads(line)["company"] for line in text.splitlines()] == ["2"] * 5
