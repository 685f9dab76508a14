"""Client certificates at the authorization server and the API, over TLS sockets, sync and async (RFC 8705)."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import requests
from airflow.providers.http.operators.http import HttpOperator

from airflow_provider_oauth.exceptions import ApiError, ConfigurationError, OAuthError
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook, OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.triggers.oauth import OAuthHttpTrigger
from tests.integration.mtls_server import mtls_server, thumbprint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.certificates import Certificates
    from tests.integration.mtls_server import MtlsServer

pytestmark = [
    pytest.mark.usefixtures("variables"),
    # An import in the HTTP provider causes it when a stock operator has received its response.
    pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs` attribute"),
]


@pytest.fixture
def server(tls: Certificates) -> Iterator[MtlsServer]:
    with mtls_server(tls) as running:
        yield running


@pytest.fixture
def connect(define_connection: Callable[..., None], server: MtlsServer, tls: Certificates) -> Callable[..., None]:
    """Define a connection with a certificate."""

    def define(conn_id: str = "bank", **fields: Any) -> None:
        values = {
            "host": f"{server.url}/api",
            "password": None,
            "grant_url": f"{server.url}/mtls/token",
            "client_auth": "tls_client_auth",
            "cert": tls.client,
            "verify": tls.ca,
        }
        define_connection(conn_id, **(values | fields))

    return define


def call_sync(conn_id: str = "bank", **options: Any) -> int:
    response: requests.Response = OAuthHook(conn_id).run("items", **options)
    return response.status_code


def call_async(conn_id: str = "bank", **options: Any) -> int:
    async def scenario() -> int:
        return (await OAuthAsyncHook(conn_id).run(endpoint="items", **options)).status

    return asyncio.run(scenario())


def call_stock(conn_id: str = "bank", **options: Any) -> int:
    operator = HttpOperator(
        task_id="stock",
        http_conn_id=conn_id,
        method="GET",
        endpoint="items",
        response_filter=lambda response: response.status_code,
        **options,
    )
    status: int = operator.execute({})
    return status


def call_trigger(conn_id: str = "bank", **options: Any) -> int:
    async def scenario() -> Any:
        return await anext(OAuthHttpTrigger(oauth_conn_id=conn_id, endpoint="items", **options).run())

    event = asyncio.run(scenario())
    return 200 if event.payload["status"] == "success" else 0


EACH_CALLER = pytest.mark.parametrize("call", [call_sync, call_async, call_stock, call_trigger])
SYNC_AND_ASYNC = pytest.mark.parametrize("call", [call_sync, call_async])


@EACH_CALLER
def test_token_endpoint_and_api_receive_the_same_certificate(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates, call: Callable[..., int]
) -> None:
    connect()
    assert call() == 200
    assert [(each.path, each.certificate) for each in server.received] == [
        ("/mtls/token", thumbprint_of(tls.client)),
        ("/api/items", thumbprint_of(tls.client)),
    ]
    assert server.received[0].fields == {"grant_type": "client_credentials", "client_id": "app"}


@EACH_CALLER
@pytest.mark.parametrize("is_list", [False, True])
def test_an_encrypted_key_is_decrypted_with_the_passphrase_of_the_connection(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates, call: Callable[..., int], is_list: bool
) -> None:
    cert = [tls.encrypted, tls.encrypted] if is_list else tls.encrypted
    connect(cert=cert, private_key_passphrase=tls.passphrase)
    assert call() == 200
    assert {each.certificate for each in server.received} == {thumbprint_of(tls.encrypted)}


@SYNC_AND_ASYNC
@pytest.mark.parametrize("passphrase", [None, "fake-and-wrong"])
def test_a_wrong_passphrase_is_an_error_that_quotes_nothing_and_does_not_prompt(
    connect: Callable[..., None],
    server: MtlsServer,
    tls: Certificates,
    call: Callable[..., int],
    passphrase: str | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    connect()
    call()  # so that a token is stored, and only the API needs the certificate
    connect(cert=tls.encrypted, private_key_passphrase=passphrase)
    with pytest.raises(ConfigurationError) as refused:
        call()
    assert str(refused.value) == (
        "Connection 'bank': cert is not a client certificate with a key that this process can use. Check the path and, "
        "if the key is encrypted, Private key passphrase (private_key_passphrase)."
    )
    assert "pass phrase" not in "".join(capfd.readouterr())
    assert len(server.received) == 2


def test_an_own_adapter_with_an_encrypted_key_is_an_error_and_does_not_prompt(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates, capfd: pytest.CaptureFixture[str]
) -> None:
    connect(cert=tls.encrypted, private_key_passphrase=tls.passphrase)
    with pytest.raises(ConfigurationError, match="which the hook's parameter adapter requires"):
        OAuthHook("bank", adapter=requests.adapters.HTTPAdapter()).run("items")
    connect()
    assert OAuthHook("bank", adapter=requests.adapters.HTTPAdapter()).run("items").status_code == 200
    assert "pass phrase" not in "".join(capfd.readouterr())


def test_without_the_certificate_the_server_accepts_no_connection(
    connect: Callable[..., None], server: MtlsServer
) -> None:
    connect(client_auth="none", cert=None)
    works, text = OAuthHook("bank").test_connection()
    assert not works
    assert "no response from the token endpoint: " in text
    assert "cert" in text
    assert server.received == []


def test_the_urls_for_clients_with_a_certificate_are_discovered(
    connect: Callable[..., None], server: MtlsServer
) -> None:
    connect(grant_url=None, issuer=server.url)
    assert call_sync() == 200
    grants.revoke(OAuthHook("bank").config)
    paths = [each.path for each in server.received if not each.path.startswith("/.well-known")]
    assert paths == ["/mtls/token", "/api/items", "/mtls/revoke"]
    assert "client_secret" not in server.received[-1].fields


# --- connections with different certificates in one process


@pytest.fixture
def two_connections(connect: Callable[..., None], tls: Certificates) -> dict[str, str]:
    """Two connections to the same API, and the thumbprints of their certificates."""
    connect("first", cert=tls.client)
    connect("second", cert=[tls.other, tls.other])
    return {"first": thumbprint_of(tls.client), "second": thumbprint_of(tls.other)}


def check_connections(server: MtlsServer, expected: list[str]) -> None:
    """Check the certificates of all API requests, and that no TCP connection was used with two certificates."""
    calls = server.requests_to("/api")
    assert [(each.certificate, each.status) for each in calls] == [(each, 200) for each in expected]
    assert len({(each.port, each.certificate) for each in calls}) == len({each.port for each in calls})


def test_hooks_with_different_certificates_never_share_a_tcp_connection(
    two_connections: dict[str, str], server: MtlsServer
) -> None:
    conn_ids = ["first", "second"] * 5
    for conn_id in conn_ids:
        call_sync(conn_id)
    check_connections(server, [two_connections[each] for each in conn_ids])
    assert len({each.port for each in server.requests_to("/api")}) == 2  # both keep their own


def test_stock_operators_with_different_certificates_never_share_a_tcp_connection(
    two_connections: dict[str, str], server: MtlsServer
) -> None:
    conn_ids = ["first", "second", "first", "second"]
    for conn_id in conn_ids:
        call_stock(conn_id)
    check_connections(server, [two_connections[each] for each in conn_ids])


def test_async_hooks_with_different_certificates_never_share_a_tcp_connection_of_one_session(
    two_connections: dict[str, str], server: MtlsServer
) -> None:
    conn_ids = ["first", "second"] * 5

    async def scenario() -> None:
        hooks = {conn_id: OAuthAsyncHook(conn_id) for conn_id in two_connections}
        async with aiohttp.ClientSession() as session:
            for conn_id in conn_ids:
                await (await hooks[conn_id].run(session=session, endpoint="items")).read()

    asyncio.run(scenario())
    check_connections(server, [two_connections[each] for each in conn_ids])


def test_a_connection_without_certificate_sends_none_after_others_with_one(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests before 2.32.5 used one TLS context for all connections that use the CA certificates of certifi."""
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", tls.ca)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    server.context.verify_mode, server.is_bound = ssl.CERT_OPTIONAL, False
    connect("first", verify=True)
    connect("second", verify=True, client_auth="none", cert=None)
    for conn_id in ("first", "second", "first", "second"):
        call_sync(conn_id)
    own = thumbprint_of(tls.client)
    assert [each.certificate for each in server.requests_to("/api")] == [own, None, own, None]
    assert [each.certificate for each in server.requests_to("/mtls")] == [own, None]


# --- the certificate of one task


@SYNC_AND_ASYNC
def test_a_task_can_use_another_certificate_at_the_api(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates, call: Callable[..., int]
) -> None:
    server.is_bound = False
    connect(cert=tls.encrypted, private_key_passphrase=tls.passphrase)
    assert [call(extra_options={"cert": tls.other}), call()] == [200, 200]
    assert [each.certificate for each in server.requests_to("/api")] == list(
        map(thumbprint_of, (tls.other, tls.client))
    )
    assert [each.certificate for each in server.requests_to("/mtls")] == [thumbprint_of(tls.client)]


@SYNC_AND_ASYNC
def test_the_api_refuses_a_bound_token_with_another_certificate(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates, call: Callable[..., int]
) -> None:
    connect()
    with pytest.raises(ApiError) as refused:
        call(extra_options={"cert": [tls.other, tls.other]})
    assert refused.value.status_code == 401
    assert call() == 200


# --- the files are replaced


@pytest.fixture
def replaceable(tmp_path: Path, tls: Certificates) -> Path:
    path = tmp_path / "client.pem"
    shutil.copy(tls.client, path)
    return path


def replace_file(path: Path, new: str) -> None:
    shutil.copy(new, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


@EACH_CALLER
def test_after_the_files_were_replaced_token_and_connection_have_the_new_certificate(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates, replaceable: Path, call: Callable[..., int]
) -> None:
    connect(cert=str(replaceable))
    assert call() == 200
    replace_file(replaceable, tls.other)
    server.received.clear()
    assert [call(), call()] == [200, 200]
    assert [(each.path, each.status) for each in server.received] == [
        ("/api/items", 401),  # the stored token is bound to the old certificate
        ("/mtls/token", 200),
        ("/api/items", 200),
        ("/api/items", 200),
    ]
    assert {each.certificate for each in server.received} == {thumbprint_of(tls.other)}


def test_one_session_uses_the_new_certificate_for_its_next_request(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates, replaceable: Path
) -> None:
    connect(cert=str(replaceable))
    session = OAuthHook("bank").get_conn()
    assert session.get("items").status_code == 200
    replace_file(replaceable, tls.other)
    assert session.get("items").status_code == 200
    assert server.received[-1].certificate == thumbprint_of(tls.other)


def test_an_async_hook_uses_the_new_certificate_for_its_next_request(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates, replaceable: Path
) -> None:
    connect(cert=str(replaceable))

    async def scenario() -> list[int]:
        hook = OAuthAsyncHook("bank")
        first = await hook.run(endpoint="items")
        assert await hook.config() is await hook.config()
        replace_file(replaceable, tls.ca)  # a file without a key
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="cert is not a client certificate"):
                await hook.run(endpoint="items")
        replace_file(replaceable, tls.other)
        return [first.status, (await hook.run(endpoint="items")).status]

    assert asyncio.run(scenario()) == [200, 200]
    assert server.received[-1].certificate == thumbprint_of(tls.other)


def test_a_certificate_with_the_key_of_another_one_is_an_error(
    connect: Callable[..., None], server: MtlsServer, tls: Certificates
) -> None:
    connect(cert=[tls.client, tls.other])
    for call in (call_sync, call_async):
        with pytest.raises(OAuthError, match="cert is not a client certificate with a key that this process can use"):
            call()
    assert server.received == []
