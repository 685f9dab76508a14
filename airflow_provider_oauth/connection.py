"""What an Airflow connection means: ``Connection`` to ``OAuthConfig``, in one place."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jmespath
from airflow.providers.common.compat.sdk import conf
from jmespath.exceptions import JMESPathError, JMESPathTypeError

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.fields import ALIASES, Field
from airflow_provider_oauth.presets import OAUTH, PRESETS, Preset
from airflow_provider_oauth.presets.preset import STANDARD
from airflow_provider_oauth.protocol.config import OAuthConfig, TransportOptions
from airflow_provider_oauth.runtime.compat import hook_class

if TYPE_CHECKING:
    from airflow.sdk import Connection

#: What Airflow shows instead of a secret; stored, it means that a secret was lost.
REDACTED = "***"
#: How alike an unknown key and a known one must be to be taken for a slip of the pen.
ALIKE = 0.8
#: What to write for no scheme word before the token.
NO_SCHEME = "none"

#: Fields that say how requests travel.
TRANSPORT = tuple(TransportOptions.__dataclass_fields__)


def read_connection(connection: Connection, preset: Preset = OAUTH) -> OAuthConfig:
    """Return what ``connection`` means.

    :param connection: of one of this package's types
    :param preset: what its type fixes
    :raises ConfigurationError: if a field is missing, malformed, unknown but close to a known one, or unsafe; the text
        names the connection and the field
    """
    conn_id = connection.conn_id or ""
    warnings: list[str] = []
    values = _values(conn_id, connection.extra, preset.known, warnings)
    fixed = _fixed(conn_id, values.pop("environment", None), preset)
    _apply(conn_id, fixed, connection, values, warnings)
    _move_own_fields(conn_id, preset, values)
    if values.get("grant_type", preset.grants[0]) not in preset.grants and preset is not OAUTH:
        raise ConfigurationError(
            f"Connection {conn_id!r}: grant_type is {values['grant_type']!r}; {preset.name} offers "
            f"{', '.join(preset.grants)}."
        )
    if values.setdefault("grant_type", preset.grants[0]) == "authorization_code" and preset.scope:
        values.setdefault("scope", preset.scope)
    base_url = _base_url(conn_id, fixed.get("host"), connection)
    for name in ("grant_url", "refresh_url", "authorize_url", "revoke_url", "issuer"):
        if name in values:
            values[name] = _absolute(base_url, values[name])
    values.setdefault("error_path", preset.error_path)
    if values.get("auth_scheme", "").lower() == NO_SCHEME:
        values["auth_scheme"] = ""
    return OAuthConfig(
        conn_id=conn_id,
        base_url=base_url,
        token_url=values.pop("grant_url", None),
        client_id=fixed.get("login", _unredacted(conn_id, "login", connection.login)) or None,
        client_secret=fixed.get("password", _unredacted(conn_id, "password", connection.password)),
        response_map=_response_map(conn_id, values.pop("response_map", None)),
        transport=TransportOptions(**{name: values.pop(name) for name in TRANSPORT if name in values}),
        refresh_bearer=preset.refresh_bearer,
        refresh_lifetime=preset.refresh_lifetime,
        allowed_hosts=_allowed_hosts(),
        warnings=tuple(warnings),
        **values,
    )


def preset_of_type(conn_type: str | None) -> Preset | None:
    """Return the preset of a connection type; None if it is not the type of an OAuth 2.0 API.

    :param conn_type: one of this package's types, or one whose hook another package registers
    """
    if conn_type in PRESETS:
        return PRESETS[conn_type]
    preset = getattr(hook_class(conn_type), "preset", None)
    return preset if isinstance(preset, Preset) else None


def preset_of(connection: Connection, preset: Preset = OAUTH) -> Preset:
    """Return the preset that a hook reads a connection by: that of the connection's type, whatever the hook.

    :param connection: the connection
    :param preset: the hook's
    :raises ConfigurationError: if the hook is a vendor's and the connection is not of an OAuth 2.0 type: the vendor's
        URLs are fixed, so the password of a database, for example, would be sent to the vendor
    """
    if connection.conn_type == preset.conn_type:
        return preset
    own = preset_of_type(connection.conn_type)
    if own is None and preset is not OAUTH:
        raise wrong_type(connection, preset)
    return own or preset


def wrong_type(connection: Connection, preset: Preset = OAUTH) -> ConfigurationError:
    """Return the error for a connection that is not of an OAuth 2.0 type.

    :param connection: the connection
    :param preset: the type that it should have
    """
    return ConfigurationError(
        f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}; set its type to {preset.name}."
    )


def _allowed_hosts() -> tuple[str, ...]:
    """Return the patterns of ``[oauth] allowed_hosts``, separated by commas, blanks or line breaks."""
    return tuple(re.findall(r"[^\s,]+", conf.get("oauth", "allowed_hosts", fallback="")))


def _fixed(conn_id: str, environment: str | None, preset: Preset) -> dict[str, Any]:
    """Return the fields that the preset fixes, for this environment."""
    fixed = preset.fixed_in(environment)
    if fixed is None:
        raise ConfigurationError(
            f"Connection {conn_id!r}: environment is {environment!r}; {preset.name} has "
            f"{', '.join(preset.environments)}. (For tests it can be the URL of a stand-in.)"
        )
    return fixed


def _apply(
    conn_id: str, fixed: Mapping[str, Any], connection: Connection, values: dict[str, Any], warnings: list[str]
) -> None:
    """Put in what the preset fixes; say what it replaces."""
    if "host" in fixed and (connection.host or connection.schema or connection.port):
        warnings.append("Host, schema and port are fixed for this connection type; they were ignored.")
    for name, value in fixed.items():
        if name not in STANDARD:
            if values.get(name, value) != value:
                warnings.append(f"The extra field {name!r} is fixed for this connection type; it was ignored.")
            values[name] = value


def _move_own_fields(conn_id: str, preset: Preset, values: dict[str, Any]) -> None:
    """Put the vendor's own fields where they are sent."""
    for name, (place, wire_name) in preset.sent_as.items():
        if name in values:
            own = {wire_name: values.pop(name)}
            if place == "api_headers":
                try:
                    own = _to_headers(own)
                except ValueError:
                    raise ConfigurationError(
                        f"Connection {conn_id!r}: {name} ({preset.known[name].label}) is not a valid header value."
                    ) from None
            values[place] = {**values.get(place, {}), **own}


def _values(
    conn_id: str, extra: str | dict[str, Any] | None, fields: Mapping[str, Field], warnings: list[str]
) -> dict[str, Any]:
    """Return the known fields of ``extra`` by their own names, coerced; what is null or empty is absent."""
    values: dict[str, Any] = {}
    decoded = _decoded(conn_id, extra)
    if type(decoded.get("leeway")) is not int:
        warnings.append(
            "The extra field leeway is no integer, so the stock HttpSensor and the stock deferrable HttpOperator would "
            "send this connection's secrets to the API. Write 60, in JSON."
        )
    for key, value in decoded.items():
        if value is None or value == "":
            continue
        if key not in fields:
            _refuse_typo(conn_id, key, fields)
            warnings.append(f"The extra field {key!r} is unknown and was ignored; it is not sent as a header.")
        else:
            name = ALIASES.get(key, key)
            # Before, because *** is no number; and after, because JSON may come as a text.
            coerced = _unredacted(conn_id, key, _coerced(conn_id, key, fields[key], _unredacted(conn_id, key, value)))
            if values.setdefault(name, coerced) != coerced:
                said = " and ".join(each for each in fields if ALIASES.get(each, each) == name and each in decoded)
                raise ConfigurationError(f"Connection {conn_id!r}: {said} say different things; leave one out.")
    return values


def _decoded(conn_id: str, extra: str | dict[str, Any] | None) -> dict[str, Any]:
    if not extra:
        return {}
    if isinstance(extra, dict):  # so has Airflow 3.2 it, for a URI connection in a task
        return extra
    try:
        decoded = json.loads(extra)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise ConfigurationError(f"Connection {conn_id!r}: extra is not a JSON object.")
    return decoded


def _refuse_typo(conn_id: str, key: str, fields: Mapping[str, Field]) -> None:
    close = difflib.get_close_matches(key.lower().replace("-", "_"), fields, n=1, cutoff=ALIKE)
    if close:
        raise ConfigurationError(
            f"Connection {conn_id!r}: the extra field {key!r} is unknown; did you mean {close[0]!r}?"
        )


def _unredacted(conn_id: str, name: str, value: Any) -> Any:
    """Return ``value``, unless it is what Airflow shows in place of a secret: then the secret was overwritten."""
    if _holds_redacted(value):
        raise ConfigurationError(
            f"Connection {conn_id!r}: {name} holds {REDACTED!r}, which Airflow shows in place of a secret: it was "
            f"saved or imported from a redacted copy. Enter the real value again."
        )
    return value


def _holds_redacted(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(map(_holds_redacted, value))
    return bool(value == REDACTED)


def _coerced(conn_id: str, name: str, field: Field, value: Any) -> Any:
    """Return ``value`` as its field's type: a URI connection gives texts, or numbers where a text was meant."""
    try:
        result = COERCE.get(name, COERCE[field.type])(value)
    except (ValueError, TypeError, RecursionError):
        kind = KINDS.get(name) or KINDS.get(field.type) or field.type
        raise ConfigurationError(f"Connection {conn_id!r}: {name} ({field.label}) is not a valid {kind}.") from None
    if field.minimum is not None and result < field.minimum:
        raise ConfigurationError(f"Connection {conn_id!r}: {name} ({field.label}) must be at least {field.minimum}.")
    return result


def _to_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    # A URI connection's 12345 or true was a text. Its 1e10 was too, but nobody knows that it was not 10000000000.0.
    if not isinstance(value, int):
        raise TypeError
    return json.dumps(value)


def _to_integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError
    return int(value)


def _to_boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "t", "yes", "y", "on", "1"):
        return True
    if text in ("false", "f", "no", "n", "off", "0"):
        return False
    raise ValueError


def _to_object(value: Any) -> dict[str, Any]:
    decoded = json.loads(value) if isinstance(value, str) else value
    if not isinstance(decoded, dict):
        raise TypeError
    return decoded


def _to_headers(value: Any) -> dict[str, str]:
    headers = {name: _to_string(text) for name, text in _to_object(value).items() if text is not None}
    for name, text in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(
            r"(?!\s)[\t\x20-\x7e\x80-\xff]*", text
        ):
            raise ValueError  # RFC 9110 section 5.1; nothing that could start another header
    return headers


def _to_scheme(value: Any) -> str:
    scheme = _to_string(value)
    if not re.fullmatch(r"[\x21-\x7e]+( [\x21-\x7e]+)*", scheme):
        raise ValueError
    return scheme


def _to_proxies(value: Any) -> dict[str, str]:
    if isinstance(value, str) and re.fullmatch(r"[^\s{}\x00-\x1f]+", value):  # one for both, as HttpHook's "proxy" is
        return {"http": value, "https": value}
    return {scheme: _to_string(proxy) for scheme, proxy in _to_object(value).items()}


def _to_header_name(value: Any) -> str:
    return next(iter(_to_headers({_to_string(value): ""})))


def _to_statuses(value: Any) -> tuple[int, ...]:
    statuses = tuple(map(int, _to_string(value).replace(",", " ").split()))
    if not all(400 <= status <= 599 for status in statuses):
        raise ValueError  # any other request was carried out, and must not be repeated
    return statuses


def _to_jmespath(value: Any) -> str:
    return str(jmespath.compile(_to_string(value)).expression)


def _to_verify(value: Any) -> bool | str:
    try:
        return _to_boolean(value)
    except ValueError:
        return _to_string(value)


def _to_cert(value: Any) -> str | tuple[str, str]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = json.loads(value)
    if isinstance(value, list):
        certificate, key = map(_to_string, value)
        return certificate, key
    return _to_string(value)


COERCE: dict[str, Callable[[Any], Any]] = {
    "string": _to_string,
    "integer": _to_integer,
    "boolean": _to_boolean,
    "object": _to_object,
    "api_headers": _to_headers,
    "secret_headers": _to_headers,
    "grant_headers": _to_headers,
    "header_name": _to_header_name,
    "auth_scheme": _to_scheme,
    "renew_on": _to_statuses,
    "error_path": _to_jmespath,
    "verify": _to_verify,
    "verify_ssl": _to_verify,
    "cert": _to_cert,
    "proxies": _to_proxies,
    "proxy": _to_proxies,
}


#: What a field should have been, where its type does not say it all.
KINDS = {
    "object": "JSON object",
    "boolean": "boolean (true or false)",
    "api_headers": "JSON object of headers",
    "secret_headers": "JSON object of headers",
    "grant_headers": "JSON object of headers",
    "header_name": "header name",
    "auth_scheme": "header value",
    "renew_on": "list of statuses from 400 to 599, such as 403 400",
    "error_path": "JMESPath expression",
}


def _base_url(conn_id: str, fixed: str | None, connection: Connection) -> str:
    """Return the API's base URL: host, which may be a whole URL; a URI connection may add a port and a path."""
    if fixed:
        return fixed
    host = (connection.host or "").strip()
    if not host:
        raise ConfigurationError(f"Connection {conn_id!r}: host (API base URL) is missing.")
    schema = (connection.schema or "").strip("/")
    if "://" not in host:
        # As in HttpHook the schema of a URI connection names the scheme; anything else there is the URI's path.
        scheme = schema if schema in ("http", "https") else "https"
        host = f"{scheme}://{host}"
    if schema in ("http", "https"):
        schema = ""
    scheme, _, rest = host.partition("://")
    authority, slash, path = rest.partition("/")
    if authority.count(":") > 1 and not authority.startswith("["):
        authority = f"[{authority}]"  # an IPv6 address, from which a URI connection takes the brackets
    if connection.port and not re.search(r":\d+$", authority.rpartition("]")[2]):
        authority += f":{connection.port}"
    return f"{scheme}://{authority}{slash}{path}".rstrip("/") + (f"/{schema}" if schema else "")


def _absolute(base_url: str, url: str) -> str:
    """Return ``url``, taken as relative to the API base URL where it names no scheme."""
    url = url.strip()
    return url if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url) else f"{base_url}/{url.lstrip('/')}"


def _response_map(conn_id: str, text: str | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in (text or "").split(","))):
        name, equals, path = (part.strip() for part in pair.partition("="))
        try:
            jmespath.search(path, {})
        except JMESPathTypeError:
            pass  # a function that does not fit an empty answer
        except JMESPathError:
            equals = ""
        if not (name and equals and path) or name in pairs:
            raise ConfigurationError(
                f"Connection {conn_id!r}: response_map has {pair!r}, not a pair like access_token=data.token, or twice."
            )
        pairs[name] = path
    return pairs
