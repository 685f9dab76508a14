"""Every failed request to the authorization server raises an OAuthError that names the field, over sockets."""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ConfigurationError, OAuthError, TokenRequestError
from airflow_provider_oauth.protocol.config import TransportOptions
from airflow_provider_oauth.protocol.endpoint import TokenEndpoint
from tests.connections import oauth_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_oauth.protocol.token import Token
    from tests.certificates import Certificates
    from tests.integration.recorder import Recorder

BODY = b'{"access_token": "fake", "token_type": "Bearer"}'
TOKEN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


class Server:
    """Sends the same bytes to every connection, and counts connections."""

    def __init__(self, response: bytes, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.response, self.tls = response, tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def serve(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                with suppress(OSError), connection:  # the client closed the connection
                    stream = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
                    with stream:
                        received = b""
                        while not complete(received):
                            received += stream.recv(65536)
                        stream.sendall(self.response)


def complete(received: bytes) -> bool:
    """Return whether this is a complete request, or the start of a TLS handshake."""
    head, end, body = received.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: (\d+)", head)
    return received[:1] == b"\x16" or bool(end and len(body) >= int(found[1] if found else 0))


@contextmanager
def serving(response: bytes, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(response, tls)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        server.listener.close()


@pytest.fixture
def secure(tls: Certificates) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.server)
    with serving(TOKEN, context) as server:
        yield server


@pytest.fixture
def strict(tls: Certificates) -> Iterator[Server]:
    """A server that requires a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.server)
    context.load_verify_locations(tls.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(TOKEN, context) as server:
        yield server


def grant(url: str, **transport: Any) -> Token:
    config = oauth_config(
        conn_id="api",
        base_url="https://api.example.com",
        token_url=url,
        client_id="fake-id",
        client_secret="fake-secret",
        allow_http=True,
        transport=TransportOptions(**transport),
    )
    return TokenEndpoint(config).grant(retry=False)


def failure(url: str, **transport: Any) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        grant(url, **transport)
    assert "'api'" in str(caught.value)
    assert "fake-" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value


# --- TLS


def test_a_server_certificate_of_the_configured_ca_is_accepted(
    secure: Server, strict: Server, tls: Certificates
) -> None:
    assert grant(f"https://127.0.0.1:{secure.port}/token", verify=tls.ca).access_token == "fake"
    assert grant(f"https://127.0.0.1:{secure.port}/token", verify=tls.ca, cert=tls.client).access_token == "fake"
    assert grant(f"https://127.0.0.1:{strict.port}/token", verify=tls.ca, cert=tls.client).access_token == "fake"
    both = (tls.client, tls.client)
    assert grant(f"https://127.0.0.1:{strict.port}/token", verify=tls.ca, cert=both).access_token == "fake"


def test_a_certificate_of_another_ca_names_verify_and_is_not_retried(secure: Server) -> None:
    error = failure(f"https://127.0.0.1:{secure.port}/token")
    assert isinstance(error, TokenRequestError)
    assert "the certificate was not accepted: " in str(error)
    assert "Check verify, " in str(error)
    assert not error.retryable
    assert not error.request_sent


def test_a_certificate_for_another_host_names_verify(
    secure: Server, tls: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    getaddrinfo = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *args: getaddrinfo("127.0.0.1", *args))
    error = failure(f"https://other.test:{secure.port}/token", verify=tls.ca)
    assert "Hostname mismatch" in str(error)
    assert "Check verify, " in str(error)


def test_the_error_of_a_server_that_requires_a_client_certificate_names_cert(strict: Server, tls: Certificates) -> None:
    error = failure(f"https://127.0.0.1:{strict.port}/token", verify=tls.ca)
    # The server closes the connection after its alert. Python may notice that before it reads the alert.
    advice = "Check cert (client certificate), " if "ALERT" in str(error) else "Check Token URL, verify and cert, "
    assert advice in str(error)


def test_the_error_of_a_server_without_tls_names_the_url(tls: Certificates) -> None:
    with serving(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        error = failure(f"https://127.0.0.1:{server.port}/token")
    assert "Check Token URL, verify and cert, " in str(error)
    assert not error.request_sent


@pytest.fixture
def unusable(tmp_path: Path, tls: Certificates) -> list[str]:
    """Paths that are not usable: existing and missing ones."""
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "secret").write_text("no certificate")
    (tmp_path / "secret").chmod(0)
    (tmp_path / "folder").mkdir()
    paths = ["/fake/absent.pem", str(tmp_path / "text"), str(tmp_path / "secret"), str(tmp_path / "folder"), "/"]
    return [*paths, "/dev/null", sys.executable, "a\0b"]


def test_an_unusable_path_in_verify_is_an_error_that_reveals_nothing_about_the_file(
    secure: Server, unusable: list[str]
) -> None:
    errors = [failure(f"https://127.0.0.1:{secure.port}/token", verify=path) for path in unusable]
    assert {type(error) for error in errors} == {ConfigurationError}
    (text,) = {str(error) for error in errors}
    assert text.startswith("Connection 'api': verify is not a file or folder of CA certificates")
    assert not any(error.request_sent for error in errors)
    assert secure.connections == 0


def test_an_unusable_path_in_cert_is_an_error_that_reveals_nothing_about_the_file(
    secure: Server, unusable: list[str], tls: Certificates
) -> None:
    paths: list[Any] = [
        *unusable,
        tls.ca,
        tls.encrypted,
        (tls.client, "/fake/absent.pem"),
        (tls.client, tls.server),
    ]
    errors = [failure(f"https://127.0.0.1:{secure.port}/token", verify=tls.ca, cert=path) for path in paths]
    assert {type(error) for error in errors} == {ConfigurationError}
    (text,) = {str(error) for error in errors}
    assert text.startswith("Connection 'api': cert is not a client certificate with a key that this process can use")
    assert secure.connections == 0


def test_without_tls_the_files_are_not_checked(api: Recorder, unusable: list[str]) -> None:
    texts = {str(failure(f"{api.url}/token", verify=path, cert=path)) for path in unusable}
    assert len(texts) == 1
    assert len(api.requests) == len(unusable)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_unusable_path_in_the_environment_is_an_error_that_names_the_variable(
    secure: Server, unusable: list[str], variable: str, monkeypatch: pytest.MonkeyPatch, tls: Certificates
) -> None:
    url = f"https://127.0.0.1:{secure.port}/token"
    texts = set()
    for path in unusable[:-1]:  # a variable cannot have a null character
        monkeypatch.setenv(variable, path)
        texts.add(str(failure(url)))
    (text,) = texts
    assert text.startswith("Connection 'api': verify (or REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment) is")
    assert grant(url, verify=tls.ca).access_token == "fake"
    monkeypatch.setenv(variable, tls.ca)
    assert grant(url).access_token == "fake"
    assert "Check verify, " in str(failure(url, trust_env=False))


def test_a_certificate_that_the_ca_of_the_environment_did_not_sign_names_both(
    secure: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    error = failure(f"https://127.0.0.1:{secure.port}/token")
    assert "Check verify or REQUESTS_CA_BUNDLE in the environment, " in str(error)


# --- proxies


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_error_of_a_proxy_that_refuses_connections_names_proxies(scheme: str) -> None:
    proxies = {scheme: f"http://127.0.0.1:{unused_port()}"}
    error = failure(f"{scheme}://auth.test/token", proxies=proxies)
    assert isinstance(error, TokenRequestError)
    assert "Connection refused" in str(error)
    assert "Check proxies, " in str(error)
    assert error.retryable
    assert not error.request_sent


def test_the_error_of_a_proxy_with_an_error_status_does_not_quote_the_proxy() -> None:
    with serving(b"HTTP/1.1 407 fake-secret words\r\n\r\n") as proxy:
        error = failure("https://auth.test/token", proxies={"https": f"http://127.0.0.1:{proxy.port}"})
    assert "the proxy responded with status 407" in str(error)
    assert "Check proxies, " in str(error)
    assert "words" not in str(error)
    assert not error.request_sent


@pytest.mark.parametrize(
    "proxy", ["http://", "http://[bad", "socks5://127.0.0.1:1080", "ftp://127.0.0.1:21", "http://a:b"]
)
def test_an_invalid_proxy_is_an_error_that_names_proxies(proxy: str) -> None:
    error = failure("https://auth.test/token", proxies={"https": proxy})
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith("Connection 'api': proxies ")
    assert not error.request_sent


def test_errors_of_a_proxy_in_the_environment_name_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_port()}")
    assert "Check proxies or the proxy in the environment, " in str(failure("https://auth.test/token"))
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    error = failure("https://auth.test/token")
    assert str(error).startswith("Connection 'api': proxies (or the proxy in the environment) cannot be used")


# --- the server


def test_a_refused_connection_is_an_error_and_nothing_was_sent() -> None:
    error = failure(f"http://127.0.0.1:{unused_port()}/token")
    assert "Connection refused" in str(error)
    assert not error.request_sent


def test_an_unknown_host_is_an_error_and_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = failure("http://auth.test/token")
    assert "the host name cannot be resolved: Name or service not known" in str(error)
    assert not error.request_sent


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test", ".test"])
def test_an_invalid_host_name_is_an_error(host: str) -> None:
    error = failure(f"http://{host}/token")
    assert "Token URL" in str(error)
    assert not error.request_sent


def test_a_server_that_closes_the_connection_may_have_received_the_request() -> None:
    with serving(b"") as server:
        error = failure(f"http://127.0.0.1:{server.port}/token")
    assert "the server closed the connection" in str(error)
    assert error.request_sent


def with_status_200(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


MALFORMED = [
    b"fake-secret \x1b[31mwords\r\n\r\n",
    b"HTTP/1.1 fake-secret words\r\n\r\n",
    b"HTTP/1.1 99999 words\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: words\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"words" * 20_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nwords\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwords",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nwords",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip, gzip, gzip, gzip\r\nContent-Length: 5\r\n\r\nwords",
    b"HTTP/1.1 200 OK\r\nContent-Length: words\r\n\r\nwords",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nwords",
    b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
    with_status_200(b"[" * 30_000),
    *(with_status_200(b'{"error":' + b"[" * depth + b"]" * depth + b"}") for depth in range(700, 1000, 20)),
    with_status_200(b'{"access_token":"\\ud800"}'),
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\n%ff=&",
]


@pytest.mark.parametrize("response", MALFORMED)
def test_a_malformed_response_is_an_error_that_does_not_quote_it(response: bytes) -> None:
    with serving(response) as server:
        error = failure(f"http://127.0.0.1:{server.port}/token")
    text = str(error)
    assert "words" not in text
    assert "\x1b" not in text
    assert error.request_sent


def test_an_interrupted_request_is_not_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    class TaskTimeout(BaseException):
        pass

    def interrupted(*_: object, **__: object) -> None:
        raise TaskTimeout

    monkeypatch.setattr("airflow_provider_oauth.protocol.limited_adapter.LimitedAdapter._addresses", interrupted)
    with pytest.raises(TaskTimeout):
        grant("http://auth.test/token")
