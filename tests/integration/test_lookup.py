"""A vendor file with a lookup, a prefix and a test request, against real servers that also misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.http.operators.http import HttpOperator

from airflow_provider_oauth.api import single_request
from airflow_provider_oauth.exceptions import ConfigurationError, ConsentDenied
from airflow_provider_oauth.extract.paginators import JsonLinkPaginator
from airflow_provider_oauth.hooks.oauth import OAuthAsyncHook, OAuthHook
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.operators.extract import OAuthExtractOperator
from airflow_provider_oauth.presets import vendors
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.runtime import token_sources
from airflow_provider_oauth.triggers.oauth import OAuthHttpTrigger
from sandbox.user_agent import UserAgent
from tests.servers_in_threads import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from sandbox.server import Sandbox
    from tests.integration.recorder import Recorder

# The HTTP provider causes this warning when an operator processes a response.
pytestmark = pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs` attribute")

SECRET = "fake-secret+/%="
BACK = "https://airflow.example.com/oauth/callback"
ACME = """
label = "Acme"
documentation = ["https://docs.acme.example/api"]
read = 2026-11-28
endpoint_prefix = "ex/{site}"

[fields]
host = "https://api.acme.example"
grant_url = "https://login.acme.example/token"

[grants.authorization_code]
authorize_url = "https://login.acme.example/authorize"

[grants.client_credentials]

[lookup]
endpoint = "sites"
records_path = "sites"
values = { site = "id" }
describe = "name"

[test]
endpoint = "me"

[limit_headers]
reset = "X-Limit-Ms"
unit = "milliseconds"

[paginators.default]
type = "JsonLinkPaginator"
path = "next"
"""


class Api(ThreadingHTTPServer):
    """The API. A plan can replace the response of a path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.sites: Any = [{"id": 7, "name": "Site A"}]
        self.paths: list[str] = []
        self.plans: dict[str, list[Callable[[Handler], None]]] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that closed the connection."""


class Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        path = self.path.partition("?")[0]
        if plans := self.server.plans.get(path):
            plans.pop(0)(self)
        elif path == "/sites":
            self.answer({"sites": self.server.sites})
        elif path == "/ex/7/rows":
            page = self.path.endswith("page=2")
            self.answer({"rows": [{"id": 2 if page else 1}], "next": None if page else "/ex/7/rows?page=2"})
        else:
            self.answer({"path": path})

    def answer(self, body: Any, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(content)), "Content-Type": "application/json", **own}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # the client closed the connection
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[Api]:
    with running(Api()) as running_server:
        yield running_server


@pytest.fixture
def connect(
    define_connection: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    sandbox: Sandbox,
    server: Api,
    tmp_path: Path,
) -> Iterator[Callable[..., OAuthConfig]]:
    """Define a connection of the vendor in a vendor folder, at servers of this machine."""
    (tmp_path / "vendors").mkdir()
    (tmp_path / "vendors/acme.toml").write_text(ACME)
    monkeypatch.setenv("AIRFLOW__OAUTH__VENDOR_FOLDER", str(tmp_path / "vendors"))
    vendors.vendor.cache_clear()
    sandbox.state.add_client("standard", "app", SECRET, scopes=["read"])
    url = f"{sandbox.url}/standard"

    def define(**extra: Any) -> OAuthConfig:
        fields = {
            "vendor": "acme",
            "host": server.url,
            "login": "app",
            "password": SECRET,
            "grant_type": "authorization_code",
            "grant_url": f"{url}/token",
            "authorize_url": f"{url}/authorize",
        }
        define_connection("api", **(fields | extra))
        return OAuthHook("api").config

    yield define
    vendors.vendor.cache_clear()


def authorize(config: OAuthConfig) -> None:
    request = AuthorizationRequest(conn_id="api", redirect_uri=BACK)
    url = grants.begin_authorization(config, request)
    grants.finish_authorization(config, request, UserAgent().consent(url))


def refusal(config: OAuthConfig, variables: dict[str, str]) -> str:
    """Return the error of a consent after which nothing is stored."""
    with pytest.raises(ConsentDenied) as error:
        authorize(config)
    assert [name for name in variables if name.startswith("oauth_token__")] == []
    text = str(error.value)
    assert SECRET not in text
    return text.removeprefix("Connection 'api': no tokens were stored, because ")


async def asynchronous(endpoint: str) -> Any:
    async with OAuthAsyncHook("api").session() as session:
        return await (await session.run(endpoint, read=True)).json()


def event(trigger: OAuthHttpTrigger) -> dict[str, Any]:
    async def first() -> Any:
        return (await anext(aiter(trigger.run()))).payload

    payload: dict[str, Any] = asyncio.run(first())
    return payload


def test_the_site_of_the_user_is_part_of_the_urls_of_all_requests(
    connect: Callable[..., OAuthConfig], server: Api, tmp_path: Path
) -> None:
    config = connect()
    authorize(config)
    token_sources._sources.clear()  # another process

    assert OAuthHook("api").run("items").json() == {"path": "/ex/7/items"}
    assert asyncio.run(asynchronous("/items")) == {"path": "/ex/7/items"}
    assert asyncio.run(asynchronous(f"{server.url}/me")) == {"path": "/me"}
    assert OAuthHook("api").get_conn().get("items").json() == {"path": "/ex/7/items"}
    stock = HttpOperator(task_id="a", http_conn_id="api", method="GET", endpoint="items").execute({})
    assert json.loads(stock) == {"path": "/ex/7/items"}
    assert event(OAuthHttpTrigger("api", endpoint="items"))["status"] == "success"
    OAuthExtractOperator(
        task_id="rows", oauth_conn_id="api", endpoint="rows", path=f"{tmp_path}/rows.jsonl", records_path="rows"
    ).execute({})
    assert (tmp_path / "rows.jsonl").read_text() == '{"id": 1}\n{"id": 2}\n'
    pages = OAuthHook("api").paginate("rows", JsonLinkPaginator("next"), records_path="rows", concurrency=2)
    assert [page.rows for page in pages] == [[{"id": 1}], [{"id": 2}]]
    assert grants.test(config).text.endswith("because the server may accept it only once.")
    assert server.paths[0] == "/sites"
    assert server.paths[1:] == [
        "/ex/7/items",
        "/ex/7/items",
        "/me",
        *["/ex/7/items"] * 3,
        *["/ex/7/rows", "/ex/7/rows?page=2"] * 2,
        "/ex/7/me",
    ]


def test_a_value_in_the_connection_is_used_with_client_credentials(
    connect: Callable[..., OAuthConfig], server: Api, variables: dict[str, str]
) -> None:
    config = connect(grant_type="client_credentials", vendor_values={"site": "s 1"})

    works, text, _ = grants.test(config)
    assert works
    assert f"The API of Acme accepted the token (GET {server.url}/ex/s%201/me, status 200)." in text
    assert variables == {}
    assert OAuthHook("api").run("items").json() == {"path": "/ex/s%201/items"}
    with pytest.raises(ConfigurationError, match="has no site, which requests to Acme need"):
        asyncio.run(asynchronous_without_value(connect))


async def asynchronous_without_value(connect: Callable[..., OAuthConfig]) -> None:
    connect(grant_type="client_credentials")
    await asynchronous("items")


def test_both_http_clients_wait_for_the_time_in_the_vendors_header(
    connect: Callable[..., OAuthConfig], server: Api
) -> None:
    connect(grant_type="client_credentials", vendor_values={"site": "7"})

    def limited(handler: Handler) -> None:
        handler.answer({}, 429, X_Limit_Ms="40")

    server.plans["/ex/7/items"] = [limited]
    hook = OAuthHook("api")
    hook.rate_limit_timeout = 1
    assert hook.run("items").ok
    assert hook.counts.waited == 0.04

    server.plans["/ex/7/items"] = [limited]

    async def scenario() -> None:
        waiting = OAuthAsyncHook("api")
        waiting.rate_limit_timeout = 1
        assert (await waiting.run(endpoint="items")).ok
        assert waiting.counts.waited == 0.04

    asyncio.run(scenario())


# --- the lookup fails


def test_a_user_with_several_sites_enters_one_of_them(
    connect: Callable[..., OAuthConfig], server: Api, variables: dict[str, str]
) -> None:
    server.sites = [{"id": 7, "name": "Site A"}, {"id": 8, "name": "Site B"}]

    assert refusal(connect(), variables).startswith("the user has access to 2 accounts of Acme: Site A (7), Site B (8)")
    authorize(connect(vendor_values={"site": "8"}))
    assert OAuthHook("api").run("items").json() == {"path": "/ex/8/items"}


def test_an_html_page_is_an_error(connect: Callable[..., OAuthConfig], server: Api, variables: dict[str, str]) -> None:
    server.plans["/sites"] = [lambda handler: handler.answer(b"<html>Log in</html>", Content_Type="text/html")]

    assert refusal(connect(), variables).startswith("Acme responded with status 200 but without rows at 'sites'.")


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_body_of_10_mb_is_an_error(
    connect: Callable[..., OAuthConfig], server: Api, variables: dict[str, str], is_compressed: bool
) -> None:
    body = b'{"sites": [{"id": 7}], "x": "' + b"x" * 10_000_000 + b'"}'
    headers = {"Content_Encoding": "gzip"} if is_compressed else {}
    server.plans["/sites"] = [lambda handler: handler.answer(gzip.compress(body) if is_compressed else body, **headers)]

    assert "the API of Acme sent a response of more than 1048576 bytes." in refusal(connect(), variables)


def test_a_redirect_to_another_origin_gets_no_request(
    connect: Callable[..., OAuthConfig], server: Api, variables: dict[str, str], elsewhere: Recorder
) -> None:
    server.plans["/sites"] = [lambda handler: handler.answer(b"", 302, Location=f"{elsewhere.url}/sites")]

    assert f"the API of Acme redirected the request to {elsewhere.url}/sites. The" in refusal(connect(), variables)
    assert elsewhere.connections == 0


def test_an_api_that_does_not_complete_its_response_is_an_error(
    connect: Callable[..., OAuthConfig], server: Api, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_request, "EXCHANGE_TIMEOUT", 0.3)

    def stall(handler: Handler) -> None:
        handler.answer(b"{", Content_Length="50")
        handler.rfile.read(1)  # until the client closes the connection

    server.plans["/sites"] = [stall]

    assert "no response from the API of Acme: ReadTimeout" in refusal(connect(), variables)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", b"nonsense\r\n\r\n"])
def test_a_broken_response_is_an_error(
    connect: Callable[..., OAuthConfig], server: Api, variables: dict[str, str], sent: bytes
) -> None:
    def break_off(handler: Handler) -> None:
        handler.wfile.write(sent)
        handler.close_connection = True

    server.plans["/sites"] = [break_off]

    assert "site could not be read from Acme: no response from the API of Acme: " in refusal(connect(), variables)
    assert server.paths == ["/sites"]


def test_after_an_error_the_earlier_grant_is_used(connect: Callable[..., OAuthConfig], server: Api) -> None:
    config = connect()
    authorize(config)
    server.sites = []
    with pytest.raises(ConsentDenied, match="Acme returned no site for this user"):
        authorize(config)

    assert OAuthHook("api").run("items").json() == {"path": "/ex/7/items"}
    grants.renew(config)


def test_a_triggerer_uses_the_site_of_a_new_consent_although_it_has_a_valid_token(
    connect: Callable[..., OAuthConfig], server: Api
) -> None:
    authorize(connect(vendor_values={"site": "1"}))
    config = connect()

    async def scenario() -> None:
        hook = OAuthAsyncHook("api")
        assert (await hook.run(endpoint=f"{server.url}/me")).ok
        await asyncio.to_thread(consent_in_another_process)
        assert await (await hook.run(endpoint="items")).json() == {"path": "/ex/7/items"}

    def consent_in_another_process() -> None:
        mine = dict(token_sources._sources)
        token_sources._sources.clear()
        authorize(config)
        token_sources._sources.update(mine)

    asyncio.run(scenario())
