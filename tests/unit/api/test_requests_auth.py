"""Which requests contain the token, and what happens after a 401."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests_mock import ANY

from airflow_provider_oauth.api.additions import origin
from airflow_provider_oauth.api.policy import ApiAccess
from airflow_provider_oauth.api.requests_auth import OAuthSession
from airflow_provider_oauth.exceptions import ApiConnectTimeout, TokenRequestError
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.token import Token
from tests.connections import oauth_config
from tests.reports import Reports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from requests_mock import Mocker
    from requests_mock.request import Request
    from requests_mock.response import Context

    from airflow_provider_oauth.protocol.config import OAuthConfig

START = datetime(2026, 1, 1, tzinfo=UTC)
API = "https://api.example.com/v1"
ELSEWHERE = "https://elsewhere.example.net/landing"


class FakeSource:
    """Provides fake-token-1, and the next one after each refusal."""

    def __init__(self, config: OAuthConfig, base_url: str | None = None) -> None:
        self.config = config
        self.base_url = base_url
        self.number = 1
        self.scopes: list[str | None] = []
        self.report = Reports()
        self.renewals = 0

    def replacement(self, refused: Token, scope: str | None = None, *, renew: bool) -> Token | None:
        if refused.access_token != f"fake-token-{self.number}":
            return self.token(scope)
        if not renew:
            return None
        self.renewals += 1
        self.number += 1
        return self.token(scope)

    def token(self, scope: str | None = None) -> Token:
        self.scopes.append(scope)
        return Token(
            access_token=f"fake-token-{self.number}",
            issued_at=START,
            expires_at=START + timedelta(hours=1),
            base_url=self.base_url,
        )


config = partial(oauth_config, conn_id="my_api", base_url=API)


def session_for(source: FakeSource | None = None, scope: str | None = None, **changes: Any) -> OAuthSession:
    return OAuthSession(ApiAccess(source or FakeSource(config(**changes)), scope))


@pytest.fixture(autouse=True)
def no_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


# --- the header


def test_the_token_is_sent_in_the_authorization_header_of_a_request_to_the_api(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session_for().get(f"{API}/items")
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-1"


def test_the_token_is_requested_with_the_scope_of_the_access(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    source = FakeSource(config())
    session_for(source, scope="write").get(f"{API}/items")
    assert set(source.scopes) == {"write"}


def test_the_connection_can_rename_the_header_and_its_scheme(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session_for(auth_scheme="Token", header_name="X-Session").get(f"{API}/items")
    assert requests_mock.last_request.headers["X-Session"] == "Token fake-token-1"
    assert "Authorization" not in requests_mock.last_request.headers


def test_an_empty_scheme_sends_the_token_alone(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session_for(auth_scheme="").get(f"{API}/items")
    assert requests_mock.last_request.headers["Authorization"] == "fake-token-1"


def test_the_token_replaces_an_authorization_header_of_the_caller(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session_for().get(f"{API}/items", headers={"authorization": "Basic fake"})
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-1"


# --- the origin


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/",
        "https://api.example.com/other/path",
        "https://api.example.com:443/v1/items",
        "HTTPS://API.Example.COM/v1/items",
        "https://api.example.com?only=query",
    ],
)
def test_the_token_is_sent_to_every_url_of_the_api_origin(requests_mock: Mocker, url: str) -> None:
    requests_mock.get(ANY)
    session_for().get(url)
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-1"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1/items",
        "https://api.example.com:8443/v1/items",
        "https://api.example.com.evil.example/v1/items",
        "https://example.com/v1/items",
        "https://sub.api.example.com/v1/items",
        "https://elsewhere.example.net/?https://api.example.com/v1",
        "https://elsewhere.example.net/#@api.example.com/v1",
        "https://api.example.com@elsewhere.example.net/v1",
        "https://elsewhere.example.net\\@api.example.com/v1",
    ],
)
def test_nothing_from_the_connection_is_sent_to_another_origin(requests_mock: Mocker, url: str) -> None:
    requests_mock.get(ANY)
    session = session_for(
        api_headers={"X-Tenant": "fake-tenant"},
        secret_headers={"X-Key": "fake-key"},
        api_params={"account": "fake-account"},
        secret_params={"key": "fake-param"},
    )
    session.get(url)
    sent = requests_mock.last_request
    assert not {"authorization", "x-tenant", "x-key"} & {name.lower() for name in sent.headers}
    assert "fake-token" not in sent.url
    assert "fake-account" not in sent.url
    assert "fake-param" not in sent.url


def test_a_port_of_the_base_url_is_part_of_the_origin(requests_mock: Mocker) -> None:
    requests_mock.get(ANY)
    session = session_for(base_url="https://api.example.com:8443/v1")
    session.get("https://api.example.com/v1/items")
    assert "Authorization" not in requests_mock.last_request.headers
    session.get("https://api.example.com:8443/v1/items")
    assert "Authorization" in requests_mock.last_request.headers


def test_a_host_name_with_non_ascii_letters_matches_its_encoded_form(requests_mock: Mocker) -> None:
    requests_mock.get(ANY)
    session_for(base_url="https://bücher.example/v1").get("https://bücher.example/v1/items")
    assert requests_mock.last_request.hostname == "xn--bcher-kva.example"
    assert requests_mock.last_request.headers.get("Authorization") == "Bearer fake-token-1"


def test_the_base_url_in_the_token_response_determines_the_api_origin(requests_mock: Mocker) -> None:
    requests_mock.get(ANY)
    mapped = config(response_map={"base_url": "instance_url"})
    session = session_for(FakeSource(mapped, base_url="https://eu7.example.com/"))
    session.get("https://eu7.example.com/items")
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-1"
    session.get(f"{API}/items")
    assert "Authorization" not in requests_mock.last_request.headers


def test_a_base_url_in_the_token_response_is_ignored_without_a_response_map(requests_mock: Mocker) -> None:
    requests_mock.get(ANY)
    session = session_for(FakeSource(config(), base_url="https://eu7.example.com/"))
    session.get(f"{API}/items")
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-1"
    session.get("https://eu7.example.com/items")
    assert "Authorization" not in requests_mock.last_request.headers


def test_an_origin_is_scheme_host_and_port_including_the_default_port() -> None:
    assert (
        origin("https://API.example.com/x")
        == origin("https://api.example.com:443")
        == (
            "https",
            "api.example.com",
            443,
        )
    )
    assert origin("http://[::1]:8080/x") == ("http", "::1", 8080)


# --- headers and parameters of the connection


def test_headers_of_the_connection_are_added_to_requests_to_the_api(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session_for(api_headers={"X-Tenant": "7"}, secret_headers={"X-Key": "fake-key"}).get(f"{API}/items")
    assert requests_mock.last_request.headers["X-Tenant"] == "7"
    assert requests_mock.last_request.headers["X-Key"] == "fake-key"


def test_a_header_of_the_request_replaces_the_one_of_the_connection_whatever_its_case(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session_for(api_headers={"X-Tenant": "7"}).get(f"{API}/items", headers={"x-tenant": "8"})
    assert requests_mock.last_request.headers["X-Tenant"] == "8"
    assert len([name for name in requests_mock.last_request.headers if name.lower() == "x-tenant"]) == 1


def test_a_header_of_the_session_replaces_the_one_of_the_connection(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session = session_for(api_headers={"X-Tenant": "7", "Accept": "application/vnd.fake+json"})
    session.headers["X-Tenant"] = "9"
    session.get(f"{API}/items")
    assert requests_mock.last_request.headers["X-Tenant"] == "9"
    assert requests_mock.last_request.headers["Accept"] == "application/vnd.fake+json"


def test_parameters_of_the_connection_are_added_if_the_request_does_not_have_them(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session = session_for(api_params={"account": "1", "lang": "de"}, secret_params={"key": "fake-key"})
    session.get(f"{API}/items?account=2", params={"lang": "en", "empty": ""})
    assert requests_mock.last_request.url == f"{API}/items?account=2&lang=en&empty=&key=fake-key"


def test_an_empty_parameter_of_the_request_counts_as_set(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session_for(api_params={"account": "1"}).get(f"{API}/items?account=")
    assert requests_mock.last_request.url == f"{API}/items?account="


def test_the_query_of_the_request_is_not_encoded_again_when_parameters_are_added(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session_for(api_params={"account": "a b&c"}).get(f"{API}/items?q=x%2By%26z&q=2#part")
    assert requests_mock.last_request.url == f"{API}/items?q=x%2By%26z&q=2&account=a+b%26c#part"


# --- redirects


def redirect(requests_mock: Mocker, where: str, status: int = 302, method: str = "GET") -> None:
    requests_mock.register_uri(method, f"{API}/moved", status_code=status, headers={"Location": where})
    requests_mock.register_uri(ANY, where)


def test_nothing_from_the_connection_is_sent_after_a_redirect_to_another_origin(requests_mock: Mocker) -> None:
    redirect(requests_mock, ELSEWHERE)
    session = session_for(
        header_name="X-Session",
        api_headers={"X-Tenant": "7"},
        secret_headers={"x-key": "fake-key"},
        api_params={"account": "fake-account"},
        secret_params={"key": "fake-param"},
    )
    session.get(f"{API}/moved", headers={"X-Mine": "stays", "X-Api-Key": "fake-own", "X-Shop-Access-Token": "fake-own"})
    first, second = requests_mock.request_history
    assert {"X-Session", "X-Tenant", "x-key"} <= set(first.headers)
    assert second.hostname == "elsewhere.example.net"
    assert not {"x-session", "authorization", "x-tenant", "x-key"} & {name.lower() for name in second.headers}
    assert second.headers["X-Mine"] == "stays"
    assert "fake" not in str(second.headers)
    assert "fake" not in second.url


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_token_is_not_sent_to_another_origin_after_any_kind_of_redirect(requests_mock: Mocker, status: int) -> None:
    redirect(requests_mock, ELSEWHERE, status, "POST")
    session_for().post(f"{API}/moved", data=b"x")
    assert "Authorization" in requests_mock.request_history[0].headers
    assert "Authorization" not in requests_mock.request_history[1].headers


@pytest.mark.parametrize("where", ["http://api.example.com/v1/x", "https://api.example.com:8443/v1/x"])
def test_another_scheme_or_port_is_another_origin_for_a_redirect(requests_mock: Mocker, where: str) -> None:
    redirect(requests_mock, where)
    session_for(secret_headers={"X-Key": "fake-key"}).get(f"{API}/moved")
    assert "Authorization" not in requests_mock.last_request.headers
    assert "X-Key" not in requests_mock.last_request.headers


def test_after_a_redirect_within_the_api_token_headers_and_parameters_are_sent(requests_mock: Mocker) -> None:
    redirect(requests_mock, "https://api.example.com:443/v2/items?account=8&page=2")
    session_for(
        api_headers={"X-Tenant": "7"},
        secret_headers={"X-Key": "fake-key"},
        api_params={"account": "7"},
        secret_params={"key": "fake-param"},
    ).get(f"{API}/moved")
    assert requests_mock.last_request.path == "/v2/items"
    assert requests_mock.last_request.query == "account=8&page=2&key=fake-param"
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-1"
    assert requests_mock.last_request.headers["X-Tenant"] == "7"
    assert requests_mock.last_request.headers["X-Key"] == "fake-key"


def test_a_401_from_another_origin_after_a_redirect_does_not_renew_the_token(requests_mock: Mocker) -> None:
    redirect(requests_mock, ELSEWHERE)
    requests_mock.get(ELSEWHERE, status_code=401)
    source = FakeSource(config())
    assert session_for(source).get(f"{API}/moved").status_code == 401
    assert source.renewals == 0


def test_a_401_after_a_redirect_within_the_api_renews_the_token(requests_mock: Mocker) -> None:
    redirect(requests_mock, f"{API}/items")
    requests_mock.get(f"{API}/items", [{"status_code": 401}, {"text": "ok"}])
    source = FakeSource(config())
    assert session_for(source).get(f"{API}/moved").text == "ok"
    assert source.renewals == 1
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-2"


def test_after_a_renewal_and_a_redirect_the_new_token_is_sent(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/moved", [{"status_code": 401}, {"status_code": 302, "headers": {"Location": "items"}}])
    requests_mock.get(f"{API}/items", text="ok")
    response = session_for().get(f"{API}/moved")
    assert response.text == "ok"
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-2"


# --- .netrc


@pytest.fixture
def netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "netrc"
    path.write_text(
        "machine api.example.com login fake-user password fake-netrc-password\n"
        "machine elsewhere.example.net login fake-user password fake-netrc-password\n"
    )
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


@pytest.mark.usefixtures("netrc")
def test_a_netrc_entry_for_the_api_does_not_replace_the_token(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    requests.get(f"{API}/items", timeout=1)
    assert requests_mock.last_request.headers["Authorization"].startswith("Basic "), "the .netrc file is read"
    session_for().get(f"{API}/items")
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-1"


@pytest.mark.usefixtures("netrc")
def test_a_netrc_entry_is_not_used_after_a_redirect(requests_mock: Mocker) -> None:
    redirect(requests_mock, f"{API}/items")
    session_for().get(f"{API}/moved")
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-1"


@pytest.mark.usefixtures("netrc")
def test_a_netrc_entry_is_not_used_for_another_origin(requests_mock: Mocker) -> None:
    redirect(requests_mock, ELSEWHERE)
    session = session_for()
    session.get(f"{API}/moved")
    assert "Authorization" not in requests_mock.last_request.headers
    session.get(ELSEWHERE)
    assert "Authorization" not in requests_mock.last_request.headers


# --- 401 and 403


def read(body: Any) -> Any:
    """Return the body that a server would receive. It is consumed, as when it is sent."""
    return body.read() if hasattr(body, "read") else body


def received_by(requests_mock: Mocker, statuses: list[int]) -> list[Any]:
    """Respond with ``statuses`` in turn, and record the bodies that arrive."""
    bodies = []
    remaining = list(statuses)

    def response(request: Request, context: Context) -> str:
        body = request.body
        bodies.append(b"".join(body) if hasattr(body, "__next__") else read(body))
        context.status_code = remaining.pop(0)
        return "answer"

    requests_mock.post(f"{API}/items", text=response)
    return bodies


class Rewindable:
    """A body with ``read``, ``tell`` and ``seek`` only."""

    def __init__(self, content: bytes, start: int = 0) -> None:
        self.inner = io.BytesIO(content)
        self.inner.seek(start)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.inner)

    def read(self, size: int = -1) -> bytes:
        return self.inner.read(size)

    def tell(self) -> int:
        return self.inner.tell()

    def seek(self, *where: int) -> int:
        return self.inner.seek(*where)


class Unseekable(Rewindable):
    """A body that cannot be read twice, such as a pipe."""

    def tell(self) -> int:
        raise OSError("not seekable")


@pytest.mark.parametrize(
    ("data", "arrived"),
    [
        ("text", "text"),
        (b"bytes", b"bytes"),
        (None, None),
        ({"a": "1 2"}, "a=1+2"),
        (Rewindable(b"rewindable"), b"rewindable"),
        (Rewindable(b"skipped-and-sent", start=12), b"sent"),
    ],
)
def test_after_a_401_the_token_is_renewed_and_the_request_repeated_with_the_same_body(
    requests_mock: Mocker, data: Any, arrived: str | bytes | None
) -> None:
    bodies = received_by(requests_mock, [401, 200])
    source = FakeSource(config())
    response = session_for(source).post(f"{API}/items", data=data, headers={"X-Mine": "stays"})
    assert response.status_code == 200
    assert bodies == [arrived, arrived]
    assert source.renewals == 1
    first, second = requests_mock.request_history
    assert first.headers["Authorization"] == "Bearer fake-token-1"
    assert second.headers["Authorization"] == "Bearer fake-token-2"
    assert second.headers["X-Mine"] == "stays"
    assert (second.method, second.url) == (first.method, first.url)


def test_after_a_401_a_file_is_sent_again(requests_mock: Mocker, tmp_path: Path) -> None:
    bodies = received_by(requests_mock, [401, 200])
    path = tmp_path / "upload.bin"
    path.write_bytes(b"content of the file")
    with path.open("rb") as file:
        assert session_for().post(f"{API}/items", data=file).status_code == 200
    assert bodies == [b"content of the file"] * 2


def test_after_a_401_a_multipart_upload_is_sent_again(requests_mock: Mocker) -> None:
    bodies = received_by(requests_mock, [401, 200])
    session_for().post(f"{API}/items", files={"part": io.BytesIO(b"content")})
    assert bodies[0] == bodies[1]
    assert b"content" in bodies[0]


@pytest.mark.parametrize("body", [lambda: (part for part in [b"a", b"b"]), lambda: Unseekable(b"ab")])
def test_after_a_401_a_body_that_cannot_be_read_again_is_not_sent(
    requests_mock: Mocker, body: Callable[[], Any]
) -> None:
    bodies = received_by(requests_mock, [401, 200])
    response = session_for().post(f"{API}/items", data=body())
    assert response.status_code == 401
    assert bodies == [b"ab"]


def test_the_token_is_renewed_for_the_next_request_even_if_the_refused_one_cannot_be_repeated(
    requests_mock: Mocker,
) -> None:
    received_by(requests_mock, [401, 200])
    session = session_for()
    session.post(f"{API}/items", data=(part for part in [b"a"]))
    assert session.post(f"{API}/items", data=b"a").status_code == 200
    assert requests_mock.last_request.headers["Authorization"] == "Bearer fake-token-2", (
        "airflow 72688: the rejected token is used until the process restarts"
    )


def test_a_second_401_is_returned(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", status_code=401, text="no")
    source = FakeSource(config())
    response = session_for(source).get(f"{API}/items")
    assert (response.status_code, response.text) == (401, "no")
    assert source.renewals == 1
    assert requests_mock.call_count == 2


def test_the_401_before_the_renewal_is_in_the_history(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", [{"status_code": 401}, {"text": "ok"}])
    response = session_for().get(f"{API}/items")
    assert [earlier.status_code for earlier in response.history] == [401]
    assert response.request.headers["Authorization"] == "Bearer fake-token-2"


def test_the_refused_response_is_read_and_closed_before_the_request_is_repeated(requests_mock: Mocker) -> None:
    rest = io.BytesIO(b"a long explanation")
    requests_mock.get(f"{API}/items", [{"status_code": 401, "body": rest}, {"text": "ok"}])
    response = session_for().get(f"{API}/items", stream=True)
    assert response.history[0].content == b"a long explanation"


def test_the_refused_response_is_read_before_the_token_is_renewed_unless_it_is_streamed(requests_mock: Mocker) -> None:
    """Others can use the connection during the renewal, and the server may close it."""
    unread: list[bytes] = []
    rest = io.BytesIO()

    class Source(FakeSource):
        def replacement(self, *args: object, **kwargs: object) -> None:
            unread.append(b"" if rest.closed else rest.read())  # requests closes it at its end
            return

    for stream, expected in ((False, b""), (True, b"explanation")):
        unread, rest = [], io.BytesIO(b"explanation")
        requests_mock.get(f"{API}/items", status_code=401, body=rest)
        session_for(Source(config())).get(f"{API}/items", stream=stream)
        assert unread == [expected]


def test_an_error_after_a_redirect_names_the_redirected_request(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/moved", status_code=302, headers={"Location": "items"})
    requests_mock.get(f"{API}/items", exc=requests.ConnectTimeout)
    with pytest.raises(ApiConnectTimeout, match="^Connection 'my_api': GET https://api.example.com/v1/items failed"):
        session_for().get(f"{API}/moved")


def test_the_repeated_request_is_sent_with_the_same_options(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", [{"status_code": 401}, {"text": "ok"}])
    session_for().get(f"{API}/items", timeout=7, verify="/fake/ca.pem", cert="/fake/cert.pem")
    for sent in requests_mock.request_history:
        assert (sent.timeout, sent.verify, sent.cert) == (7, "/fake/ca.pem", "/fake/cert.pem")


@pytest.mark.parametrize("status", [400, 403, 404, 407, 500])
def test_other_statuses_do_not_renew_the_token(requests_mock: Mocker, status: int) -> None:
    requests_mock.get(f"{API}/items", status_code=status, headers={"WWW-Authenticate": 'Bearer realm="api"'})
    source = FakeSource(config())
    assert session_for(source).get(f"{API}/items").status_code == status
    assert source.renewals == 0
    assert requests_mock.call_count == 1


def test_a_renewed_token_is_sent_in_the_renamed_header(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", [{"status_code": 401}, {"text": "ok"}])
    session_for(header_name="X-Session", auth_scheme="").get(f"{API}/items")
    assert [sent.headers["X-Session"] for sent in requests_mock.request_history] == ["fake-token-1", "fake-token-2"]


# --- time


def test_every_request_has_the_timeout_of_the_connection_or_of_the_caller(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items")
    session = session_for(transport=TransportOptions(timeout=12))
    session.get(f"{API}/items")
    assert requests_mock.last_request.timeout == 12
    session.get(f"{API}/items", timeout=None)
    assert requests_mock.last_request.timeout == 12
    session.get(f"{API}/items", timeout=3)
    assert requests_mock.last_request.timeout == 3


def test_redirects_and_requests_to_other_origins_have_a_timeout(requests_mock: Mocker) -> None:
    redirect(requests_mock, ELSEWHERE)
    session = session_for()
    session.get(f"{API}/moved")
    session.get(ELSEWHERE)
    assert [sent.timeout for sent in requests_mock.request_history] == [60, 60, 60]


# --- metrics


def test_a_refused_token_is_reported_and_the_refused_request_counts(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", [{"status_code": 401}, {"json": []}])
    source = FakeSource(config())
    session_for(source).get(f"{API}/items")
    assert source.report.all == [("oauth.refusals", "repeated", 1), ("oauth.api.requests", "unauthorized", 1)]


def test_a_refusal_without_another_token_is_reported_as_returned(requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/items", status_code=403)
    source = FakeSource(config())
    session_for(source).get(f"{API}/items")
    assert source.report.all == [("oauth.refusals", "returned", 1)]


def test_a_failed_renewal_after_a_refusal_is_reported(requests_mock: Mocker) -> None:
    class Source(FakeSource):
        def replacement(self, refused: Token, scope: str | None = None, *, renew: bool) -> Token | None:
            raise TokenRequestError("the server is down")

    requests_mock.get(f"{API}/items", status_code=401)
    source = Source(config())
    with pytest.raises(TokenRequestError):
        session_for(source).get(f"{API}/items")
    assert source.report.all == [("oauth.refusals", "failed", 1), ("oauth.api.requests", "unauthorized", 1)]
