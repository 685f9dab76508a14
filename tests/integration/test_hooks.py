"""``OAuthHook`` and the stock HTTP operators over real sockets: the sandbox, and a server that notes all it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from datetime import UTC, datetime

import pytest
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.providers.http.triggers.http import HttpTrigger

from airflow_provider_oauth.exceptions import (
    ApiError,
    ConsentRequired,
    InvalidClient,
    TokenRequestError,
    UnsupportedGrantType,
    WrongPassword,
)
from airflow_provider_oauth.hooks import oauth as hooks_oauth
from airflow_provider_oauth.hooks.oauth import OAuthHook
from airflow_provider_oauth.protocol import endpoint
from airflow_provider_oauth.runtime import airflow_variables, masking, token_sources
from tests.fake_clock import FakeClock

# The HTTP provider's own import, when a stock operator has its response.
pytestmark = pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs` attribute")
#: And what its trigger uses of aiohttp: as an error it would stop what these tests want to see stopped by ours.
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
def fresh_process(monkeypatch, tmp_path):
    """Forget what other tests left, as a new process would."""
    monkeypatch.setenv("AIRFLOW__OAUTH__LOCK_FOLDER", str(tmp_path / "locks"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    forget()
    yield
    hooks_oauth._shared_adapter(hooks_oauth.os.getpid(), (120, 20, 30)).close()
    forget()


def forget():
    for clear in (token_sources._sources.clear, masking.reset, hooks_oauth._shared_adapter.cache_clear):
        clear()


@pytest.fixture
def connect(define_connection, sandbox):
    """Register a client and define the connection for it."""

    def define(conn_id, server="standard", grant="client_credentials", lifetime=None, **extra):
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
def test_a_grant_gets_a_token_calls_the_api_and_renews_after_a_401(connect, sandbox, variables, server, grant):
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
def test_a_grant_that_the_server_does_not_know_is_named(connect, variables, grant):
    connect("unsupported", "multipart", grant, refresh_token="fake-refresh-token")
    with pytest.raises(UnsupportedGrantType, match="Grant type"):
        OAuthHook("unsupported").run("whoami")


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize("server", ["standard", "jsonbody"])
def test_a_refresh_token_is_followed_through_its_rotations_in_airflows_own_variables(connect, sandbox, server):
    conn_id = f"rotation_{server}"
    connect(conn_id, server, "refresh_token", lifetime=40)
    texts = []
    for number in range(1, 6):
        forget()  # a new process, that knows no more than the Variable
        hook = OAuthHook(conn_id)
        assert hook.run("whoami").json()["client_id"] == conn_id
        forget()
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
def test_a_revoked_grant_asks_for_consent_and_a_new_refresh_token_in_the_connection_mends_it(connect, sandbox):
    connect("revoked", grant="refresh_token")
    OAuthHook("revoked").run("whoami")
    sandbox.state.revoke("standard", "revoked")
    with pytest.raises(ConsentRequired, match="'revoked'"):
        OAuthHook("revoked").run("whoami")
    connect("revoked", grant="refresh_token")
    forget()
    assert OAuthHook("revoked").run("whoami").json()["client_id"] == "revoked"


def test_what_the_api_gets_is_what_the_connection_says(connect, variables):
    connect("said", api_headers={"X-Tenant": "7"}, api_params={"account": "a b"}, scope="read")
    seen = OAuthHook("said").run("whoami", {"page": "1"}).json()
    assert seen["query"] == {"page": "1", "account": "a b"}
    assert seen["headers"]["x-tenant"] == "7"
    assert seen["scope"] == "read"


@pytest.mark.parametrize(("password", "error"), [({"password": "wrong"}, InvalidClient), ({}, WrongPassword)])
def test_wrong_credentials_are_sent_once(connect, sandbox, variables, password, error):
    connect("wrong", grant="password", user_password="wrong", **password)
    with pytest.raises(error):
        OAuthHook("wrong").run("whoami")
    assert sandbox.state.counts()["wrong"]["token_requests"] == 1


def test_the_test_of_a_connection_leaves_the_refresh_token_good(connect, sandbox, variables):
    connect("tested", grant="refresh_token")
    for _ in range(2):
        works, said = OAuthHook("tested").test_connection()
        assert works, said
    assert variables == {}
    assert OAuthHook("tested").run("whoami").status_code == 200
    assert sandbox.state.counts()["tested"]["refresh_reused"] == 0


def test_a_403_does_not_renew(connect, sandbox, variables):
    connect("forbidden")
    with pytest.raises(ApiError, match=r"^403.*lacks a scope"):
        OAuthHook("forbidden").run("admin")
    assert sandbox.state.counts()["forbidden"]["token_requests"] == 1


def test_a_post_is_repeated_with_its_body_after_a_401(connect, sandbox, variables, tmp_path):
    connect("posting")
    hook = OAuthHook("posting", method="POST")
    OAuthHook("posting").run("whoami")
    sandbox.state.revoke("standard", "posting", "access")
    assert hook.run("items", json={"a": 1}).json() == {"a": 1}
    token_sources._sources.clear()  # as in another process: one renews once a minute because of the API
    sandbox.state.revoke("standard", "posting", "access")
    path = tmp_path / "body.json"
    path.write_text('{"b": 2}')
    with path.open("rb") as file:
        assert hook.run("items", file, {"Content-Type": "application/json"}).json() == {"b": 2}


# --- sockets


def test_64_new_hooks_use_one_connection_and_one_token(connect, api, sandbox, variables):
    connect("many", host=api.url)
    for number in range(64):
        OAuthHook("many").run(f"items/{number}")
    assert len(api.requests) == 64
    assert api.connections == 1
    assert sandbox.state.counts()["many"]["token_requests"] == 1


def test_the_stock_operator_uses_one_connection_for_all_pages_though_it_makes_a_hook_a_page(connect, api, variables):
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


def test_sessions_that_are_closed_leave_the_shared_connection_open(connect, api, variables):
    connect("closing", host=api.url)
    for _ in range(3):
        with OAuthHook("closing").get_conn() as session:
            session.get(f"{api.url}/items")
    assert api.connections == 1


def test_a_401_and_its_repetition_use_one_connection(connect, api, variables):
    connect("one_connection", host=api.url)
    api.answers["/items"] = [(401, {})]
    OAuthHook("one_connection").run("items", extra_options={"stream": True}).close()
    first, second = (headers["Authorization"] for _, _, headers, _ in api.requests)
    assert first != second
    assert api.connections == 1


# --- who gets what


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_another_origin_carries_nothing_of_the_connections(connect, api, elsewhere, variables, status):
    connect(
        "redirected",
        host=api.url,
        header_name="X-Session",
        api_headers={"X-Tenant": "7"},
        secret_headers={"X-Key": "fake-key"},
        secret_params={"key": "fake-param"},
    )
    api.answers["/moved"] = [(status, {"Location": f"{elsewhere.url}/landing"})]
    OAuthHook("redirected").run("moved", headers={"X-Mine": "stays"})
    sent, arrived = api.requests[0][2], elsewhere.requests[0]
    assert {"X-Session", "X-Tenant", "X-Key"} <= set(sent)
    assert arrived[1] == "/landing"
    assert arrived[2]["X-Mine"] == "stays"
    assert not {"x-session", "authorization", "x-tenant", "x-key"} & {name.lower() for name in arrived[2]}


def test_a_redirect_of_the_token_request_is_not_followed(connect, elsewhere, sandbox, variables):
    connect("moved_token")
    where = f"{elsewhere.url}/token"
    sandbox.state.inject_fault("standard", "token", status=307, headers={"Location": where})
    with pytest.raises(Exception, match="redirected"):
        OAuthHook("moved_token").run("whoami")
    assert elsewhere.requests == []


def test_a_netrc_entry_is_used_for_neither_api_nor_token_endpoint(connect, sandbox, variables, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login fake-user password fake-netrc-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    connect("netrc")
    assert OAuthHook("netrc").run("whoami").status_code == 200
    assert OAuthHook("netrc").run("redirect", {"to": "whoami"}).json()["client_id"] == "netrc"
    assert sandbox.state.counts()["netrc"]["api_401"] == 0


# --- stock code that does not use our hook


def http_sensor(conn_id):
    HttpSensor(task_id="stock", http_conn_id=conn_id, endpoint="items").poke({})


def http_trigger(conn_id):
    """As the stock deferrable ``HttpOperator`` has it: Basic, because the connection has a login."""
    trigger = HttpTrigger(http_conn_id=conn_id, auth_type="aiohttp.helpers.BasicAuth", method="GET", endpoint="items")

    async def first_event():
        return (await anext(trigger.run())).payload

    event = asyncio.run(first_event())
    if event["status"] == "error":
        raise ValueError(event["message"])


@pytest.mark.parametrize("action", [http_sensor, pytest.param(http_trigger, marks=stock_trigger)])
def test_stock_code_that_bypasses_our_hook_fails_before_anything_is_sent(connect, api, variables, action):
    connect("bypassed", host=api.url)
    with pytest.raises(Exception, match=r"[Hh]eader|non-str|serialize"):
        action("bypassed")
    assert api.requests == []


@pytest.mark.parametrize("action", [http_sensor, pytest.param(http_trigger, marks=stock_trigger)])
def test_it_is_the_integer_leeway_that_stops_it(connect, api, variables, action):
    connect("unprotected", host=api.url, leeway="60")
    action("unprotected")
    (_, _, headers, _) = api.requests[0]
    assert headers["Authorization"].startswith("Basic ")


# --- the token endpoint in trouble


@pytest.fixture
def slept(monkeypatch):
    """The durations of the waits between token requests; no test waits for them."""
    clock = FakeClock(datetime.now(UTC))
    monkeypatch.setattr(endpoint, "Clock", lambda: clock)
    return clock.slept


def test_a_503_is_tried_again(connect, sandbox, variables, slept):
    connect("busy")
    sandbox.state.inject_fault("standard", "token", times=2, status=503, body="busy")
    assert OAuthHook("busy").run("whoami").status_code == 200
    assert sandbox.state.counts()["busy"]["token_requests"] == 3
    assert len(slept) == 2


def test_retry_after_is_waited_for(connect, sandbox, variables, slept):
    connect("told")
    sandbox.state.inject_fault("standard", "token", status=429, headers={"Retry-After": "9"})
    assert OAuthHook("told").run("whoami").status_code == 200
    assert len(slept) == 1
    assert 9 <= slept[0] < 20


def test_a_retry_after_beyond_the_exchange_timeout_ends_it(connect, sandbox, variables, slept):
    connect("told_too_long")
    sandbox.state.inject_fault("standard", "token", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(TokenRequestError) as caught:
        OAuthHook("told_too_long").run("whoami")
    assert (caught.value.status_code, caught.value.retry_after, slept) == (429, 3600, [])


def test_a_dropped_connection_is_tried_again(connect, sandbox, variables, slept):
    connect("dropped")
    sandbox.state.inject_fault("standard", "token", drop=True)
    assert OAuthHook("dropped").run("whoami").status_code == 200
    assert sandbox.state.counts()["dropped"]["token_requests"] == 2


def test_an_answer_beyond_the_exchange_timeout_is_not_waited_for(connect, sandbox, variables, monkeypatch, slept):
    connect("slow")
    monkeypatch.setattr(endpoint, "EXCHANGE_TIMEOUT", 0.3)
    sandbox.state.inject_fault("standard", "token", times=9, delay=2.0)
    # If it were waited for, there would be a token and no error.
    with pytest.raises(TokenRequestError, match="no response from the token endpoint") as caught:
        OAuthHook("slow").run("whoami")
    assert caught.value.retryable


def test_a_lost_answer_to_a_refresh_is_told_as_what_it_is(connect, sandbox, variables, slept):
    connect("lost", grant="refresh_token")
    sandbox.state.inject_fault("standard", "token", drop=True, after_processing=True)
    with pytest.raises(ConsentRequired, match="'lost'"):
        OAuthHook("lost").run("whoami")
    noted = json.loads(variables["oauth_token__lost"])
    assert (noted["generation"], noted["refused"]["error"]["type"]) == (0, "ConsentRequired")


def test_a_token_good_for_one_use_is_asked_for_once_a_request(connect, api, sandbox, variables):
    connect("one_use", host=f"http://127.0.0.1:{api.server_port}", lifetime=0)
    for _ in range(2):
        OAuthHook("one_use").run("items")
    assert len(api.requests) == 2
    assert sandbox.state.counts()["one_use"]["token_requests"] == 2


@pytest.mark.parametrize("length", ["Content-Length: 100000\r\n", ""])
@pytest.mark.parametrize("stops", [False, True])
def test_a_token_endpoint_that_dribbles_or_stops_is_given_up_in_time(connect, monkeypatch, variables, length, stops):
    monkeypatch.setattr("airflow_provider_oauth.protocol.endpoint.EXCHANGE_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def dribble():
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
            works, said = OAuthHook("dribble").test_connection()
        finally:
            stopped.set()
            thread.join(10)
        assert not works
        assert "was not complete in time" in said or "timed out" in said  # whichever timer is the first
