"""What a user must enter for a connection of a vendor: fields of the connection and values of the vendor."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets.placeholders import names_in
from airflow_provider_oauth.presets.preset import STANDARD_LABELS
from airflow_provider_oauth.presets.vendor_check import runtime_names
from airflow_provider_oauth.presets.vendor_fields import needed_values, vendor_defaults
from airflow_provider_oauth.protocol.config import OAuthConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.presets.vendor import Vendor

#: Description and example of each standard field that users can be asked for.
STANDARD_FIELDS = {
    "host": ("The URL of the API.", "https://api.example.com"),
    "login": ("The ID of the client (app) that you registered.", ""),
    "password": ("The secret of this client.", ""),
}
LABELS = {**STANDARD_LABELS, "host": "API base URL"}
#: Secret fields that are not in ``FIELDS``.
SECRET = ("password",)
#: Fields that a grant type needs, besides those for client authentication.
BY_GRANT = {
    "password": ("username", "user_password"),
    "refresh_token": ("refresh_token",),
    "jwt_bearer": ("private_key",),
    "token_exchange": ("subject_token_file",),
}
#: The grant type of fields that are only for one.
GRANT_OF = {
    **{name: grant_type for grant_type, names in BY_GRANT.items() for name in names if name != "private_key"},
    "assertion_issuer": "jwt_bearer",
    "assertion_subject": "jwt_bearer",
    "subject_token_type": "token_exchange",
}
#: Grant types that need no client ID if the client does not authenticate, unless the vendor's file asks for it.
WITHOUT_CLIENT = ("jwt_bearer", "token_exchange")
#: Fields in which callback and lookup values are always used.
USES_RUNTIME_VALUES = ("api_params", "api_headers")
#: A sentence about when a field is needed. Users are asked only for the fields that they need.
CONDITION = re.compile(r" Only (?:for|if) [^.]*\.(?= |$)")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Something that a user enters for a connection of a vendor.

    :param name: a field of the connection (``login``, ``issuer``, …), or the name of a value of the vendor
    :param label: its name for users
    :param description: what it is
    :param example: a valid text
    :param choices: the texts that are allowed, each with its label; empty if every text is allowed
    :param default: what is used if the user enters nothing
    :param is_value: whether it is a value of the vendor (``vendor_values``)
    :param is_secret: whether it must not be shown
    :param is_required: whether it must be entered, because there is no default
    """

    name: str
    label: str
    description: str = ""
    example: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    is_value: bool = False
    is_secret: bool = False
    is_required: bool = True

    @property
    def sample(self) -> str:
        """A text with which the rest of the connection can be checked before the user has entered this one."""
        return self.default or self.example or next(iter(self.choices), "") or "SAMPLE"


def entries(vendor: Vendor, grant_type: str) -> list[Entry]:
    """Return what a user must enter for a connection, in the order in which to ask for it.

    :param vendor: the vendor
    :param grant_type: the grant type of the connection
    """
    values = [_of_value(vendor, name) for name in needed_values(vendor, grant_type)]
    samples = {each.name: each.sample for each in values}
    known = vendor_defaults(vendor, grant_type, {}, samples).fields
    values += [_of_runtime_value(vendor, name) for name in _runtime_values(vendor, grant_type, known)]
    names = dict.fromkeys([*vendor.ask, *_missing_urls(vendor, grant_type, known), *_credentials(grant_type, known)])
    used = [name for name in names if name not in known and GRANT_OF.get(name, grant_type) == grant_type]
    return [*values, *(_of_field(name) for name in used if name != "scope"), *_scope(vendor, known)]


def _missing_urls(vendor: Vendor, grant_type: str, known: Mapping[str, Any]) -> list[str]:
    """Return the URLs that the vendor's file neither contains nor asks for.

    :param known: the vendor's fields
    """
    names = ["host"]
    if "issuer" not in known and "issuer" not in vendor.ask:  # the metadata of an issuer has the other URLs
        names += ["grant_url", *(["authorize_url"] if grant_type == "authorization_code" else [])]
    return [name for name in names if name not in known]


def _credentials(grant_type: str, known: Mapping[str, Any]) -> list[str]:
    """Return the fields for client authentication and for the grant.

    :param known: the vendor's fields
    """
    client_auth = known.get("client_auth", OAuthConfig.client_auth)
    names = [] if client_auth == "none" and grant_type in WITHOUT_CLIENT else ["login"]
    if client_auth.startswith("client_secret_"):
        names.append("password")
    if client_auth == "private_key_jwt":
        names.append("private_key")
    if client_auth == "tls_client_auth":
        names.append("cert")
    return [*names, *BY_GRANT.get(grant_type, ())]


def _runtime_values(vendor: Vendor, grant_type: str, known: Mapping[str, Any]) -> list[str]:
    """Return the callback and lookup values that each request needs and that no consent provides."""
    if grant_type == "authorization_code":
        return []
    used = names_in([vendor.endpoint_prefix, *(known.get(name, {}) for name in USES_RUNTIME_VALUES)])
    return sorted(used & runtime_names(vendor))


def _of_value(vendor: Vendor, name: str) -> Entry:
    value = vendor.values[name]
    return Entry(
        name=name,
        label=value.label,
        description=value.description,
        example=value.example,
        choices={each: each for each in value.choices},
        default=value.default,
        is_value=True,
        is_required=not value.default,
    )


def _of_runtime_value(vendor: Vendor, name: str) -> Entry:
    description = f"Airflow gets this value from {vendor.label} after a consent. This grant type has no consent."
    return Entry(name=name, label=name, description=description, is_value=True)


def _of_field(name: str) -> Entry:
    if name in STANDARD_FIELDS:
        description, example = STANDARD_FIELDS[name]
        return Entry(name=name, label=LABELS[name], description=description, example=example, is_secret=name in SECRET)
    known = FIELDS[name]
    return Entry(
        name=name,
        label=known.label.partition(" (")[0],
        description=CONDITION.sub("", known.description),
        example=known.example or "",
        choices=known.choices or {},
        is_secret=known.secret,
    )


def _scope(vendor: Vendor, known: Mapping[str, Any]) -> list[Entry]:
    """Return the entry for the scope, unless the vendor's file has no scopes at all."""
    default = known.get("scope")
    is_required = default is None and "scope" in vendor.ask
    if not (default or vendor.scopes or is_required):
        return []
    label, description = FIELDS["scope"].label, "The scopes to request, separated by spaces."
    return [Entry(name="scope", label=label, description=description, default=default, is_required=is_required)]
