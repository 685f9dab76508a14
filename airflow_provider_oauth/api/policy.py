"""The rules for requests to the API: where a token may be sent, what is added, and what a 401 or 403 means.

``requests_auth.py`` and ``aiohttp_auth.py`` apply these rules. They get a token. If the URL belongs to the API, they
add the token and the connection's headers and parameters. Then they send the request. If the API refuses the token,
they get another token and repeat the request once.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

from airflow_provider_oauth.api.additions import ApiAdditions
from airflow_provider_oauth.exceptions import OAuthError
from airflow_provider_oauth.protocol.field_labels import field_name

if TYPE_CHECKING:
    from airflow_provider_oauth.protocol.metrics import Report
    from airflow_provider_oauth.protocol.token import Token
    from airflow_provider_oauth.tokens.source import TokenSource

#: The error code in a ``WWW-Authenticate`` header (RFC 6750 section 3).
ERROR_CODE = re.compile(r'(?<![\w-])error\s*=\s*"?(\w+)', re.IGNORECASE)

#: Parts of the names of headers that contain a secret.
SECRET_NAME = re.compile("auth|key|token|secret|password|session|signature|credential", re.IGNORECASE)


class ApiRefusal(Enum):
    """Why the API refused a request, if the token can be the reason."""

    #: The API does not accept the token: renew it.
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - an error code
    #: The token is invalid or lacks a permission: use a newer token if one is stored, but do not renew.
    FORBIDDEN = "forbidden"


class RenewalNeeded(Exception):  # noqa: N818 - it is not an error
    """The API refused the token of a request that was sent ahead. Such a request never renews the token."""


def api_refusal(status: int, challenge: str, renew_on: tuple[int, ...] = ()) -> ApiRefusal | None:
    """Return why the API refused a request; None if it did not refuse it, or if the token is not the reason.

    After a 401, it is safe to repeat the request, because the API did not carry it out (RFC 9110 section 15.5.2). A 403
    without ``insufficient_scope`` (RFC 6750 section 3.1) is ambiguous: servers such as Django OAuth Toolkit also use it
    for tokens that were revoked by a renewal in another process.

    :param status: the HTTP status
    :param challenge: the ``WWW-Authenticate`` header; "" if there is none
    :param renew_on: other statuses with which this API refuses invalid tokens
    """
    if status < 400:  # the API carried out the request, so repeating it could write twice
        return None
    found = ERROR_CODE.search(challenge)
    code = found[1].lower() if found else None
    if status == 401 or status in renew_on or code == "invalid_token":
        return ApiRefusal.INVALID_TOKEN
    if status == 403 and code != "insufficient_scope":
        return ApiRefusal.FORBIDDEN
    return None


def is_secret_header(name: str) -> bool:
    """Return whether a header of a request must not be sent to another origin after a redirect, such as X-Api-Key.

    Cookies are not included, because the HTTP client knows to which origin they belong.

    :param name: the name of the header
    """
    return SECRET_NAME.search(name) is not None


class ApiAccess(ApiAdditions):
    """Provides the token, headers and query parameters that a connection adds to requests to its API.

    Requests to other origins get none of them.

    :param source: provides the tokens
    :param scope: the scopes to request, separated by spaces; None for the connection's scopes
    :param one_account: whether all tokens must have the same values, such as callback values, because the rows of
        several requests belong together
    """

    def __init__(self, source: TokenSource, scope: str | None = None, *, one_account: bool = False) -> None:
        super().__init__(source.config)
        self.source = source
        self.scope = scope
        self._one_account = one_account
        self._account: dict[str, str] = {}

    @property
    def report(self) -> Report:
        """Reports metrics of the connection."""
        return self.source.report

    def token(self, names: frozenset[str] = frozenset()) -> Token:
        """Return a valid token. This can block, because it may request one.

        :param names: names of values that the token's grant must have, besides those that the connection's parameters
            and headers contain
        :raises ConsentRequired: if no value is stored for one of the names
        :raises ConfigurationError: if a user must enter the value in the connection
        :raises OAuthError: if there is no valid token and none can be obtained, or the token is for another account
        """
        token = self._token(names)
        if self._one_account:
            values = self._values(token)
            self._account = {**values, **self._account}
            for name in [name for name, value in values.items() if self._account[name] != value]:
                raise OAuthError(
                    f"Connection {self.config.conn_id!r}: a user authorized the connection with another {name} while a "
                    "list was read, so its rows would belong to two accounts. Run the task again."
                )
        return token

    def _token(self, names: frozenset[str]) -> Token:
        token = self.source.token(self.scope)
        if self.has_values(token, names):
            return token
        # A user may have authorized the connection since this process read the token.
        newer = self.source.replacement(token, self.scope, renew=False)
        if newer is None or not self.has_values(newer, names):
            self._refuse(self.missing_names(token, names))
        return newer

    def has_values(self, token: Token, names: frozenset[str] = frozenset()) -> bool:
        """Return whether the token's grant has the values that requests need; see ``token``."""
        return not self.missing_names(token, names)

    def _refuse(self, names: frozenset[str]) -> NoReturn:
        """Raise the error for values that are neither stored nor entered in the connection."""
        config = self.config
        looked_up = sorted(names - config.callback_map.keys())
        if looked_up and config.grant_type != "authorization_code":
            example = json.dumps(dict.fromkeys(looked_up, "…"), ensure_ascii=False)
            raise config.error(
                "vendor_values",
                f"has no {' and no '.join(looked_up)}, which requests to {config.api_name} need. Enter it, for example "
                f"{example}",
            )
        if looked_up:
            raise self.source.consent_required(
                f"no value of {', '.join(looked_up)} is stored. Airflow requests it from {config.api_name} when a user "
                f"authorizes the connection. You can also enter it in {field_name('vendor_values')}"
            )
        shown = ", ".join(f"{name} ({config.callback_map[name]})" for name in sorted(names))
        raise self.source.consent_required(
            f"no value of {shown} in the callback is stored, because no user has authorized the connection since it "
            "was added to Callback values (callback_map)"
        )

    def callback_values(self) -> dict[str, str]:
        """Return the callback values and lookup values of the grant, by their names.

        If there can be stored ones, this method gets a token.

        :raises OAuthError: as for ``token``
        """
        return dict(self._values(self.token() if self._has_stored_values else None))

    def current_endpoint(self, endpoint: str | None) -> str | None:
        """Return an endpoint with the vendor's prefix and with values, such as callback values.

        If it contains any, this method gets a token, which can block.

        :param endpoint: a path relative to the API's base URL, or an absolute URL
        :raises OAuthError: as for ``token``
        """
        names = self.names_in(endpoint)
        return self.complete_endpoint(endpoint, self.token(names) if names else None)

    def refusal(self, status: int, challenge: str) -> ApiRefusal | None:
        """Return why the API refused a request; see ``api_refusal``."""
        return api_refusal(status, challenge, self.config.renew_on)

    def replacement(self, refused: Token, refusal: ApiRefusal) -> Token | None:
        """Return a token with which to repeat a refused request; None if there is no other token. This can block.

        :param refused: the token that was sent
        :param refusal: why the request was refused
        :raises OAuthError: if the token cannot be renewed
        """
        return self.source.replacement(refused, self.scope, renew=refusal is ApiRefusal.INVALID_TOKEN)

    def current_base_url(self) -> str:
        """Return the API's base URL. If it is part of the token response, this method gets a token, which can block.

        :raises OAuthError: if there is no valid token and none can be obtained
        """
        return self.base_url(self.token() if self.base_url_is_in_token else None)
