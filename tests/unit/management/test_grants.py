"""The status of a grant, from what is stored, and the results of a test and of an authorization."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import ConsentRequired, UnrecognizedRefusal, UnsupportedGrantType
from airflow_provider_oauth.management import grants
from airflow_provider_oauth.management.grant_check import CHANGED, NOT_AUTHORIZED, NOT_TESTED, RENEW_TO_TEST, GrantCheck
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.runtime.variable_store import VariableTokenStore
from airflow_provider_oauth.tokens.record import Record, Refusal, fingerprint
from tests.connections import oauth_config

if TYPE_CHECKING:
    from requests_mock import Mocker

    from airflow_provider_oauth.management.status import ConnectionStatus
    from airflow_provider_oauth.protocol.config import OAuthConfig

pytestmark = pytest.mark.usefixtures("variables")

CONFIG = oauth_config(grant_type="authorization_code")
NOW = datetime.now(UTC)
ENDS = NOW + timedelta(days=30)
TOKEN = Token(access_token="fake-access", issued_at=NOW, expires_at=NOW + timedelta(days=1))
VALID_UNTIL = f"The token is valid until {TOKEN.expires_at:%Y-%m-%d %H:%M} UTC."
RECORD = Record(
    generation=1,
    nonce="n",
    tokens={"": TOKEN},
    refresh_token="fake-refresh",
    refresh_expires_at=ENDS,
)
REFUSAL = Refusal(error=ConsentRequired("the refresh token was refused"), until=NOW)


def status(config: OAuthConfig = CONFIG, record: Record | None = RECORD, **changes: Any) -> ConnectionStatus:
    """Return the status of a connection with ``changes``, whose record was written with ``config``."""
    if record:
        VariableTokenStore(config).write(record)
    return grants.status(replace(config, **changes))


def test_consent_by_is_when_the_refresh_token_expires() -> None:
    assert status().consent_by == ENDS


def test_consent_by_can_be_in_the_past() -> None:
    ended = replace(RECORD, refresh_expires_at=NOW - timedelta(days=1))

    assert status(record=ended).consent_by == NOW - timedelta(days=1)


def test_consent_by_is_none_if_the_server_did_not_report_it() -> None:
    assert status(record=replace(RECORD, refresh_expires_at=None)).consent_by is None


def test_consent_by_is_none_if_nothing_is_stored() -> None:
    assert status(record=None).consent_by is None


@pytest.mark.parametrize("changes", [{"client_secret": "fake-other"}, {"refresh_token": "fake-pasted"}])
def test_consent_by_is_none_if_the_stored_tokens_are_for_another_secret_or_refresh_token(
    changes: dict[str, str],
) -> None:
    assert status(**changes).consent_by is None


@pytest.mark.parametrize("gone", [{"refresh_token": None}, {"refused": REFUSAL}])
def test_consent_by_is_none_if_consent_is_needed_already(gone: dict[str, Any]) -> None:
    found = status(record=replace(RECORD, **gone))

    assert (found.needs_consent, found.consent_by) == (True, None)


def test_consent_by_is_none_if_the_grant_can_be_repeated() -> None:
    repeated = replace(CONFIG, grant_type="client_credentials", use_refresh=True)

    assert status(repeated).consent_by is None


def with_granted_scope(scope: str | None) -> ConnectionStatus:
    token = replace(RECORD.tokens[""], scope=scope)
    return status(replace(CONFIG, scope="read write admin"), replace(RECORD, tokens={"": token}))


def test_missing_scopes_were_requested_and_not_granted() -> None:
    assert with_granted_scope("read").missing_scopes == ("admin", "write")


@pytest.mark.parametrize("scope", [None, "admin read write", "read,write,admin"])
def test_missing_scopes_are_empty_if_all_were_granted(scope: str | None) -> None:
    assert with_granted_scope(scope).missing_scopes == ()


def test_missing_scopes_do_not_include_scopes_that_grant_no_access() -> None:
    config = replace(CONFIG, scope="openid offline_access read write")
    token = replace(RECORD.tokens[""], scope="read")

    assert status(config, replace(RECORD, tokens={"": token})).missing_scopes == ("write",)


def test_missing_scopes_are_empty_if_no_token_is_stored() -> None:
    assert status(replace(CONFIG, scope="read"), None).missing_scopes == ()


def test_missing_scopes_are_listed_after_an_authorization() -> None:
    with_granted_scope("read")
    renewable, text = grants.authorization_result(replace(CONFIG, scope="read write admin"), TOKEN)

    assert renewable
    assert text == (
        f"the authorization succeeded. {VALID_UNTIL} Tasks renew the token from now on. The server did not grant "
        f"these scopes: admin, write."
    )


def test_the_result_of_an_authorization_without_a_refresh_token_explains_how_to_request_one() -> None:
    status(record=replace(RECORD, refresh_token=None))
    renewable, text = grants.authorization_result(CONFIG, TOKEN)

    assert not renewable
    assert text.startswith(
        f"the authorization succeeded. {VALID_UNTIL} The server issued no refresh token, so tasks cannot renew the "
        f"token. "
    )
    assert "authorize_params" in text


def test_the_result_of_an_authorization_does_not_require_renewal_if_the_token_never_expires() -> None:
    never = replace(TOKEN, expires_at=None)
    status(record=replace(RECORD, refresh_token=None, tokens={"": never}))

    text = "the authorization succeeded. The token never expires. Tasks use the token until the API refuses it."
    assert grants.authorization_result(CONFIG, never) == (True, text)


WITH_REFRESH_TOKEN = replace(CONFIG, grant_type="refresh_token", refresh_token="fake-own")


def test_is_empty_is_true_if_nothing_was_ever_stored() -> None:
    assert grants.is_empty(CONFIG)


def test_is_empty_is_true_if_the_tokens_were_forgotten() -> None:
    VariableTokenStore(CONFIG).write(Record(generation=2, nonce="n"))
    assert grants.is_empty(CONFIG)


@pytest.mark.parametrize("gone", [{"tokens": {}}, {"refresh_token": None}, {}])
def test_is_empty_is_false_if_a_token_is_stored(gone: dict[str, Any]) -> None:
    VariableTokenStore(CONFIG).write(replace(RECORD, **gone))
    assert not grants.is_empty(CONFIG)


def test_is_empty_is_false_if_the_stored_tokens_cannot_be_decrypted() -> None:
    VariableTokenStore(CONFIG).write(RECORD)
    assert not grants.is_empty(replace(CONFIG, client_secret="fake-other"))


def test_is_empty_is_false_if_the_refresh_token_of_the_connection_is_unused() -> None:
    assert not grants.is_empty(WITH_REFRESH_TOKEN)
    used = Record(generation=2, nonce="n", used_refresh_tokens=(fingerprint("shop", "fake-own"),))
    VariableTokenStore(WITH_REFRESH_TOKEN).write(used)
    assert grants.is_empty(WITH_REFRESH_TOKEN)
    assert not grants.is_empty(replace(WITH_REFRESH_TOKEN, refresh_token="fake-new"))


def test_is_empty_is_false_if_the_record_could_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VariableTokenStore, "is_listed", lambda self: True)
    assert not grants.is_empty(CONFIG)


ACCEPTED = {"status_code": 400, "json": {"error": "invalid_grant"}}
UNRECOGNIZED = {"status_code": 400, "json": {"error": "x"}}


def run_test(
    requests_mock: Mocker, record: Record | None, response: dict[str, Any] = ACCEPTED, **changes: Any
) -> GrantCheck:
    """Run *Test* of the page and the command line, which know what is stored."""
    status(record=record)
    requests_mock.post(CONFIG.token_url, **response)
    found = grants.test(replace(CONFIG, **changes))
    assert requests_mock.call_count == 1
    assert "fake-" not in found.text + requests_mock.last_request.text.replace("fake-secret", "")
    return found


def test_a_test_of_a_working_connection_succeeds(requests_mock: Mocker) -> None:
    works, text, _ = run_test(requests_mock, RECORD)

    assert works is True
    assert text.endswith(f"Client ID, Client secret and Client authentication are correct. {NOT_TESTED}")


def test_a_test_recommends_authorization_if_no_user_has_authorized(requests_mock: Mocker) -> None:
    works, text, needs_authorization = run_test(requests_mock, None, warnings=("The extra field 'x' is ignored.",))

    assert works is True
    assert needs_authorization
    assert text.endswith(f"The extra field 'x' is ignored. {NOT_AUTHORIZED}")
    assert "refresh token was not tested" not in text


def test_a_test_recommends_authorization_if_the_connection_was_changed(requests_mock: Mocker) -> None:
    works, text, needs_authorization = run_test(requests_mock, RECORD, scope="other")

    assert works is True
    assert needs_authorization
    assert text.endswith(CHANGED)


@pytest.mark.parametrize("response", [ACCEPTED, UNRECOGNIZED])
def test_a_test_fails_if_the_refresh_token_was_refused(requests_mock: Mocker, response: dict[str, Any]) -> None:
    works, text, _ = run_test(requests_mock, replace(RECORD, refused=REFUSAL), response)

    assert works is False
    assert text.endswith("the refresh token was refused")


def test_a_test_fails_if_the_only_refresh_token_was_used(requests_mock: Mocker) -> None:
    works, text, _ = run_test(requests_mock, replace(RECORD, refresh_token=None), grant_type="refresh_token")

    assert works is False
    assert text.endswith("Obtain a new one and enter it in the field Refresh token.")


def test_a_test_is_inconclusive_if_the_refusal_is_not_recognized(requests_mock: Mocker) -> None:
    works, text, _ = run_test(requests_mock, RECORD, UNRECOGNIZED)

    assert works is None
    assert "does not show whether it rejected the client or the token" in text
    assert text.endswith(f"{NOT_TESTED} {RENEW_TO_TEST}")


def test_a_test_quotes_the_last_refusal_if_that_was_not_recognized_either(requests_mock: Mocker) -> None:
    refused = Refusal(error=UnrecognizedRefusal("The server refused, x"), until=NOW)
    works, text, _ = run_test(requests_mock, replace(RECORD, refused=refused), UNRECOGNIZED)

    assert works is None
    assert text.endswith(f"{NOT_TESTED} The server refused, x")


def test_a_test_recommends_authorization_if_nothing_is_stored_and_the_refusal_is_not_recognized(
    requests_mock: Mocker,
) -> None:
    works, text, needs_authorization = run_test(requests_mock, None, UNRECOGNIZED)

    assert works is None
    assert needs_authorization


@pytest.mark.parametrize("error", ["unsupported_grant_type", "unauthorized_client"])
def test_a_test_of_a_token_that_never_expires_needs_no_refresh_token(requests_mock: Mocker, error: str) -> None:
    never = replace(RECORD, refresh_token=None, tokens={"": replace(RECORD.tokens[""], expires_at=None)})
    works, text, _ = run_test(requests_mock, never, {"status_code": 400, "json": {"error": error}})

    assert works is None
    assert "refresh token was not tested" not in text


def test_a_test_fails_if_the_stored_refresh_token_cannot_be_used(requests_mock: Mocker) -> None:
    with pytest.raises(UnsupportedGrantType):
        run_test(requests_mock, RECORD, {"status_code": 400, "json": {"error": "unsupported_grant_type"}})


def test_a_test_lists_scopes_that_were_not_granted(requests_mock: Mocker) -> None:
    config = replace(CONFIG, scope="read write")
    VariableTokenStore(config).write(replace(RECORD, tokens={"": replace(RECORD.tokens[""], scope="read")}))
    requests_mock.post(CONFIG.token_url, **ACCEPTED)

    assert grants.test(config).text.endswith(f"{NOT_TESTED} The server did not grant these scopes: write.")
