"""What is added to API requests, what a refusal means, and what is sent after it with a real ``TokenSource``."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_oauth.api.policy import ApiAccess, ApiRefusal, api_refusal
from airflow_provider_oauth.api.requests_auth import OAuthSession
from airflow_provider_oauth.exceptions import TokenRequestError
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.tokens.source import API_RENEWAL_INTERVAL
from tests.connections import oauth_config
from tests.fake_clock import START

if TYPE_CHECKING:
    from requests_mock import Mocker
    from requests_mock.request import Request
    from requests_mock.response import Context

    from airflow_provider_oauth.tokens.record import Record
    from airflow_provider_oauth.tokens.source import TokenSource
    from tests.unit.tokens.world import World

URL = "https://api.test/items"
INVALID_TOKEN = 'Bearer realm="api", error="invalid_token", error_description="expired"'
INSUFFICIENT_SCOPE = 'Bearer error="insufficient_scope", scope="admin"'


@pytest.mark.parametrize(
    ("status", "challenge", "renew_on", "refusal"),
    [
        (401, "", (), ApiRefusal.INVALID_TOKEN),
        (401, 'Basic realm="api"', (), ApiRefusal.INVALID_TOKEN),
        (400, INVALID_TOKEN, (), ApiRefusal.INVALID_TOKEN),
        (403, INVALID_TOKEN, (), ApiRefusal.INVALID_TOKEN),
        (500, "Negotiate, bearer ERROR=invalid_token", (), ApiRefusal.INVALID_TOKEN),
        (403, "", (), ApiRefusal.FORBIDDEN),
        (403, 'Bearer error_description="error is invalid_token"', (), ApiRefusal.FORBIDDEN),
        (403, INSUFFICIENT_SCOPE, (), None),
        (403, "", (403, 400), ApiRefusal.INVALID_TOKEN),
        (400, "", (403, 400), ApiRefusal.INVALID_TOKEN),
        (400, 'Bearer error="invalid_request"', (403, 400), ApiRefusal.INVALID_TOKEN),
        (403, INSUFFICIENT_SCOPE, (403, 400), ApiRefusal.INVALID_TOKEN),
        (400, "", (403,), None),
        (404, 'Bearer realm="api"', (), None),
        (500, "", (), None),
        (200, INVALID_TOKEN, (), None),
        (302, INVALID_TOKEN, (), None),
    ],
)
def test_a_response_can_mean_an_invalid_token_a_missing_permission_or_neither(
    status: int, challenge: str, renew_on: tuple[int, ...], refusal: ApiRefusal | None
) -> None:
    assert api_refusal(status, challenge, renew_on) is refusal


# --- what is added

TOKEN = Token(access_token="fake-token", issued_at=START, expires_at=None, base_url="https://eu.api.test/v1")
DEFAULTS = CaseInsensitiveDict({"Accept": "*/*"})


def access(**changes: Any) -> ApiAccess:
    """Return the access of a connection; a token source is not necessary."""
    return ApiAccess(SimpleNamespace(config=oauth_config(base_url="https://api.test/v1", **changes)))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, {"X-Tenant": "7", "X-Key": "fake-key"}),
        ({"Accept": "*/*"}, {"X-Tenant": "7", "X-Key": "fake-key", "Accept": "text/plain"}),
        ({"accept": "text/html", "x-tenant": "8"}, {"X-Key": "fake-key"}),
        ({"authorization": "Basic fake"}, {"X-Tenant": "7", "X-Key": "fake-key"}),
    ],
)
def test_headers_of_the_connection_are_set_unless_the_caller_sets_them_and_the_token_always(
    headers: dict[str, str], expected: dict[str, str]
) -> None:
    connection = access(api_headers={"X-Tenant": "7", "Accept": "text/plain"}, secret_headers={"X-Key": "fake-key"})
    to_set = connection.headers_to_set(CaseInsensitiveDict(headers), DEFAULTS, TOKEN)
    assert to_set == expected | {"Authorization": "Bearer fake-token"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"api_headers": {"authorization": "Basic fake"}}, [("Authorization", "Bearer fake-token")]),
        (
            {"api_headers": {"X-A": "1"}, "secret_headers": {"x-a": "2"}},
            [("X-A", "1"), ("Authorization", "Bearer fake-token")],
        ),
        (
            {"header_name": "X-Session", "api_headers": {"x-session": "fake"}},
            [("X-Session", "Bearer fake-token")],
        ),
    ],
)
def test_no_header_is_set_twice_in_different_case(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert list(access(**fields).headers_to_set(CaseInsensitiveDict(), DEFAULTS, TOKEN).items()) == expected


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({"auth_scheme": "Token"}, ("Authorization", "Token fake-token")),
        ({"auth_scheme": ""}, ("Authorization", "fake-token")),
        ({"header_name": "X-Session"}, ("X-Session", "Bearer fake-token")),
    ],
)
def test_the_connection_determines_name_and_scheme_of_the_token_header(
    fields: dict[str, Any], header: tuple[str, str]
) -> None:
    assert access(**fields).token_header(TOKEN) == header


def test_parameters_of_the_connection_are_missing_unless_the_url_has_them() -> None:
    connection = access(api_params={"page": 1, "ids": [1, "b"], "none": None}, secret_params={"key": "fake key"})
    assert connection.missing_params(URL, TOKEN) == [("page", "1"), ("ids", "1"), ("ids", "b"), ("key", "fake key")]
    assert connection.missing_params(f"{URL}?page=&ids=2", TOKEN) == [("key", "fake key")]


@pytest.mark.parametrize(
    ("url", "is_of_api", "is_of_mapped_api"),
    [
        ("https://api.test/other", True, False),
        ("https://API.test:443/v1", True, False),
        ("https://eu.api.test/v1/items", False, True),
        ("http://api.test/v1", False, False),
        ("https://api.test:8443/v1", False, False),
    ],
)
def test_a_url_of_the_api_has_the_origin_of_the_base_url(url: str, is_of_api: bool, is_of_mapped_api: bool) -> None:
    assert access().is_api_url(url, TOKEN) is is_of_api
    assert access(response_map={"base_url": "instance_url"}).is_api_url(url, TOKEN) is is_of_mapped_api


# --- what is sent


class Api:
    """An API that accepts the tokens in ``accepted`` and responds to others with ``refusal``; it records the tokens."""

    def __init__(self) -> None:
        self.accepted = {"token-1"}
        self.refusal: tuple[int, dict[str, str]] = (401, {})
        self.tokens: list[str] = []

    def response(self, request: Request, context: Context) -> str:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.tokens.append(token)
        if token not in self.accepted:
            context.status_code, headers = self.refusal
            context.headers.update(headers)
        return f"for {token}"


@pytest.fixture
def api(requests_mock: Mocker) -> Api:
    api = Api()
    requests_mock.get(URL, text=api.response)
    return api


def session(source: TokenSource) -> OAuthSession:
    return OAuthSession(ApiAccess(source))


def rotated(world: World) -> TokenSource:
    """Return a process that has token-1 after another process has renewed it."""
    process, other = world.process(), world.process()
    process.token()
    world.clock.seconds = 800
    other.token()
    world.clock.seconds = 700  # the first process still has a valid token
    assert world.endpoint.requests == [("grant", None)] * 2
    return process


def test_after_a_403_the_request_is_repeated_once_with_a_newer_stored_token(world: World, api: Api) -> None:
    """Django OAuth Toolkit responds with 403 to a token that a renewal in another process has revoked."""
    process = rotated(world)
    api.accepted, api.refusal = {"token-2"}, (403, {})
    assert session(process).get(URL).status_code == 200
    assert session(process).get(URL).status_code == 200
    assert api.tokens == ["token-1", "token-2", "token-2"]
    assert len(world.endpoint.requests) == 2, "no token request was sent"


def test_a_403_is_returned_without_a_token_request_if_no_newer_token_is_stored(world: World, api: Api) -> None:
    process = world.process()
    api.accepted, api.refusal = set(), (403, {})
    assert [session(process).get(URL).text for _ in range(2)] == ["for token-1"] * 2
    assert api.tokens == ["token-1", "token-1"]
    assert world.endpoint.requests == [("grant", None)]


def test_a_403_to_the_newer_token_is_returned(world: World, api: Api) -> None:
    process = rotated(world)
    api.accepted, api.refusal = set(), (403, {})
    response = session(process).get(URL)
    assert (response.status_code, response.text) == (403, "for token-2")
    assert [earlier.status_code for earlier in response.history] == [403]
    assert api.tokens == ["token-1", "token-2"]


def test_after_a_403_with_insufficient_scope_nothing_is_read_or_repeated(world: World, api: Api) -> None:
    process = rotated(world)
    reads = world.store.reads
    api.accepted, api.refusal = set(), (403, {"WWW-Authenticate": INSUFFICIENT_SCOPE})
    assert session(process).get(URL).status_code == 403
    assert api.tokens == ["token-1"]
    assert world.store.reads == reads


def test_a_403_is_returned_if_the_store_cannot_be_read_and_the_failure_is_logged(
    world: World, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    process = world.process()
    process.token()
    world.store.failing_reads = 1
    api.accepted, api.refusal = set(), (403, {})
    assert session(process).get(URL).status_code == 403
    assert "the Variable cannot be read" in caplog.text


@pytest.mark.parametrize("refusal", [(401, {}), (400, {"WWW-Authenticate": INVALID_TOKEN}), (419, {})])
def test_a_refused_token_is_renewed_and_the_request_repeated(
    world: World, api: Api, refusal: tuple[int, dict[str, str]]
) -> None:
    process = world.process(renew_on=(419,))
    api.accepted, api.refusal = {"token-2"}, refusal
    assert session(process).get(URL).text == "for token-2"
    assert api.tokens == ["token-1", "token-2"]
    assert world.endpoint.requests == [("grant", None)] * 2


def test_after_a_401_a_newer_stored_token_is_used_before_one_is_requested(world: World, api: Api) -> None:
    process = rotated(world)
    api.accepted = {"token-2"}
    assert session(process).get(URL).status_code == 200
    assert len(world.endpoint.requests) == 2


def test_a_process_renews_a_refused_token_once_in_60_s_and_returns_the_refused_response_until_then(
    world: World, api: Api
) -> None:
    process = world.process()
    api.accepted = set()
    statuses = []
    for second in range(0, 181, 5):
        world.clock.seconds = second
        statuses.append(session(process).get(URL).status_code)
    assert set(statuses) == {401}
    assert world.endpoint.requests == [("grant", None)] * (1 + 4), (
        "the first token, and renewals at 0, 60, 120 and 180 s"
    )


def test_the_next_request_of_a_session_renews_again_only_after_60_s(world: World, api: Api) -> None:
    one = session(world.process())
    api.accepted = {"token-2"}
    assert one.get(URL).text == "for token-2"
    api.accepted = {"token-3"}
    world.clock.seconds = API_RENEWAL_INTERVAL - 1
    assert one.get(URL).status_code == 401
    world.clock.seconds = API_RENEWAL_INTERVAL
    assert one.get(URL).text == "for token-3"
    assert api.tokens == ["token-1", "token-2", "token-2", "token-2", "token-3"]


def test_within_the_60_s_a_newer_stored_token_is_used(world: World, api: Api) -> None:
    process = world.process()
    api.accepted = {"token-2"}
    session(process).get(URL)
    other = world.process()
    other.token()
    other.renew()
    api.accepted = {"token-3"}
    assert session(process).get(URL).text == "for token-3"


def test_a_failed_renewal_does_not_start_the_60_s(world: World, api: Api) -> None:
    process = world.process()
    process.token()
    api.accepted = {"token-3"}
    world.endpoint.errors = [TokenRequestError("busy")]
    with pytest.raises(TokenRequestError):
        session(process).get(URL)
    assert session(process).get(URL).text == "for token-3"


def test_a_due_renewal_is_not_delayed_by_one_after_a_refusal(world: World, api: Api) -> None:
    process = world.process()
    api.accepted = {"token-2", "token-3"}
    world.endpoint.lifetime = 40
    session(process).get(URL)
    world.clock.seconds = 39
    assert session(process).get(URL).text == "for token-3"


def test_tokens_of_other_scopes_are_renewed_independently(world: World) -> None:
    process = world.process()
    refused = [process.token(scope) for scope in ("a", "b")]
    assert all(process.replacement(token, scope, renew=True) for token, scope in zip(refused, ("a", "b"), strict=True))
    assert [scope for _, scope in world.endpoint.requests] == ["a", "b", "a", "b"]


def test_the_60_s_are_counted_for_each_scope(world: World) -> None:
    process = world.process()
    for scope in ("a", "b"):
        assert process.replacement(process.token(scope), scope, renew=True)
    assert process.replacement(process.token("a"), "a", renew=True) is None
    assert process.replacement(process.token(), renew=True)
    assert [scope for _, scope in world.endpoint.requests] == ["a", "a", "b", "b", None, None]


def test_a_stored_token_does_not_replace_one_that_another_thread_has_renewed_meanwhile(world: World) -> None:
    process = world.process()
    refused = process.token()
    world.process().renew()
    record, read = world.store.record, world.store.read

    def another_thread_renews() -> Record | None:
        world.store.read = read
        process.renew()
        return record

    world.store.read = another_thread_renews
    assert process.replacement(refused, renew=False).access_token == "token-2"
    assert process.token().access_token == "token-3"


def test_a_stored_token_is_masked_before_it_is_sent(world: World, api: Api) -> None:
    process = rotated(world)
    world.masked.clear()
    api.accepted, api.refusal = {"token-2"}, (403, {})
    session(process).get(URL)
    assert "token-2" in world.masked


def test_a_record_of_another_connection_provides_no_token(world: World, api: Api) -> None:
    process = rotated(world)
    world.store.record = replace(world.store.record, readable=False)
    api.accepted, api.refusal = {"token-2"}, (403, {})
    assert session(process).get(URL).status_code == 403
    assert api.tokens == ["token-1"]
