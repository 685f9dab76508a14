"""A consent that is under way: believed once, in time, and from who has begun it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_oauth.exceptions import ConsentDenied
from airflow_provider_oauth.protocol.authorization import AuthorizationRequest
from airflow_provider_oauth.runtime import airflow_variables
from airflow_provider_oauth.ui import pending

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAME = "oauth_consent__shop"
CONSENT = AuthorizationRequest(
    conn_id="shop",
    redirect_uri="https://airflow.example.com/oauth/callback",
    state="fake-state",
    code_verifier="fake-verifier",
)


def begin(consent: AuthorizationRequest = CONSENT, user: str = "ann") -> str:
    """Begin a consent, and return the value of the browser's cookie."""
    return pending.begin(consent, user, NOW).value


def take(
    cookie: str, conn_id: str = "shop", state: str = "fake-state", user: str = "ann", seconds: float = 5
) -> AuthorizationRequest:
    return pending.take(conn_id, state, cookie, user, NOW + timedelta(seconds=seconds))


@pytest.mark.usefixtures("kept")
class TestTaking:
    def test_gives_back_what_was_begun(self) -> None:
        assert take(begin()) == CONSENT

    def test_works_once(self) -> None:
        cookie = begin()
        take(cookie)

        with pytest.raises(ConsentDenied, match="belongs to nothing that was begun in this browser"):
            take(cookie)

    def test_works_for_ten_minutes(self) -> None:
        assert take(begin(), seconds=599) == CONSENT

    def test_is_too_late_after_ten_minutes_and_stays_so(self, kept: dict[str, str]) -> None:
        cookie = begin()

        with pytest.raises(ConsentDenied, match="took over ten minutes"):
            take(cookie, seconds=600)
        assert NAME not in kept
        with pytest.raises(ConsentDenied):
            take(cookie)

    def test_loses_to_another_that_is_a_moment_earlier(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cookie = begin()
        monkeypatch.setattr(pending, "delete_pending", lambda conn_id: False)

        with pytest.raises(ConsentDenied, match="was finished already"):
            take(cookie)

    @pytest.mark.parametrize(
        "changes", [{"state": "fake-other"}, {"state": ""}, {"state": "é"}, {"user": "bob"}, {"conn_id": "other"}]
    )
    def test_is_refused_for_another_question_user_or_connection(
        self, kept: dict[str, str], changes: dict[str, str]
    ) -> None:
        cookie = begin()

        with pytest.raises(ConsentDenied, match="Nothing was changed"):
            take(cookie, **changes)
        assert NAME in kept  # who guesses does not spoil it for who has begun

    @pytest.mark.parametrize("cookie", ["", ".", "fake-other.c2hvcA", "fake-verifie.c2hvcA", "é.é"])
    def test_is_refused_with_another_cookie(self, cookie: str) -> None:
        begin()

        with pytest.raises(ConsentDenied, match="belongs to nothing"):
            take(cookie)

    def test_is_refused_where_nothing_was_begun(self) -> None:
        with pytest.raises(ConsentDenied, match="Connection 'shop': This answer belongs to nothing"):
            take("fake-verifier.c2hvcA")

    @pytest.mark.parametrize(
        "edited",
        [
            "",
            "x",
            "5",
            "null",
            "[1]",
            "[[]]",
            '"text"',
            "{}",
            '{"state": 5}',
            '{"expires_at": 5}',
            '{"expires_at": "x"}',
        ],
    )
    def test_is_refused_where_somebody_has_edited_the_variable(self, kept: dict[str, str], edited: str) -> None:
        cookie = begin()
        kept[NAME] = edited

        with pytest.raises(ConsentDenied, match="belongs to nothing"):
            take(cookie)

    @pytest.mark.parametrize("name", ["state", "verifier", "user"])
    @pytest.mark.parametrize("value", [None, 5, "", "é", "\ud800", ["x"]])
    def test_is_refused_where_a_fingerprint_was_edited(self, kept: dict[str, str], name: str, value: object) -> None:
        cookie = begin()
        kept[NAME] = json.dumps({**json.loads(kept[NAME]), name: value})

        with pytest.raises(ConsentDenied, match="belongs to nothing"):
            take(cookie)

    def test_is_refused_for_what_was_begun_before(self) -> None:
        cookie = begin()
        begin(AuthorizationRequest(conn_id="shop", redirect_uri="https://airflow.example.com/oauth/callback"))

        with pytest.raises(ConsentDenied):
            take(cookie)


class TestBeginning:
    def test_keeps_nothing_secret(self, kept: dict[str, str]) -> None:
        begin()

        assert json.loads(kept[NAME]).keys() == {"state", "verifier", "user", "redirect_uri", "expires_at"}
        assert json.loads(kept[NAME])["expires_at"] == "2026-01-01T12:10:00+00:00"
        for secret in ("fake-state", "fake-verifier", "ann"):
            assert secret not in kept[NAME]

    @pytest.mark.usefixtures("kept")
    def test_gives_each_consent_a_cookie_of_its_own(self) -> None:
        other = AuthorizationRequest(conn_id="shop", redirect_uri=CONSENT.redirect_uri)
        first, second = pending.begin(CONSENT, "ann", NOW), pending.begin(other, "ann", NOW)

        assert first.name == pending.cookie_name(pending.consent_id("fake-state")) != second.name
        assert "fake-state" not in first.name

    @pytest.mark.usefixtures("kept")
    @pytest.mark.parametrize("conn_id", ["shop", "a/b#c d", 'ünï;=,"cödé', "x" * 250])
    def test_names_the_connection_in_the_cookie(self, conn_id: str) -> None:
        cookie = begin(AuthorizationRequest(conn_id=conn_id, redirect_uri=CONSENT.redirect_uri))

        assert pending.conn_id_of(cookie) == conn_id
        assert cookie.isascii()
        assert not set(cookie) & set(' ",;\\=')

    def test_is_kept_under_a_name_that_airflow_takes(self, kept: dict[str, str]) -> None:
        begin(AuthorizationRequest(conn_id="a/b#c d", redirect_uri=CONSENT.redirect_uri))

        assert list(kept) == [airflow_variables.variable_name("oauth_consent__", "a/b#c d")]


@pytest.mark.parametrize("cookie", [None, "", "x", "x.é", "x._", "x./w", "x.gICA"])
def test_a_cookie_that_names_no_connection_is_refused(cookie: str | None) -> None:
    with pytest.raises(ConsentDenied, match="belongs to nothing"):
        pending.conn_id_of(cookie)
