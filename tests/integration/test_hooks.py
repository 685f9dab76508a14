"""``OAuthHook`` and the stock HTTP operators over real sockets: the sandbox, and a server that records its requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.providers.http.triggers.http import HttpTrigger

from airflow_provider_oauth.api import adapters
from airflow_provider_oauth.exceptions import (
    ApiError,
    ConsentRequired,
    InvalidClient,
    TokenRequestError,
    UnsupportedGrantType,
    WrongPassword,
)
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.protocol import endpoint
from airflow_provider_oauth.runtime import airflow_variables, masking, token_sources
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_oauth.exceptions import OAuthError
    from sandbox.server import Sandbox
    from tests.integration.recorder import Recorder


# An import in the HTTP provider causes it when a stock operator has received its response.
pytestmark = pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs` attribute")
#: Warnings of the stock trigger. As errors, they would prevent the requests that these tests try to send.
stock_trigger = [
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]

SECRET = "fake+secret/1%="
PASSWORD = "fake pass&word"
WIRE = {
    "standard": {"client_auth": "client_secret_basic", "body_format": "form"},
    "jsonbody": {"client_auth": "client_secret_post", "body_format": "json"},
    "multipart": {"client_auth": "client_secret_post", "body_format": "multipart"},
}


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Reset what other tests left in this process."""
    monkeypatch.setenv("AIRFLOW__OAUTH__LOCK_FOLDER", str(tmp_path / "locks"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    reset()
    yield
    adapters.shared_adapter(adapters.KeepAlive(120, 20, 30)).close()
    reset()


def reset() -> None:
    for clear in (token_sources._sources.clear, masking.reset, adapters._adapter.cache_clear):
        clear()


@pytest.fixture
def connect(define_connection: Callable[..., None], sandbox: Sandbox) -> Callable[..., None]:
    """Register a client and define the connection for it."""

    def define(
        conn_id: str,
        server: str = "standard",
        grant: str = "client_credentials",
        lifetime: int | None = None,
        **extra: Any,
    ) -> None:
        sandbox.state.add_client(
            server, conn_id, SECRET, scopes=["read", "write"], users={"ann": PASSWORD}, access_lifetime=lifetime
        )
        fields = {"login": conn_id, "password": SECRET, "grant_type": grant} | WIRE[server]
        fields |= {"host": f"{sandbox.url}/{server}/api", "grant_url": f"{sandbox.url}/{server}/token"}
        if grant == "password":
            fields |= {"username": "ann", "user_password": PASSWORD}
        if grant == "refresh_token" and "refresh_token" not in extra:
            fields["refresh_token"] = sandbox.state.issue_refresh_token(server, conn_id)
        define_connection(conn_id, **(fields | extra))

    return define


GRANTS = ["client_credentials", "password", "refresh_token"]


# --- end to end


@pytest.mark.parametrize(
    ("server", "grant"),
    [(server, grant) for server in ("standard", "jsonbody") for grant in GRANTS] + [("multipart", "password")],
)
def test_every_grant_gets_a_token_and_renews_it_after_a_401(
    connect: Callable[..., None], sandbox: Sandbox, variables: dict[str, str], server: str, grant: str
) -> None:
    connect("end_to_end", server, grant)
    hook = OAuthHook("end_to_end")
    assert hook.run("whoami").json()["client_id"] == "end_to_end"
    assert hook.run("items", {"page": 2}).json()["page"] == 2
    assert sandbox.state.counts()["end_to_end"]["token_requests"] == 1
    sandbox.state.revoke(server, "end_to_end", "access")
    assert hook.run("whoami").json()["username"] == ("ann" if grant == "password" else None)
    counts = sandbox.state.counts()["end_to_end"]
    assert counts["token_requests_by_grant"] == {grant: 2}
    assert (counts["api_401"], counts["refresh_reused"]) == (1, 0)


@pytest.mark.parametrize("grant", ["client_credentials", "refresh_token"])
def test_the_error_names_the_grant_type_if_the_server_does_not_support_it(
    connect: Callable[..., None], variables: dict[str, str], grant: str
) -> None:
    connect("unsupported", "multipart", grant, refresh_token="fake-refresh-token")
    with pytest.raises(UnsupportedGrantType, match="Grant type"):
        OAuthHook("unsupported").run("whoami")


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize("server", ["standard", "jsonbody"])
def test_rotated_refresh_tokens_are_stored_in_airflow_variables_and_used_once(
    connect: Callable[..., None], sandbox: Sandbox, server: str
) -> None:
    conn_id = f"rotation_{server}"
    connect(conn_id, server, "refresh_token", lifetime=40)
    texts = []
    for number in range(1, 6):
        reset()  # as in a new process, which has only the Variable
        hook = OAuthHook(conn_id)
        assert hook.run("whoami").json()["client_id"] == conn_id
        reset()
        assert OAuthHook(conn_id).run("whoami").json()["client_id"] == conn_id
        texts.append(airflow_variables.get_variable(f"oauth_token__{conn_id}"))
        assert json.loads(texts[-1])["generation"] == number
        sandbox.state.revoke(server, conn_id, "access")
    counts = sandbox.state.counts()[conn_id]
    assert counts["token_requests_by_grant"] == {"refresh_token": 5}
    assert counts["refresh_reused"] == 0
    assert len({json.loads(text)["nonce"] for text in texts}) == 5
    assert not any(issued in text for issued in sandbox.state.issued() for text in texts)


@pytest.mark.usefixtures("airflow_db")
def test_a_revoked_grant_requires_a_new_refresh_token_in_the_connection(
    connect: Callable[..., None], sandbox: Sandbox
) -> None:
    connect("revoked", grant="refresh_token")
    OAuthHook("revoked").run("whoami")
    sandbox.state.revoke("standard", "revoked")
    with pytest.raises(ConsentRequired, match="'revoked'"):
        OAuthHook("revoked").run("whoami")
    connect("revoked", grant="refresh_token")
    reset()
    assert OAuthHook("revoked").run("whoami").json()["client_id"] == "revoked"


def test_headers_parameters_and_scope_of_the_connection_arrive_at_the_api(
    connect: Callable[..., None], variables: dict[str, str]
) -> None:
    connect("arriving", api_headers={"X-Tenant": "7"}, api_params={"account": "a b"}, scope="read")
    seen = OAuthHook("arriving").run("whoami", {"page": "1"}).json()
    assert seen["query"] == {"page": "1", "account": "a b"}
    assert seen["headers"]["x-tenant"] == "7"
    assert seen["scope"] == "read"


@pytest.mark.parametrize(("password", "error"), [({"password": "wrong"}, InvalidClient), ({}, WrongPassword)])
def test_wrong_credentials_are_sent_once(
    connect: Callable[..., None],
    sandbox: Sandbox,
    variables: dict[str, str],
    password: dict[str, Any],
    error: type[OAuthError],
) -> None:
    connect("wrong", grant="password", user_password="wrong", **password)
    with pytest.raises(error):
        OAuthHook("wrong").run("whoami")
    assert sandbox.state.counts()["wrong"]["token_requests"] == 1


def test_test_connection_does_not_use_the_refresh_token(
    connect: Callable[..., None], sandbox: Sandbox, variables: dict[str, str]
) -> None:
    connect("tested", grant="refresh_token")
    for _ in range(2):
        works, text = OAuthHook("tested").test_connection()
        assert works, text
    assert variables == {}
    assert OAuthHook("tested").run("whoami").status_code == 200
    assert sandbox.state.counts()["tested"]["refresh_reused"] == 0


def test_a_403_does_not_renew_the_token(
    connect: Callable[..., None], sandbox: Sandbox, variables: dict[str, str]
) -> None:
    connect("forbidden")
    with pytest.raises(ApiError, match=r"^403.*lacks a scope"):
        OAuthHook("forbidden").run("admin")
    assert sandbox.state.counts()["forbidden"]["token_requests"] == 1


def test_after_a_401_a_post_is_repeated_with_its_body(
    connect: Callable[..., None], sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    connect("posting")
    hook = OAuthHook("posting", method="POST")
    OAuthHook("posting").run("whoami")
    sandbox.state.revoke("standard", "posting", "access")
    assert hook.run("items", json={"a": 1}).json() == {"a": 1}
    token_sources._sources.clear()  # as in a new process: each renews a refused token only once per minute
    sandbox.state.revoke("standard", "posting", "access")
    path = tmp_path / "body.json"
    path.write_text('{"b": 2}')
    with path.open("rb") as file:
        assert hook.run("items", file, {"Content-Type": "application/json"}).json() == {"b": 2}


# --- sockets


def test_64_new_hooks_use_one_connection_and_one_token(
    connect: Callable[..., None], api: Recorder, sandbox: Sandbox, variables: dict[str, str]
) -> None:
    connect("many", host=api.url)
    for number in range(64):
        OAuthHook("many").run(f"items/{number}")
    assert len(api.requests) == 64
    assert api.connections == 1
    assert sandbox.state.counts()["many"]["token_requests"] == 1


def test_the_stock_operator_uses_one_connection_for_all_pages_although_each_has_a_new_hook(
    connect: Callable[..., None], api: Recorder, variables: dict[str, str]
) -> None:
    connect("stock_pages", host=api.url)
    pages = iter(range(1, 10))
    operator = HttpOperator(
        task_id="stock",
        http_conn_id="stock_pages",
        method="GET",
        endpoint="items",
        pagination_function=lambda response: {"data": {"page": number}} if (number := next(pages, 0)) else None,
        response_filter=len,
    )
    assert operator.execute({}) == 10
    assert len(api.requests) == 10
    assert api.connections == 1


def test_closing_sessions_leaves_the_shared_connection_open(
    connect: Callable[..., None], api: Recorder, variables: dict[str, str]
) -> None:
    connect("closing", host=api.url)
    for _ in range(3):
        with OAuthHook("closing").get_conn() as session:
            session.get(f"{api.url}/items")
    assert api.connections == 1


def test_a_request_is_repeated_over_the_same_connection_after_a_401(
    connect: Callable[..., None], api: Recorder, variables: dict[str, str]
) -> None:
    connect("one_connection", host=api.url)
    api.responses["/items"] = [(401, {})]
    OAuthHook("one_connection").run("items", extra_options={"stream": True}).close()
    first, second = (headers["Authorization"] for _, _, headers, _ in api.requests)
    assert first != second
    assert api.connections == 1


# --- other origins


@pytest.mark.parametrize("status", [302, 307])
def test_nothing_from_the_connection_is_sent_after_a_redirect_to_another_origin(
    connect: Callable[..., None], api: Recorder, elsewhere: Recorder, variables: dict[str, str], status: int
) -> None:
    connect(
        "redirected",
        host=api.url,
        header_name="X-Session",
        api_headers={"X-Tenant": "7"},
        secret_headers={"X-Key": "fake-key"},
        secret_params={"key": "fake-param"},
    )
    api.responses["/moved"] = [(status, {"Location": f"{elsewhere.url}/landing"})]
    OAuthHook("redirected").run("moved", headers={"X-Mine": "stays"})
    sent, arrived = api.requests[0][2], elsewhere.requests[0]
    assert {"X-Session", "X-Tenant", "X-Key"} <= set(sent)
    assert arrived[1] == "/landing"
    assert arrived[2]["X-Mine"] == "stays"
    assert not {"x-session", "authorization", "x-tenant", "x-key"} & {name.lower() for name in arrived[2]}


def test_a_redirect_of_the_token_request_is_not_followed(
    connect: Callable[..., None], elsewhere: Recorder, sandbox: Sandbox, variables: dict[str, str]
) -> None:
    connect("moved_token")
    where = f"{elsewhere.url}/token"
    sandbox.state.inject_fault("standard", "token", status=307, headers={"Location": where})
    with pytest.raises(Exception, match="redirected"):
        OAuthHook("moved_token").run("whoami")
    assert elsewhere.requests == []


def test_a_netrc_entry_is_used_neither_for_the_api_nor_for_the_token_endpoint(
    connect: Callable[..., None],
    sandbox: Sandbox,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login fake-user password fake-netrc-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    connect("netrc")
    assert OAuthHook("netrc").run("whoami").status_code == 200
    assert OAuthHook("netrc").run("redirect", {"to": "whoami"}).json()["client_id"] == "netrc"
    assert sandbox.state.counts()["netrc"]["api_401"] == 0


# --- stock code that does not use the hook


def http_sensor(conn_id: str) -> None:
    HttpSensor(task_id="stock", http_conn_id=conn_id, endpoint="items").poke({})


def http_trigger(conn_id: str) -> None:
    """Run the trigger of the stock deferrable ``HttpOperator``: with Basic, because the connection has a login."""
    trigger = HttpTrigger(http_conn_id=conn_id, auth_type="aiohttp.helpers.BasicAuth", method="GET", endpoint="items")

    async def first_event() -> dict[str, Any]:
        return (await anext(trigger.run())).payload

    event = asyncio.run(first_event())
    if event["status"] == "error":
        raise ValueError(event["message"])


@pytest.mark.parametrize("action", [http_sensor, pytest.param(http_trigger, marks=stock_trigger)])
def test_stock_code_that_bypasses_the_hook_fails_before_anything_is_sent(
    connect: Callable[..., None], api: Recorder, variables: dict[str, str], action: Callable[[str], None]
) -> None:
    connect("bypassed", host=api.url)
    with pytest.raises(Exception, match=r"[Hh]eader|non-str|serialize"):
        action("bypassed")
    assert api.requests == []


@pytest.mark.parametrize("action", [http_sensor, pytest.param(http_trigger, marks=stock_trigger)])
def test_the_integer_leeway_is_what_makes_stock_code_fail(
    connect: Callable[..., None], api: Recorder, variables: dict[str, str], action: Callable[[str], None]
) -> None:
    connect("unprotected", host=api.url, leeway="60")
    action("unprotected")
    (_, _, headers, _) = api.requests[0]
    assert headers["Authorization"].startswith("Basic ")


# --- failures of the token endpoint


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The durations of the waits between token requests; no test waits for them."""
    clock = FakeClock(datetime.now(UTC))
    monkeypatch.setattr(endpoint, "Clock", lambda: clock)
    return clock.slept


def test_after_a_503_the_token_request_is_repeated(
    connect: Callable[..., None], sandbox: Sandbox, variables: dict[str, str], slept: list[float]
) -> None:
    connect("busy")
    sandbox.state.inject_fault("standard", "token", times=2, status=503, body="busy")
    assert OAuthHook("busy").run("whoami").status_code == 200
    assert sandbox.state.counts()["busy"]["token_requests"] == 3
    assert len(slept) == 2


def test_the_token_request_is_repeated_after_the_seconds_in_retry_after(
    connect: Callable[..., None], sandbox: Sandbox, variables: dict[str, str], slept: list[float]
) -> None:
    connect("busy_for_9_s")
    sandbox.state.inject_fault("standard", "token", status=429, headers={"Retry-After": "9"})
    assert OAuthHook("busy_for_9_s").run("whoami").status_code == 200
    assert len(slept) == 1
    assert 9 <= slept[0] < 20


def test_a_retry_after_beyond_the_exchange_timeout_is_not_waited_for(
    connect: Callable[..., None], sandbox: Sandbox, variables: dict[str, str], slept: list[float]
) -> None:
    connect("told_too_long")
    sandbox.state.inject_fault("standard", "token", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(TokenRequestError) as caught:
        OAuthHook("told_too_long").run("whoami")
    assert (caught.value.status_code, caught.value.retry_after, slept) == (429, 3600, [])


def test_after_a_dropped_connection_the_token_request_is_repeated(
    connect: Callable[..., None], sandbox: Sandbox, variables: dict[str, str], slept: list[float]
) -> None:
    connect("dropped")
    sandbox.state.inject_fault("standard", "token", drop=True)
    assert OAuthHook("dropped").run("whoami").status_code == 200
    assert sandbox.state.counts()["dropped"]["token_requests"] == 2


def test_a_response_beyond_the_exchange_timeout_is_not_waited_for(
    connect: Callable[..., None],
    sandbox: Sandbox,
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    slept: list[float],
) -> None:
    connect("slow")
    monkeypatch.setattr(endpoint, "EXCHANGE_TIMEOUT", 0.3)
    sandbox.state.inject_fault("standard", "token", times=9, delay=2.0)
    # If the hook waited for it, there would be a token and no error.
    with pytest.raises(TokenRequestError, match="no response from the token endpoint") as caught:
        OAuthHook("slow").run("whoami")
    assert caught.value.retryable


def test_a_lost_response_to_a_refresh_requires_consent(
    connect: Callable[..., None], sandbox: Sandbox, variables: dict[str, str], slept: list[float]
) -> None:
    connect("lost", grant="refresh_token")
    sandbox.state.inject_fault("standard", "token", drop=True, after_processing=True)
    with pytest.raises(ConsentRequired, match="'lost'"):
        OAuthHook("lost").run("whoami")
    noted = json.loads(variables["oauth_token__lost"])
    assert (noted["generation"], noted["refused"]["error"]["type"]) == (0, "ConsentRequired")


def test_a_token_without_a_lifetime_is_requested_once_for_each_request(
    connect: Callable[..., None], api: Recorder, sandbox: Sandbox, variables: dict[str, str]
) -> None:
    connect("one_use", host=f"http://127.0.0.1:{api.server_port}", lifetime=0)
    for _ in range(2):
        OAuthHook("one_use").run("items")
    assert len(api.requests) == 2
    assert sandbox.state.counts()["one_use"]["token_requests"] == 2


@pytest.mark.parametrize("length", ["Content-Length: 100000\r\n", ""])
@pytest.mark.parametrize("stops", [False, True])
def test_a_token_endpoint_that_responds_slowly_or_stalls_is_abandoned_in_time(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], length: str, stops: bool
) -> None:
    monkeypatch.setattr("airflow_provider_oauth.protocol.endpoint.EXCHANGE_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def dribble() -> None:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError):
                client.recv(65536)
                client.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
                while not stopped.is_set():
                    client.sendall(b" ")
                    stopped.wait(10 if stops else 0.02)

        stopped = threading.Event()
        thread = threading.Thread(target=dribble)
        thread.start()
        connect("dribble", grant_url=f"http://127.0.0.1:{server.getsockname()[1]}/token")
        try:
            works, text = OAuthHook("dribble").test_connection()
        finally:
            stopped.set()
            thread.join(10)
        assert not works
        assert "was not complete in time" in text or "timed out" in text  # depends on which timer is first
