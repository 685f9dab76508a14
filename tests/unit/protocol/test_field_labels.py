"""Errors of the protocol layer name fields as the connection form does."""

from __future__ import annotations

from dataclasses import fields

import pytest

from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets import OAUTH
from airflow_provider_oauth.protocol.config import OAuthConfig, TransportOptions
from airflow_provider_oauth.protocol.field_labels import KEYS, LABELS, field_name

FORM_LABELS = {name: field.label.partition(" (")[0] for name, field in FIELDS.items() if field.shown}
STANDARD_LABELS = OAUTH.connection_type()["ui-field-behaviour"]["relabeling"]


@pytest.mark.parametrize(("name", "label"), LABELS.items())
def test_every_label_is_the_one_in_the_form(name: str, label: str) -> None:
    assert label == (FORM_LABELS | STANDARD_LABELS)[KEYS.get(name, name)]


def test_every_field_that_the_form_shows_has_a_label() -> None:
    names = {field.name for cls in (OAuthConfig, TransportOptions) for field in fields(cls)}
    assert set(FORM_LABELS) | set(STANDARD_LABELS) == {KEYS.get(name, name) for name in LABELS}
    assert set(LABELS) <= names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("token_url", "Token URL (grant_url)"),
        ("client_id", "Client ID (login)"),
        ("scope", "Scope (scope)"),
        ("verify", "verify"),
    ],
)
def test_a_field_is_named_by_its_label_and_its_key(name: str, shown: str) -> None:
    assert field_name(name) == shown
