from __future__ import annotations

import inspect
import json
import pickle
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_oauth import exceptions
from airflow_provider_oauth.exceptions import (
    ApiConnectionError,
    ApiConnectTimeout,
    ApiError,
    ApiTimeout,
    ConfigurationError,
    ConsentDenied,
    ConsentRequired,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    Overtaken,
    PartialWriteError,
    RecordLocked,
    RenewalTimeout,
    TokenRequestError,
    TokenResponseError,
    TokenStoreError,
    UnauthorizedClient,
    UnrecognizedRefusal,
    UnsupportedGrantType,
    WrongPassword,
    from_event,
    to_event,
)

TREE: dict[type[OAuthError], type[Exception]] = {
    OAuthError: AirflowException,
    ConfigurationError: OAuthError,
    TokenRequestError: OAuthError,
    InvalidClient: TokenRequestError,
    InvalidGrant: TokenRequestError,
    WrongPassword: InvalidGrant,
    InvalidRequest: TokenRequestError,
    UnauthorizedClient: TokenRequestError,
    UnsupportedGrantType: TokenRequestError,
    InvalidScope: TokenRequestError,
    UnrecognizedRefusal: TokenRequestError,
    TokenResponseError: OAuthError,
    TokenStoreError: OAuthError,
    Overtaken: TokenStoreError,
    RecordLocked: TokenStoreError,
    RenewalTimeout: OAuthError,
    ConsentRequired: OAuthError,
    ConsentDenied: OAuthError,
    ApiError: OAuthError,
    ApiConnectionError: ApiError,
    ApiTimeout: ApiError,
    ApiConnectTimeout: ApiConnectionError,
    PartialWriteError: ApiError,
}
NOT_RETRIED = {ConfigurationError, InvalidClient, WrongPassword, ConsentRequired, PartialWriteError}
REFUSAL: dict[str, Any] = {
    "error": "code",
    "error_description": "Words.",
    "error_uri": "https://docs.example.com",
    "status_code": 400,
    "retryable": True,
    "retry_after": 1.5,
}


def example(cls: type[OAuthError]) -> OAuthError:
    if issubclass(cls, TokenRequestError):
        return cls("Connection 'shop': é", **REFUSAL)
    return ApiError("404: Not Found", 404) if cls is ApiError else cls("Connection 'shop': é")


every = pytest.mark.parametrize("cls", TREE)


def test_the_tree_in_the_docstring_names_every_exception() -> None:
    defined = {
        cls for _, cls in inspect.getmembers(exceptions, inspect.isclass) if cls.__module__ == exceptions.__name__
    }

    assert defined == set(TREE)
    for cls in defined:
        assert cls.__name__ in (exceptions.__doc__ or "")


@every
def test_every_exception_has_the_documented_base_class(cls: type[OAuthError]) -> None:
    assert cls.__bases__[0] is TREE[cls]


@every
def test_an_exception_prevents_a_retry_only_if_a_retry_cannot_help(cls: type[OAuthError]) -> None:
    assert issubclass(cls, AirflowFailException) is (cls in NOT_RETRIED)


@every
def test_every_exception_can_be_raised_with_only_a_message(cls: type[OAuthError]) -> None:
    with pytest.raises(cls, match="^Connection 'shop': x$"):
        raise cls("Connection 'shop': x")


@every
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_exception_can_be_pickled(cls: type[OAuthError], protocol: int) -> None:
    error = example(cls)

    copy = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own

    assert type(copy) is cls
    assert (str(copy), vars(copy)) == (str(error), vars(error))


@every
def test_every_exception_can_be_sent_in_the_event_of_a_trigger(cls: type[OAuthError]) -> None:
    error = example(cls)

    copy = from_event(json.loads(json.dumps(to_event(error), allow_nan=False)))

    assert type(copy) is cls
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_an_event_is_not_changed_by_reading_it() -> None:
    event = to_event(example(InvalidGrant))
    before = dict(event)
    from_event(event)

    assert event == before


def test_an_event_has_the_fields_of_rfc_6749() -> None:
    assert to_event(example(InvalidGrant)) == {
        "type": "InvalidGrant",
        "message": "Connection 'shop': é",
        **REFUSAL,
    }
    assert to_event(example(TokenStoreError)) == {"type": "TokenStoreError", "message": "Connection 'shop': é"}
    assert to_event(example(ApiError)) == {"type": "ApiError", "message": "404: Not Found", "status_code": 404}


@pytest.mark.parametrize("fields", [{}, {"status_code": 400}, REFUSAL])
@pytest.mark.parametrize("name", ["OfALaterVersion", "SystemExit", "AirflowException", ""])
def test_an_event_of_an_unknown_type_is_an_oauth_error(name: str, fields: dict[str, Any]) -> None:
    # The triggerer may run another version of this package than the worker.
    error = from_event({"type": name, "message": "Connection 'shop': x", **fields})

    assert type(error) is OAuthError
    assert str(error) == "Connection 'shop': x"


def test_an_unknown_field_in_an_event_is_ignored() -> None:
    error = from_event({"type": "InvalidGrant", "message": "x", **REFUSAL, "later": 1})

    assert type(error) is InvalidGrant
    assert isinstance(error, InvalidGrant)
    assert error.status_code == 400


def test_a_token_request_error_has_defaults_for_all_fields() -> None:
    error = TokenRequestError("x")

    assert vars(error) == {
        "error": None,
        "error_description": None,
        "error_uri": None,
        "status_code": None,
        "retryable": False,
        "retry_after": None,
    }
