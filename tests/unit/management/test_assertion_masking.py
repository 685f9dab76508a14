"""Every assertion that an action of a person sends is masked in logs before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.protocol.clock import Clock
from airflow_provider_oauth.runtime import masking
from tests.connections import TOKEN_URL, oauth_config
from tests.keys import ec_key, pem

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests_mock import Mocker

    from airflow_provider_oauth.protocol.config import OAuthConfig

pytestmark = pytest.mark.usefixtures("variables")

BACK = "https://airflow.example.com/oauth/callback"
REQUEST = AuthorizationRequest(conn_id="shop", redirect_uri=BACK, state="s", code_verifier="fake-verifier")
TOKEN = {"access_token": "fake-access", "refresh_token": "fake-refresh", "expires_in": 3600}
REVOKE_URL = "https://login.example.com/revoke"
PAR_URL = "https://login.example.com/par"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clock, "sleep", lambda self, seconds, stop=None: None)


@pytest.fixture
def sent(requests_mock: Mocker) -> list[str]:
    """Return the list of all assertions that are sent. Each one must have been masked before."""
    assertions: list[str] = []

    def respond(request: Any, context: Any) -> dict[str, Any]:
        fields = parse_qs(request.body.decode())
        found = [value for name in ("client_assertion", "assertion") for value in fields.get(name, [])]
        assert found
        assert all(each in masking._masked for each in found)
        assertions.extend(found)
        return {**TOKEN, "request_uri": "urn:x", "expires_in": 60}

    for url in (TOKEN_URL, REVOKE_URL, PAR_URL):
        requests_mock.post(url, json=respond)
    return assertions


def config(**changes: Any) -> OAuthConfig:
    values: dict[str, Any] = {
        "client_auth": "private_key_jwt",
        "client_secret": None,
        "private_key": pem(ec_key()),
        "authorize_url": "https://login.example.com/authorize",
        "revoke_url": REVOKE_URL,
    }
    return oauth_config(**values | changes)


def finish(config: OAuthConfig) -> None:
    grants.finish_authorization(config, REQUEST, f"{BACK}?state=s&code=c")


def finish_and_revoke(config: OAuthConfig) -> None:
    finish(config)
    grants.revoke(config)


@pytest.mark.parametrize(
    ("action", "changes", "count"),
    [
        (grants.test, {}, 1),
        (grants.renew, {}, 1),
        (grants.test, {"grant_type": "jwt_bearer", "client_auth": "none"}, 1),
        (grants.renew, {"grant_type": "jwt_bearer"}, 2),
        (grants.test, {"grant_type": "authorization_code"}, 1),
        (finish, {"grant_type": "authorization_code"}, 1),
        (finish_and_revoke, {"grant_type": "authorization_code"}, 3),
        (
            lambda config: grants.begin_authorization(config, REQUEST),
            {"grant_type": "authorization_code", "par_url": PAR_URL},
            1,
        ),
    ],
)
def test_every_action_masks_its_assertions(
    sent: list[str], action: Callable[[OAuthConfig], object], changes: dict[str, Any], count: int
) -> None:
    action(config(**changes))

    assert len(sent) == len(set(sent)) == count


def test_an_assertion_that_the_server_refuses_is_masked_too(sent: list[str], requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, status_code=400, json={"error": "invalid_client"})

    with pytest.raises(OAuthError):
        grants.test(config())

    (assertion,) = parse_qs(requests_mock.last_request.body.decode())["client_assertion"]
    assert assertion in masking._masked
