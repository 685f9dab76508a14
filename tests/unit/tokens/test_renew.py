"""Renewing immediately, when a user requests it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_oauth.exceptions import (
    ConsentRequired,
    InvalidGrant,
)

if TYPE_CHECKING:
    from tests.unit.tokens.world import World


def test_renew_ignores_the_token_in_memory(authorized: World) -> None:
    here, there = authorized.process(), authorized.process()
    first = here.renew()
    second = there.renew()
    third = here.renew()

    assert len({each.access_token for each in (first, second, third)}) == 3
    assert authorized.store.record.tokens[""].access_token == third.access_token
    assert len(authorized.endpoint.requests) == 3


def test_renew_fails_after_another_process_has_forgotten_the_tokens(authorized: World) -> None:
    here = authorized.process()
    here.renew()
    authorized.process().actions.forget()

    with pytest.raises(ConsentRequired):
        here.renew()


def test_renew_fails_if_the_server_refuses_even_if_the_token_is_usable(authorized: World) -> None:
    here = authorized.process()
    here.renew()
    authorized.endpoint.errors = [InvalidGrant("no", error="invalid_grant")]

    with pytest.raises(ConsentRequired):
        here.renew()


def test_a_refresh_does_not_change_the_user(authorized: World) -> None:
    issue = authorized.endpoint.refresh

    def of_another(refresh_token: str, access_token: str | None = None, *, retry: bool = True) -> Any:
        return replace(issue(refresh_token, access_token, retry=retry), subject="mallory")

    authorized.store.record = replace(authorized.store.record, subject="ada")
    authorized.endpoint.refresh = of_another
    authorized.process().renew()

    assert authorized.store.record.subject == "ada"
