"""Converts an Airflow connection to an ``OAuthConfig``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_oauth.coercion import InvalidField, coerce, to_headers
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.fields import ALIASES, Field
from airflow_provider_oauth.presets import OAUTH, PRESETS, Preset
from airflow_provider_oauth.presets.preset import STANDARD_FIELDS
from airflow_provider_oauth.presets.vendor_fields import VendorDefaults, combined, vendor_defaults
from airflow_provider_oauth.presets.vendor_index import VENDORS
from airflow_provider_oauth.presets.vendors import suggestion, vendor, vendor_names
from airflow_provider_oauth.protocol.client_check import unused_fields
from airflow_provider_oauth.protocol.config import OAuthConfig, TransportOptions, url_problem
from airflow_provider_oauth.protocol.field_labels import KEYS, field_name, label_and_key
from airflow_provider_oauth.protocol.pasted_key import service_account
from airflow_provider_oauth.runtime.compat import hook_class

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_oauth.presets.vendor import Vendor

#: The text that Airflow shows instead of a secret.
REDACTED = "***"
#: How similar an unknown key must be to a known one to be treated as a typo, from 0 to 1.
TYPO_SIMILARITY = 0.8
#: The value of ``auth_scheme`` that means no scheme.
NO_SCHEME = "none"
#: Names of the extra fields that become ``TransportOptions``.
TRANSPORT = tuple(TransportOptions.__dataclass_fields__)
#: Names in ``OAuthConfig``, by the key in the connection, if they differ.
CONFIG_NAMES = {key: name for name, key in KEYS.items()}
#: Fields with a URL that may be relative to the API base URL.
URLS = ("grant_url", "refresh_url", "authorize_url", "revoke_url", "par_url", "device_url", "issuer")
EXAMPLE_EXTRA = (
    '{"grant_type": "client_credentials", "grant_url": "https://login.example.com/oauth/token", "leeway": 60}'
)


def read_connection(connection: Connection, preset: Preset = OAUTH) -> OAuthConfig:
    """Return the settings of a connection.

    :param connection: a connection of one of this package's types
    :param preset: the preset of its type
    :raises ConfigurationError: if a field is missing, invalid or unsafe, or if the name of a field seems to be
        misspelled; the text names the connection and the field
    """
    try:
        return _read(connection, preset)
    except InvalidField as error:
        raise ConfigurationError(f"Connection {connection.conn_id or ''!r}: {error}") from None


def preset_of_type(conn_type: str | None) -> Preset | None:
    """Return the preset of a connection type; None if it is not an OAuth 2.0 connection type.

    :param conn_type: a connection type of this package or of another one
    """
    if conn_type in PRESETS:
        return PRESETS[conn_type]
    preset = getattr(hook_class(conn_type), "preset", None)
    return preset if isinstance(preset, Preset) else None


def preset_of(connection: Connection, preset: Preset = OAUTH) -> Preset:
    """Return the preset of the connection's type, even if the hook that uses the connection has another preset.

    :param connection: the Airflow connection
    :param preset: the preset of the hook
    :raises ConfigurationError: if the hook is for a vendor and the connection is not of an OAuth 2.0 type. Otherwise
        the password of a database, for example, would be sent to the vendor
    """
    if connection.conn_type == preset.conn_type:
        return preset
    own = preset_of_type(connection.conn_type)
    if own is None and preset is not OAUTH:
        raise wrong_type(connection, preset)
    return own or preset


def vendor_of(name: str | None, preset: Preset) -> Vendor:
    """Return the description of the API of a connection.

    :param name: the connection's vendor; None if it names none
    :param preset: the preset of the connection's type
    """
    return vendor(name) if name else preset.api


def wrong_type(connection: Connection, preset: Preset = OAUTH) -> ConfigurationError:
    """Return the error for a connection that is not of an OAuth 2.0 type.

    :param connection: the Airflow connection
    :param preset: the preset of the type that the error recommends
    """
    return ConfigurationError(
        f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, which is not an OAuth 2.0 type. "
        f"Change its type to {preset.name}."
    )


def _read(connection: Connection, preset: Preset) -> OAuthConfig:
    warnings: list[str] = []
    values = _coerced(_parsed(connection.extra), preset.known_fields, warnings)
    fixed = _fixed(values.pop("environment", None), preset)
    fixed = {name: _coerced_fixed(name, value, preset) for name, value in fixed.items()}
    _apply_fixed(fixed, connection, values, warnings)
    _check_vendor(preset, values, warnings)
    _move_vendor_fields(preset, values)
    entered = values.pop("vendor_values", {})
    api = vendor_of(values.get("vendor"), preset)
    _apply_grant_type(preset, api, values, warnings)
    host: str | None = fixed.get("host") or _base_url(connection)
    from_vendor = _vendor_defaults(api if "vendor" in values else None, values, host, entered, warnings)
    base_url = host or from_vendor.fields.get("host")
    if base_url is None:
        raise InvalidField("API base URL (host) is missing. Example: https://api.example.com/v1")
    base_url = base_url.rstrip("/")
    _apply_service_account(values)
    for name in filter(values.__contains__, URLS):
        values[name] = _absolute(base_url, values[name])
    values.setdefault("error_path", api.error_path)
    if values.get("auth_scheme", "").lower() == NO_SCHEME:
        values["auth_scheme"] = ""
    labels = preset.standard_labels
    config = OAuthConfig(
        conn_id=connection.conn_id or "",
        base_url=base_url,
        token_url=values.pop("grant_url", None),
        client_id=fixed.get("login", _unredacted("login", labels["login"], connection.login)) or None,
        client_secret=fixed.get("password", _unredacted("password", labels["password"], connection.password)),
        transport=TransportOptions(**{name: values.pop(name) for name in TRANSPORT if name in values}),
        vendor_label="" if api is OAUTH.api else api.label,
        endpoint_prefix=from_vendor.endpoint_prefix,
        api_hosts=api.api_hosts,
        lookup=from_vendor.lookup,
        vendor_values=from_vendor.values,
        account_values=from_vendor.account_values,
        refresh_bearer=preset.refresh_bearer,
        refresh_lifetime=preset.refresh_lifetime,
        allowed_hosts=_allowed_hosts(),
        file_folder=conf.get("oauth", "file_folder", fallback="").strip(),
        **values,
    )
    return replace(config, warnings=(*warnings, *unused_fields(config)))


def _parsed(extra: str | dict[str, Any] | None) -> dict[str, Any]:
    if not extra:
        return {}
    if isinstance(extra, dict):  # Airflow 3.2 passes a dict for a URI connection in a task
        return extra
    try:
        parsed = json.loads(extra)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidField(f"extra is not a JSON object. Example: {EXAMPLE_EXTRA}")
    return parsed


def _coerced(extra: Mapping[str, Any], fields: Mapping[str, Field], warnings: list[str]) -> dict[str, Any]:
    """Return the values of known fields, converted to their types. Add a warning for each unknown field.

    Empty values are left out. A value under another name of a field (``ALIASES``) is returned under the field's name.
    """
    values: dict[str, Any] = {}
    if type(extra.get("leeway")) is not int:
        warnings.append(
            "The extra field 'leeway' is missing or is not an integer. Without an integer in this field, Airflow's own "
            "HttpSensor and deferrable HttpOperator send all of extra, with its secrets, to the API. Set it to an "
            'integer, for example "leeway": 60.'
        )
    for key, value in extra.items():
        if value is None or value == "":
            continue
        if key not in fields:
            _reject_typo(key, fields)
            warnings.append(
                f"The extra field {key!r} is unknown and was ignored. It is not sent as a header. Remove it, or use "
                "api_headers to send a header."
            )
            continue
        field, name = fields[key], ALIASES.get(key, key)
        # The value is checked before the conversion, so that *** in a numeric field, for example, does not cause the
        # less helpful error that it is not a number. It is checked again afterwards, because a string can contain JSON
        # with *** inside.
        coerced = _unredacted(key, field.label, coerce(key, field, _unredacted(key, field.label, value)))
        if values.setdefault(name, coerced) != coerced:
            used = " and ".join(each for each in fields if ALIASES.get(each, each) == name and each in extra)
            raise InvalidField(f"{used} have conflicting values. Remove one of them.")
    return values


def _reject_typo(key: str, fields: Mapping[str, Field]) -> None:
    import difflib

    similar = difflib.get_close_matches(key.lower().replace("-", "_"), fields, n=1, cutoff=TYPO_SIMILARITY)
    if similar:
        raise InvalidField(f"the extra field {key!r} is unknown. Did you mean {similar[0]!r}?")


def _unredacted(key: str, label: str, value: Any) -> Any:
    """Return ``value``; raise an error if it contains the text that Airflow shows instead of a secret."""
    if _contains_redacted(value):
        raise InvalidField(
            f"{label_and_key(label, key)} contains {REDACTED!r} instead of the real value. Enter the real value again. "
            f"Airflow shows {REDACTED!r} in place of secrets, and the connection was saved or imported from such a "
            "redacted copy."
        )
    return value


def _contains_redacted(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(map(_contains_redacted, value))
    return bool(value == REDACTED)


def _fixed(environment: str | None, preset: Preset) -> dict[str, Any]:
    """Return the fields to which the preset gives a fixed value in an environment."""
    fixed = preset.fixed_fields(environment)
    if fixed is None:
        raise InvalidField(
            f"Environment (environment) is {environment!r}, but {preset.name} has only the "
            f"environments {', '.join(preset.environments)}. Use one of these, or the URL of a mock server."
        )
    return fixed


def _coerced_fixed(name: str, value: Any, preset: Preset) -> Any:
    return value if name in STANDARD_FIELDS else coerce(name, preset.known_fields[name], value)


def _apply_fixed(fixed: Mapping[str, Any], connection: Connection, values: dict[str, Any], warnings: list[str]) -> None:
    """Set the fields with a fixed value. Add a warning for each one that has a different value in the connection."""
    if "host" in fixed and (connection.host or connection.schema or connection.port):
        warnings.append(
            "Host, schema and port of the connection were ignored, because this connection type defines them. "
            "Clear these fields."
        )
    for name, value in fixed.items():
        if name not in STANDARD_FIELDS:
            if values.get(name, value) != value:
                warnings.append(
                    f"The extra field {name!r} was ignored, because this connection type defines it. Remove it."
                )
            values[name] = value


def _check_vendor(preset: Preset, values: dict[str, Any], warnings: list[str]) -> None:
    """Refuse a vendor that is not in the catalogue. A vendor's own connection type ignores the field with a warning."""
    name = values.get("vendor")
    if name is not None and preset is not OAUTH:
        if values.pop("vendor") != preset.vendor:
            warnings.append("The extra field 'vendor' was ignored, because this connection type defines it. Remove it.")
    elif name is not None and name not in VENDORS and name not in vendor_names():
        raise InvalidField(
            f"Vendor (vendor) is {name!r}, which is not in the catalogue. Correct or remove it. {suggestion(name)}"
        )


def _move_vendor_fields(preset: Preset, values: dict[str, Any]) -> None:
    """Move the vendor's own fields to the query parameters or headers of API requests."""
    for name, (target, wire_name) in preset.field_targets.items():
        if name in values:
            own = {wire_name: values.pop(name)}
            if target == "api_headers":
                try:
                    own = to_headers(own)
                except ValueError:
                    raise InvalidField(
                        f"{label_and_key(preset.known_fields[name].label, name)} is not a valid header value. Remove "
                        "line breaks, leading spaces and characters outside Latin-1."
                    ) from None
            values[target] = {**values.get(target, {}), **own}


def _apply_grant_type(preset: Preset, api: Vendor, values: dict[str, Any], warnings: list[str]) -> None:
    """Use the default grant type and scope if the connection sets none; refuse an unsupported grant type."""
    grant_type = values.setdefault("grant_type", next(iter(api.grants), preset.grants[0]))
    if grant_type not in preset.grants and preset is not OAUTH:
        raise InvalidField(
            f"Grant type (grant_type) is {grant_type!r}, which {preset.name} does not support. Use "
            f"{' or '.join(preset.grants)}."
        )
    if grant_type == "authorization_code" and preset.scope:
        values.setdefault("scope", preset.scope)
    if api.grants and grant_type not in (*api.grants, "refresh_token"):
        warnings.append(
            f"The vendor file of {api.label} has no fields for the grant type {grant_type}. Choose one of "
            f"{', '.join(api.grants)}, or set the fields that this grant type needs."
        )


def _vendor_defaults(
    api: Vendor | None, values: dict[str, Any], host: str | None, entered: Mapping[str, Any], warnings: list[str]
) -> VendorDefaults:
    """Use the vendor's values of the fields that the connection does not set.

    :param api: the vendor; None if the connection has none
    :param values: the fields of the connection
    :param host: the API base URL of the connection
    :param entered: the vendor's values that the connection has
    :param warnings: warnings are added here
    """
    if api is None:
        if entered:
            raise InvalidField("Vendor values (vendor_values) is set, but Vendor (vendor) is not. Choose the vendor.")
        return VendorDefaults()
    own = {**values, **({"host": host} if host else {})}
    defaults = vendor_defaults(api, values["grant_type"], own, entered)
    for name in defaults.replaced_urls:
        warnings.append(
            f"{field_name(CONFIG_NAMES.get(name, name))} replaces the URL of {api.label}. Clear this field, unless you "
            "need another URL."
        )
    for name, value in defaults.fields.items():
        if name != "host":
            values[name] = combined(name, value, values[name]) if name in values else value
    return defaults


def _apply_service_account(values: dict[str, Any]) -> None:
    """Use the token URL of a pasted Google service account if the connection has neither Token URL nor Issuer."""
    account = service_account(values.get("private_key", ""))
    if account is None or "grant_url" in values or "issuer" in values:
        return
    url = account.get("token_uri")
    if not isinstance(url, str) or url_problem(url, allow_http=values.get("allow_http", False)):
        raise InvalidField(
            f"{field_name('private_key')} is a Google service account whose token_uri is missing or is not an https "
            "URL. Download a new key and paste the whole file, or set Token URL (grant_url)."
        )
    values["grant_url"] = url


def _base_url(connection: Connection) -> str | None:
    """Return the API base URL from ``host``, and from the port and path of a URI connection; None if there is none."""
    host = (connection.host or "").strip()
    if not host:
        return None
    schema = (connection.schema or "").strip("/")
    if "://" not in host:
        # In a connection that was created from a URI, the schema is the path of the URI. If it is http or https, it is
        # the scheme of the base URL instead, as in HttpHook.
        scheme = schema if schema in ("http", "https") else "https"
        host = f"{scheme}://{host}"
    if schema in ("http", "https"):
        schema = ""
    scheme, _, rest = host.partition("://")
    authority, slash, path = rest.partition("/")
    if authority.count(":") > 1 and not authority.startswith("["):
        authority = f"[{authority}]"  # an IPv6 address; Airflow removes its brackets when it parses a connection URI
    if connection.port and not re.search(r":\d+$", authority.rpartition("]")[2]):
        authority += f":{connection.port}"
    return f"{scheme}://{authority}{slash}{path}".rstrip("/") + (f"/{schema}" if schema else "")


def _absolute(base_url: str, url: str) -> str:
    """Return ``url`` as an absolute URL. If it has no scheme, it is relative to the API base URL."""
    url = url.strip()
    return url if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url) else f"{base_url}/{url.lstrip('/')}"


def _allowed_hosts() -> tuple[str, ...]:
    """Return the patterns in ``[oauth] allowed_hosts``, which are separated by commas or whitespace."""
    return tuple(re.findall(r"[^\s,]+", conf.get("oauth", "allowed_hosts", fallback="")))
