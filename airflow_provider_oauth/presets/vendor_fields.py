"""The values that a vendor file gives to the fields of a connection."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_oauth.coercion import InvalidField, coerce
from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.presets.placeholders import LABEL, URL_FIELDS, filled, host_names, names_in
from airflow_provider_oauth.presets.vendor_check import SCOPE, runtime_names
from airflow_provider_oauth.protocol.callback_values import is_valid
from airflow_provider_oauth.protocol.field_labels import field_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.presets.vendor import Vendor
    from airflow_provider_oauth.protocol.lookup import Lookup

#: Fields whose value is an object or pairs. The vendor's and the connection's are combined.
COMBINED = frozenset(
    [
        "authorize_params",
        "api_headers",
        "api_params",
        "grant_params",
        "grant_headers",
        "assertion_claims",
        "callback_map",
        "request_map",
        "response_map",
    ]
)
#: Fields that only an authorization request needs.
AUTHORIZATION = ("authorize_url", "authorize_params", "callback_map", "skip_pkce", "par_url", "device_url")


@dataclass(frozen=True, kw_only=True)
class VendorDefaults:
    """What a vendor file adds to a connection.

    :param fields: fields of the connection, converted to their types; ``host`` is one of them
    :param values: the callback and lookup values that the connection specifies in ``vendor_values``, by name
    :param account_values: the other values that are used, by name
    :param lookup: the lookup after a consent; None if no value is missing
    :param endpoint_prefix: the vendor's ``endpoint_prefix``
    :param replaced_urls: the fields with a URL in the vendor file that the connection replaces
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    account_values: Mapping[str, str] = field(default_factory=dict)
    lookup: Lookup | None = None
    endpoint_prefix: str = ""
    replaced_urls: tuple[str, ...] = ()


def vendor_defaults(
    vendor: Vendor, grant_type: str, own: Mapping[str, Any], entered: Mapping[str, Any]
) -> VendorDefaults:
    """Return what a vendor file adds to a connection.

    :param vendor: the vendor
    :param grant_type: the grant type of the connection
    :param own: the fields of the connection, ``host`` included. The vendor's values of these fields are not used, so
        their placeholders need no values
    :param entered: the field ``vendor_values`` of the connection
    :raises InvalidField: if a value in ``vendor_values`` is missing, unknown or invalid
    """
    known = _fields(vendor, grant_type)
    used = {name: value for name, value in known.items() if name not in own or name in COMBINED}
    texts = _texts(vendor, entered)
    needed = names_in([*used.values(), vendor.endpoint_prefix]) & vendor.values.keys()
    if missing := sorted(needed - texts.keys()):
        _refuse_missing(vendor, missing)
    for name in {name for key in URL_FIELDS if key in used for name in host_names(used[key])}:
        _check_host_part(vendor, name, texts[name])
    texts[SCOPE] = own.get("scope") or known.get("scope", "")
    given = {name: texts[name] for name in runtime_names(vendor) & texts.keys()}
    if grant_type == "authorization_code" and (twice := sorted(given.keys() & _callback_names(used))):
        raise InvalidField(
            f"{field_name('vendor_values')} has {twice[0]}, but {vendor.label} sends this value after each consent. "
            "Remove it."
        )
    fields = {name: filled(value, texts, is_url=name in URL_FIELDS) for name, value in used.items()}
    return VendorDefaults(
        fields={name: value if name == "host" else coerce(name, FIELDS[name], value) for name, value in fields.items()},
        values=given,
        account_values={name: texts[name] for name in sorted(needed)},
        lookup=_remaining(vendor.lookup, given),
        endpoint_prefix=filled(vendor.endpoint_prefix, texts, is_url=True),
        replaced_urls=tuple(name for name in URL_FIELDS if name in known and own.get(name, known[name]) != known[name]),
    )


def needed_values(vendor: Vendor, grant_type: str) -> list[str]:
    """Return the names of the values that a connection with this grant type needs, in the order of the vendor file.

    :param vendor: the vendor
    :param grant_type: the grant type of the connection
    """
    used = names_in([*_fields(vendor, grant_type).values(), vendor.endpoint_prefix])
    return [name for name in vendor.values if name in used]


def combined(name: str, vendors: Any, own: Any) -> Any:
    """Return the value of a field that both the vendor file and the connection have.

    :param name: the name of the field
    :param vendors: the value in the vendor file
    :param own: the value in the connection
    """
    return {**vendors, **own} if name in COMBINED else own


def _fields(vendor: Vendor, grant_type: str) -> dict[str, Any]:
    """Return the fields of the file for a grant type.

    If the file has no fields for the grant type Refresh token, those for Authorization code are used without the scope.
    The scope of the refresh token is not known, and servers refuse a renewal with another scope.
    """
    named = vendor.grants.get(grant_type)
    if named is None and grant_type == "refresh_token":
        named = _without_scope(vendor.grants.get("authorization_code", {}))
    result = dict(vendor.fields)
    for name, value in (named or {}).items():
        result[name] = {**result[name], **value} if isinstance(value, dict) and name in result else value
    if grant_type != "authorization_code":
        result = {name: value for name, value in result.items() if name not in AUTHORIZATION}
    return result


def _without_scope(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without the scope, and without token request parameters that contain it."""
    result = {name: value for name, value in fields.items() if name != "scope"}
    if params := result.get("grant_params"):
        result["grant_params"] = {name: value for name, value in params.items() if SCOPE not in names_in(value)}
    return result


def _texts(vendor: Vendor, entered: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts to insert by name: what was entered, and the defaults."""
    known = [*vendor.values, *sorted(runtime_names(vendor))]
    texts = {
        name: value.choices.get(value.default, value.default) for name, value in vendor.values.items() if value.default
    }
    for name, value in entered.items():
        if value is None or value == "":
            continue
        if name not in known:
            uses = f"It uses {', '.join(known)}" if known else "It uses no values"
            raise InvalidField(
                f"{field_name('vendor_values')} has {name!r}, which {vendor.label} does not use. {uses}."
            )
        texts[name] = _text(vendor, name, value)
    return texts


def _text(vendor: Vendor, name: str, value: Any) -> str:
    """Return the text to insert for a value that was entered."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    described = vendor.values.get(name)
    if described and described.choices:
        if text not in described.choices:
            raise InvalidField(
                f"{_name_of(vendor, name)} in {field_name('vendor_values')} is {text!r}, which is not a choice. Use "
                f"one of {', '.join(described.choices)}."
            )
        return described.choices[text]
    if not is_valid(text):
        raise InvalidField(
            f"{_name_of(vendor, name)} in {field_name('vendor_values')} is not valid. Enter a text without line breaks"
            f"{f', for example {described.example}' if described and described.example else ''}."
        )
    return text


def _check_host_part(vendor: Vendor, name: str, text: str) -> None:
    described = vendor.values[name]
    if not described.choices and not LABEL.fullmatch(text):
        raise InvalidField(
            f"{_name_of(vendor, name)} in {field_name('vendor_values')} is {text!r}, but it is a part of a host name. "
            f"Enter only letters, digits and hyphens, for example {described.example}."
        )


def _refuse_missing(vendor: Vendor, missing: list[str]) -> NoReturn:
    described = [f"{name} ({vendor.values[name].description.rstrip('.')})" for name in missing]
    example = ", ".join(f'"{name}": "{vendor.values[name].example or vendor.values[name].sample}"' for name in missing)
    raise InvalidField(
        f"{vendor.label} needs more values: {'; '.join(described)}. Enter them in {field_name('vendor_values')}, for "
        f"example {{{example}}}."
    )


def _name_of(vendor: Vendor, name: str) -> str:
    described = vendor.values.get(name)
    return f"{described.label} ({name})" if described else name


def _callback_names(fields: Mapping[str, Any]) -> set[str]:
    pairs = fields.get("callback_map", "")
    return set(coerce("callback_map", FIELDS["callback_map"], pairs)) if pairs else set()


def _remaining(lookup: Lookup | None, given: Mapping[str, str]) -> Lookup | None:
    """Return the lookup of the values that were not entered; None if there are none."""
    values = {name: path for name, path in lookup.values.items() if name not in given} if lookup else {}
    return replace(lookup, values=values) if lookup and values else None
