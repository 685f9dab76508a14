"""What the page says of a connection, and what it offers to do with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_oauth.management.connections import Overview
from airflow_provider_oauth.management.grants import Status
from airflow_provider_oauth.protocol.token import Token
from airflow_provider_oauth.ui.app import LABELS
from airflow_provider_oauth.ui.page import FlashMessage, Row, render
from sandbox.user_agent import read_page
from tests.connections import oauth_config

CONFIG = oauth_config(
    revoke_url="https://login.example.com/revoke",
    grant_type="authorization_code",
)
TOKEN = Token(
    access_token="fake-access",
    issued_at=datetime(2026, 1, 1, 10, 0, tzinfo=UTC),
    expires_at=datetime(2026, 1, 1, 11, 0, tzinfo=UTC),
)
STATUS = Status(token=TOKEN, usable=True, changed=False, needs_consent=False, consent_by=None, error="")
NONE = replace(STATUS, token=None, usable=False, needs_consent=True)
VALUES: dict[str, Any] = {
    "root": "/air/oauth",
    "airflow": "/air",
    "redirect_uri": "https://airflow.example.com/air/oauth/callback",
    "flash": None,
    "conn_id": "",
    "user": "ann",
    "csrf_token": "fake-form-token",
    "labels": LABELS,
}


def row(
    status: Status | None = STATUS, can_edit: bool = True, conn_id: str = "shop", error: str = "", **config: Any
) -> Row:
    shown = Overview(conn_id=conn_id, conn_type="oauth", config=replace(CONFIG, **config), status=status, error=error)
    return Row(overview=shown, can_edit=can_edit)


def page(*rows: Row, **values: Any) -> str:
    return render(list(rows), **{**VALUES, **values})


class TestActions:
    def test_are_all_where_there_is_a_token(self) -> None:
        assert row().actions == ["test", "authorize", "renew", "revoke", "forget"]

    def test_are_none_for_who_may_only_look(self) -> None:
        assert row(can_edit=False).actions == []

    def test_are_none_where_nobody_knows_what_the_connection_means(self) -> None:
        broken = Overview(conn_id="shop", conn_type="oauth", error="Token URL is missing")

        assert Row(overview=broken, can_edit=True).actions == []

    def test_are_no_renewal_where_a_person_has_to_consent(self) -> None:
        assert row(NONE).actions == ["test", "authorize", "forget"]

    def test_are_no_renewal_where_the_token_never_expires(self) -> None:
        never = replace(STATUS, token=replace(TOKEN, expires_at=None))

        assert row(never).actions == ["test", "authorize", "revoke", "forget"]

    def test_are_no_consent_to_another_grant(self) -> None:
        assert row(grant_type="client_credentials").actions == ["test", "renew", "revoke", "forget"]
        assert row(grant_type="refresh_token").actions == ["test", "renew", "revoke", "forget"]

    def test_are_no_revocation_where_the_server_has_none(self) -> None:
        assert "revoke" not in row(revoke_url=None).actions
        assert "revoke" in row(revoke_url=None, issuer="https://login.example.com").actions

    def test_are_no_revocation_of_what_cannot_be_opened(self) -> None:
        assert row(replace(NONE, changed=True)).actions == ["test", "authorize", "forget"]

    def test_are_only_tests_where_the_record_cannot_be_read(self) -> None:
        assert row(None).actions == ["test", "authorize", "renew"]


class TestWords:
    @pytest.mark.parametrize(
        ("status", "token"),
        [
            (STATUS, "usable"),
            (replace(STATUS, usable=False), "ended"),
            (NONE, "none"),
            (replace(NONE, changed=True), "changed"),
            (None, "unknown"),
        ],
    )
    def test_for_the_token(self, status: Status | None, token: str) -> None:
        assert row(status).overview.token == token

    def test_for_the_consent(self) -> None:
        assert row().overview.consent == "given"
        assert row(NONE).overview.consent == "needed"
        assert row(grant_type="refresh_token").overview.consent == "given"
        assert row(grant_type="client_credentials").overview.consent == ""
        assert row(None).overview.consent == ""


class TestPage:
    def test_shows_a_row_a_connection(self) -> None:
        ends = datetime(2026, 2, 1, tzinfo=UTC)
        cells = read_page(page(row(replace(STATUS, consent_by=ends)))).rows["shop"]

        assert cells[:5] == ["shop oauth", "authorization_code", "usable", "2026-01-01 10:00", "2026-01-01 11:00"]
        assert cells[5] == "given until 2026-02-01 00:00, unless renewed before"

    def test_shows_that_a_token_never_expires(self) -> None:
        cells = read_page(page(row(replace(STATUS, token=replace(TOKEN, expires_at=None))))).rows["shop"]

        assert cells[2:6] == ["usable", "2026-01-01 10:00", "never", "given"]

    def test_has_a_form_with_its_token_for_every_action(self) -> None:
        *forms, search = read_page(page(row())).forms

        assert [form.action for form in forms] == [f"/air/oauth/connections/shop/{each}" for each in row().actions]
        assert all(form.fields == {"csrf_token": "fake-form-token"} for form in forms)
        assert [list(form.buttons) for form in forms] == [
            ["Test"], ["Authorize"], ["Renew now"], ["Revoke"], ["Forget"],
        ]  # fmt: skip
        assert search.fields == {"conn_id": ""}

    def test_says_of_every_button_which_connection_it_is_for(self) -> None:
        html = page(row(), row(conn_id="other"))

        for label in ("Test", "Authorize", "Renew now", "Revoke", "Forget"):
            assert f'aria-label="{label} shop"' in html
            assert f'aria-label="{label} other"' in html

    def test_has_no_csrf_token_for_who_may_only_look(self) -> None:
        assert "fake-form-token" not in page(row(can_edit=False))

    def test_has_nothing_secret(self) -> None:
        html = page(row(), row(NONE), row(can_edit=False))

        assert "fake-access" not in html
        assert "fake-secret" not in html

    @pytest.mark.parametrize("conn_id", ["<b>x</b>", '"><script>alert(1)</script>', "{{ 7*7 }}", "a&b'c"])
    def test_escapes_what_others_have_written(self, conn_id: str) -> None:
        html = page(
            row(conn_id=conn_id, error=conn_id, warnings=(conn_id,)),
            flash=FlashMessage(False, conn_id),
            conn_id=conn_id,
            user=conn_id,
            redirect_uri=conn_id,
            csrf_token=conn_id,
        )

        assert conn_id not in html.replace("{{ 7*7 }}", conn_id if conn_id != "{{ 7*7 }}" else "")
        assert "<script>alert" not in html
        assert read_page(html).flash == conn_id
        assert conn_id in read_page(html).rows

    @pytest.mark.parametrize(
        ("conn_id", "path"),
        [("a b", "a%20b"), ("a/b#c?d", "a%2Fb%23c%3Fd"), ("a/../b", "a%2F..%2Fb"), ("ü", "%C3%BC"), ("a\\b", "a%5Cb")],
    )
    def test_leads_to_a_connection_of_any_id(self, conn_id: str, path: str) -> None:
        assert read_page(page(row(conn_id=conn_id))).forms[0].action == f"/air/oauth/connections/{path}/test"

    def test_says_what_is_wrong_and_what_was_ignored(self) -> None:
        html = page(row(error="the secret is wrong", warnings=("The extra field 'x' is unknown.",)))

        assert '<p class="error">the secret is wrong</p>' in html
        assert "<p>The extra field &#39;x&#39; is unknown.</p>" in html

    def test_lists_scopes_that_were_not_granted(self) -> None:
        assert "<p>Not granted: admin, write.</p>" in page(row(replace(STATUS, missing_scopes=("admin", "write"))))
        assert "Not granted" not in page(row())

    def test_says_that_the_tokens_of_a_public_client_are_not_encrypted(self) -> None:
        note = "The connection has no secret, so its tokens are stored unencrypted"
        assert note in page(row(client_secret=None, client_auth="none"))
        assert note not in page(row())
        assert note not in page(row(client_secret=None, client_auth="none", secret_headers={"X-Key": "fake-key"}))

    @pytest.mark.parametrize(
        ("good", "start"),
        [
            (True, '<p class="flash success" role="status"'),
            (False, '<p class="flash failure" role="alert"'),
            (None, '<p class="flash " role="status"'),
        ],
    )
    def test_tells_good_news_from_bad_and_from_neither(self, good: bool | None, start: str) -> None:
        assert f'{start} tabindex="-1">well</p>' in page(flash=FlashMessage(good, "well"))

    def test_says_what_to_do_where_there_is_nothing(self) -> None:
        assert '<a href="/air/connections">Add one</a>' in page()
        assert "Add one" not in page(conn_id="shop")

    def test_says_which_redirect_uri_the_server_has_to_know(self) -> None:
        assert "<code>https://airflow.example.com/air/oauth/callback</code>" in page()
        assert "<code>[api] base_url</code> first" in page(redirect_uri="")
