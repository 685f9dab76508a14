"""What the page shows of a connection, and which buttons it has."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.management.status import ConnectionStatus
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.ui.page import (
    CONSENT_STATES,
    GRANT_LABELS,
    TOKEN_STATES,
    FlashMessage,
    actions_of,
    format_status,
    render,
)
from sandbox.user_agent import read_page
from tests.connections import oauth_config

CONFIG = oauth_config(revoke_url="https://login.example.com/revoke", grant_type="authorization_code")
TOKEN = Token(
    access_token="fake-access",
    issued_at=datetime(2026, 1, 1, 10, 0, tzinfo=UTC),
    expires_at=datetime(2026, 1, 1, 11, 0, tzinfo=UTC),
)
STATUS = ConnectionStatus(conn_id="shop", conn_type="oauth", config=CONFIG, token=TOKEN, usable=True)
NO_TOKEN = replace(STATUS, token=None, usable=False, needs_consent=True)
UNKNOWN = ConnectionStatus(conn_id="shop", conn_type="oauth", config=CONFIG, is_known=False)
INVALID = ConnectionStatus(
    conn_id="shop", conn_type="oauth", is_known=False, error="Connection 'shop': Token URL (grant_url) is missing."
)
VALUES: dict[str, Any] = {
    "root": "/air/oauth",
    "airflow": "/air",
    "redirect_uri": "https://airflow.example.com/air/oauth/callback",
    "flash": None,
    "conn_id": "",
    "user": "ann",
    "csrf_token": "fake-form-token",
}


def configured(status: ConnectionStatus = STATUS, **changes: Any) -> ConnectionStatus:
    """Return a status of a connection with other settings."""
    return replace(status, config=replace(CONFIG, **changes))


def page(*statuses: ConnectionStatus, can_edit: bool = True, result: FlashMessage | None = None, **values: Any) -> str:
    rows = [format_status(status, can_edit=can_edit, flash=result) for status in statuses]
    return render(rows, **{**VALUES, **values})


def test_the_actions_are_all_if_a_token_is_stored() -> None:
    assert actions_of(STATUS) == ["test", "authorize", "renew", "revoke", "forget"]


def test_the_actions_do_not_include_renewal_if_consent_is_needed() -> None:
    assert actions_of(NO_TOKEN) == ["test", "authorize", "forget"]


def test_the_actions_do_not_include_renewal_if_the_token_never_expires() -> None:
    never = replace(STATUS, token=replace(TOKEN, expires_at=None))

    assert actions_of(never) == ["test", "authorize", "revoke", "forget"]


def test_the_actions_include_authorization_only_for_the_authorization_code_grant() -> None:
    assert actions_of(configured(grant_type="client_credentials")) == ["test", "renew", "revoke", "forget"]
    assert actions_of(configured(grant_type="refresh_token")) == ["test", "renew", "revoke", "forget"]


def test_the_actions_include_revocation_only_if_the_server_may_have_an_endpoint_for_it() -> None:
    assert "revoke" not in actions_of(configured(revoke_url=None))
    assert "revoke" in actions_of(configured(revoke_url=None, issuer="https://login.example.com"))


def test_the_actions_do_not_include_revocation_if_the_tokens_cannot_be_decrypted() -> None:
    assert actions_of(replace(NO_TOKEN, changed=True)) == ["test", "authorize", "forget"]


def test_the_actions_do_not_include_deletion_if_the_record_cannot_be_read() -> None:
    assert actions_of(UNKNOWN) == ["test", "authorize", "renew"]


def test_the_actions_are_only_the_test_of_an_invalid_connection() -> None:
    assert actions_of(INVALID) == ["test"]


def test_the_labels_of_grants_begin_as_in_the_form() -> None:
    choices = FIELDS["grant_type"].choices or {}

    assert GRANT_LABELS.keys() == choices.keys()
    assert all(choices[name].startswith(label) for name, label in GRANT_LABELS.items())


@pytest.mark.parametrize(
    ("status", "label"),
    [
        (STATUS, "Valid"),
        (replace(STATUS, usable=False), "Expired"),
        (NO_TOKEN, "Not stored"),
        (replace(NO_TOKEN, changed=True), "Not usable"),
        (UNKNOWN, "Unknown"),
    ],
)
def test_the_label_of_the_token_is_its_state(status: ConnectionStatus, label: str) -> None:
    assert read_page(page(status)).rows["shop"][2] == label


def test_the_label_of_the_consent_is_its_state() -> None:
    assert read_page(page(STATUS)).rows["shop"][5] == "Given"
    assert read_page(page(NO_TOKEN)).rows["shop"][5] == "Needed"
    assert read_page(page(configured(grant_type="client_credentials"))).rows["shop"][5] == ""


def test_the_labels_have_an_explanation_in_a_tooltip_and_in_the_legend() -> None:
    html = page(STATUS)

    assert f'title="{TOKEN_STATES["usable"].meaning}">Valid</span>' in html
    for state in (*TOKEN_STATES.values(), *CONSENT_STATES.values()):
        assert f"<dd>{state.meaning}</dd>" in html


def test_the_page_shows_the_callback_values_escaped() -> None:
    html = page(replace(STATUS, callback={"realm_id": "123", "shop": "<b>x"}))

    assert read_page(html).rows["shop"][5] == "Given realm_id: 123 shop: <b>x"
    assert "<b>x" not in html


def test_the_page_has_one_row_per_connection() -> None:
    ends = datetime(2026, 2, 1, tzinfo=UTC)
    cells = read_page(page(replace(STATUS, consent_by=ends))).rows["shop"]

    assert cells[:5] == [
        "shop OAuth 2.0 API", "Authorization code", "Valid", "2026-01-01 10:00", "2026-01-01 11:00",
    ]  # fmt: skip
    assert cells[5] == "Given until 2026-02-01 00:00; a renewal may extend it"


def test_the_page_shows_that_a_token_never_expires() -> None:
    cells = read_page(page(replace(STATUS, token=replace(TOKEN, expires_at=None)))).rows["shop"]

    assert cells[2:6] == ["Valid", "2026-01-01 10:00", "never", "Given"]


def test_the_page_has_a_form_with_a_csrf_token_for_every_action() -> None:
    *forms, search = read_page(page(STATUS)).forms

    assert [form.action for form in forms] == [f"/air/oauth/connections/shop/{each}" for each in actions_of(STATUS)]
    assert all(form.fields == {"csrf_token": "fake-form-token"} for form in forms)
    assert [list(form.buttons) for form in forms] == [
        ["Test"], ["Authorize"], ["Renew now"], ["Revoke"], ["Forget"],
    ]  # fmt: skip
    assert search.fields == {"conn_id": ""}


def test_the_page_names_the_connection_of_every_button() -> None:
    html = page(STATUS, replace(INVALID, conn_id="other"))

    for label in ("Test", "Authorize", "Renew now", "Revoke", "Forget"):
        assert f'aria-label="{label} shop"' in html
    for label in ("Test", "Edit"):
        assert f'aria-label="{label} other"' in html


def test_the_page_explains_the_consequences_of_a_deletion() -> None:
    html = page(STATUS)

    assert (
        "<p>The server will make the tokens invalid, and Airflow will delete them. A user must then authorize" in html
    )
    assert "<p>Airflow will delete the stored tokens. The server will not be notified" in html


def test_the_page_has_no_buttons_and_no_csrf_token_for_users_who_cannot_edit() -> None:
    html = page(STATUS, INVALID, can_edit=False)

    assert "fake-form-token" not in html
    assert [form.action for form in read_page(html).forms] == ["/air/oauth/"]
    assert ">Edit</a>" not in html
    assert "Buttons are shown only for connections that you are allowed to edit." in html
    assert "allowed to edit" not in page(STATUS)


def test_the_page_has_no_secrets() -> None:
    html = page(STATUS, NO_TOKEN)

    assert "fake-access" not in html
    assert "fake-secret" not in html


@pytest.mark.parametrize("conn_id", ["<b>x</b>", '"><script>alert(1)</script>', "{{ 7*7 }}", "a&b'c"])
def test_the_page_escapes_all_values(conn_id: str) -> None:
    status = replace(configured(warnings=(conn_id,)), conn_id=conn_id, conn_type=conn_id, error=conn_id)
    html = page(
        status,
        flash=FlashMessage(False, conn_id),
        conn_id=conn_id,
        user=conn_id,
        redirect_uri=conn_id,
        csrf_token=conn_id,
    )
    with_result = page(status, result=FlashMessage(False, conn_id, conn_id))

    assert conn_id not in html.replace("{{ 7*7 }}", conn_id if conn_id != "{{ 7*7 }}" else "")
    assert "<script>alert" not in html + with_result
    assert read_page(html).flash == conn_id
    assert read_page(with_result).flash.endswith(conn_id)
    assert conn_id in read_page(html).rows


@pytest.mark.parametrize(
    ("conn_id", "path"),
    [("a b", "a%20b"), ("a/b#c?d", "a%2Fb%23c%3Fd"), ("a/../b", "a%2F..%2Fb"), ("ü", "%C3%BC"), ("a\\b", "a%5Cb")],
)
def test_the_page_has_forms_for_connections_with_any_id(conn_id: str, path: str) -> None:
    form = read_page(page(replace(STATUS, conn_id=conn_id))).forms[0]

    assert form.action == f"/air/oauth/connections/{path}/test"


def test_the_page_shows_errors_and_ignored_settings() -> None:
    html = page(
        replace(configured(warnings=("The field 'x' is unknown.",)), error="Connection 'shop': the secret is wrong")
    )

    assert '<p class="error">The secret is wrong</p>' in html
    assert "<p>The field &#39;x&#39; is unknown.</p>" in html


def test_the_page_lists_scopes_that_were_not_granted() -> None:
    assert "<p>The server did not grant these scopes: admin, write.</p>" in page(
        replace(STATUS, missing_scopes=("admin", "write"))
    )
    assert "did not grant" not in page(STATUS)


def test_the_page_warns_that_the_tokens_of_a_public_client_are_not_encrypted() -> None:
    note = "The connection has no secret, so its tokens are stored unencrypted"
    assert note in page(configured(client_secret=None, client_auth="none"))
    assert note not in page(STATUS)
    assert note not in page(configured(client_secret=None, client_auth="none", secret_headers={"X-Key": "fake-key"}))


def test_the_page_recommends_what_to_do_if_there_are_no_connections() -> None:
    assert '<a href="/air/connections">Add one</a>' in page()
    assert "Add one" not in page(conn_id="shop")


def test_the_page_shows_the_redirect_uri_above_the_table() -> None:
    html = page(STATUS)

    uri = '<code id="redirect-uri">https://airflow.example.com/air/oauth/callback</code>'
    assert html.index(uri) < html.index("<table>")
    assert "set <code>[api] base_url</code>" in page(redirect_uri="")


def test_the_page_hides_what_needs_scripts() -> None:
    html = page(STATUS)

    assert '<button type="button" id="copy" hidden>' in html
    assert '<p class="bar" id="filter" hidden>' in html


def test_the_page_can_be_filtered_by_id_type_grant_and_states() -> None:
    assert '<tbody data-filter="shop oauth 2.0 api authorization code valid given">' in page(STATUS)


def test_an_invalid_connection_can_be_tested_and_edited() -> None:
    html = page(INVALID)

    assert [list(form.buttons) for form in read_page(html).forms][0] == ["Test"]
    assert 'href="/air/connections?name_pattern=shop"' in html


def test_an_invalid_connection_shows_the_error_without_the_id_that_the_row_has() -> None:
    assert '<p class="error">Token URL (grant_url) is missing.</p>' in page(INVALID)


def test_an_invalid_connection_has_no_link_to_the_form_if_it_is_not_in_the_database() -> None:
    assert format_status(INVALID, can_edit=True, in_database=False)["edit_query"] == ""


@pytest.mark.parametrize(("conn_id", "query"), [("a&b c", "a%26b+c"), ("ü#", "%C3%BC%23")])
def test_an_invalid_connection_with_any_id_has_a_link_to_the_form(conn_id: str, query: str) -> None:
    row = format_status(replace(INVALID, conn_id=conn_id), can_edit=True)

    assert row["edit_query"] == f"name_pattern={query}"


def test_an_invalid_connection_shows_its_error_once_after_a_test() -> None:
    html = page(INVALID, result=FlashMessage(False, INVALID.error, "shop"))

    assert html.count("Token URL (grant_url) is missing.") == 1


@pytest.mark.parametrize(
    ("success", "start"),
    [
        (True, '<p class="flash success" role="status"'),
        (False, '<p class="flash failure" role="alert"'),
        (None, '<p class="flash " role="status"'),
    ],
)
def test_the_result_distinguishes_success_failure_and_neither(success: bool | None, start: str) -> None:
    assert f'{start} tabindex="-1">well</p>' in page(flash=FlashMessage(success, "well"))
    assert f'{start} tabindex="-1"><span' in page(STATUS, result=FlashMessage(success, "well", "shop"))


def test_the_result_is_shown_in_the_row_of_its_connection() -> None:
    html = page(
        replace(STATUS, conn_id="other"), STATUS, result=FlashMessage(True, "Connection 'shop': renewed.", "shop")
    )

    assert re.search(r'id="row-shop".*<p class="flash success".*>Connection .*</span>Renewed\.</p>', html, re.DOTALL)
    assert html.count("Renewed.") == 1
    assert read_page(html).flash == "Connection 'shop': Renewed."


def test_the_result_has_an_empty_live_region_in_every_other_row() -> None:
    html = page(replace(STATUS, conn_id="other"), STATUS, result=FlashMessage(True, "renewed", "shop"))

    assert html.count('<p class="flash" role="status"></p>') == 1
