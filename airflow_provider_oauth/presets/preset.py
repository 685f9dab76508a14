"""Describes a connection type as data: its form, and the values that are the same for all users of an API."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from airflow_provider_oauth.fields import FIELDS, OR_VENDOR, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.api.rate_limit import Budget
    from airflow_provider_oauth.presets.vendor import Vendor

#: Fields of the connection itself; all others are in its extra.
STANDARD_FIELDS = ("host", "login", "password", "schema", "port", "description")
#: Labels of standard fields, if Airflow's own labels do not fit.
STANDARD_LABELS = {"login": "Client ID", "password": "Client secret"}
#: The text that the form shows in the empty field API base URL.
EXAMPLE_URL = "https://api.example.com/v1"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A connection type: the fields of its form, and the fields with a fixed value.

    It contains only data, because every ``airflow`` command loads it, so it must load quickly. For a
    connection type of another vendor, write a package with a preset, a hook class that has this preset, and a
    ``get_provider_info`` function that returns :func:`provider_info`. ``docs/own-vendor.md`` has an example.

    :param conn_type: the connection type, without ``__`` and ``-``
    :param name: the name of the connection type in Airflow's UI
    :param hook_class_name: dotted path of the hook class
    :param fields: the fields of the form by name, in order: fields of ``fields.FIELDS``, changed if necessary, and
        fields of the vendor
    :param grants: the grant types that the API supports. The first one is the default. If there is only one, the form
        does not show it
    :param fixed: fields that always have this value; the form does not show them
    :param environments: the vendor's systems by name, each with the values that fields have in this system only. The
        first one is the default. If there is only one, the form does not show it
    :param field_targets: how each of the vendor's own fields is sent: ``api_params`` (as a query parameter) or
        ``api_headers`` (as a header), and the name of the parameter or header
    :param labels: labels of ``login``, ``password`` and ``host`` in the form
    :param scope: the scope that is requested when a user consents, unless the connection has one; separated by spaces
    :param refresh_bearer: whether refresh requests send the old access token in the ``Authorization`` header
    :param refresh_lifetime: seconds after which an unused refresh token expires, unless the token response contains
        its lifetime
    :param vendor: the vendor's name in the catalogue of this package (``presets/catalogue``); the parameters below are
        then in the vendor's file, and are ignored here
    :param error_path: JMESPath of the error message in the API's error responses; it is quoted in task errors
    :param advice: what to do after an error status of the API, by status; it is added to task errors
    :param budget: the API's rate limit; the hook does not exceed it
    :param rate_limit_timeout: how long the hook keeps repeating a request that gets status 429 (Too Many Requests), in
        seconds
    :raises ValueError: if a field or grant type is unknown, a vendor's field is not in ``field_targets``, ``grants`` is
        empty, or ``conn_type`` is invalid
    """

    conn_type: str
    name: str
    hook_class_name: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    grants: tuple[str, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    field_targets: Mapping[str, tuple[Literal["api_params", "api_headers"], str]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    scope: str | None = None
    refresh_bearer: bool = False
    refresh_lifetime: int | None = None
    vendor: str | None = None
    error_path: str | None = None
    advice: Mapping[int, str] = field(default_factory=dict)
    budget: Budget | None = None
    rate_limit_timeout: float = 0

    def __post_init__(self) -> None:
        """Check the preset when it is created. Otherwise mistakes would be found only when a connection is read."""
        if untargeted := sorted(set(self.fields) - set(FIELDS) - set(self.field_targets)):
            raise ValueError(
                f"Preset {self.conn_type!r}: field_targets has no entry for {', '.join(untargeted)}. Add one for each "
                f"field."
            )
        known = {*FIELDS, *STANDARD_FIELDS, *self.fields}
        used = {*self.fixed, *self.field_targets, *(name for fields in self.environments.values() for name in fields)}
        if unknown := sorted(used - known):
            raise ValueError(
                f"Preset {self.conn_type!r}: fixed, environments or field_targets has unknown fields: "
                f"{', '.join(unknown)}. Remove them, or add them to fields."
            )
        if unknown := sorted(set(self.grants) - set(FIELDS["grant_type"].choices or ())):
            raise ValueError(
                f"Preset {self.conn_type!r}: grants has unknown grant types: {', '.join(unknown)}. Use "
                f"{', '.join(FIELDS['grant_type'].choices or ())}."
            )
        if not self.grants:
            raise ValueError(f"Preset {self.conn_type!r}: grants is empty. Add at least one grant type.")
        if "__" in self.conn_type or "-" in self.conn_type:
            raise ValueError(f"Preset {self.conn_type!r}: conn_type must not contain '__' or '-'.")

    @cached_property
    def api(self) -> Vendor:
        """The description of the API. The first access reads the vendor's file, if there is one."""
        # Only here, see the comment on Preset.
        from airflow_provider_oauth.presets.vendor import Vendor
        from airflow_provider_oauth.presets.vendors import vendor

        if self.vendor:
            return vendor(self.vendor)
        return Vendor(
            label=self.name,
            error_path=self.error_path,
            advice=self.advice,
            budget=self.budget,
            rate_limit_timeout=self.rate_limit_timeout,
        )

    @cached_property
    def form_fields(self) -> dict[str, Field]:
        """The fields of the form, in order, without the standard fields."""
        form = dict(self.fields)
        if len(self.grants) > 1 and "grant_type" not in form:
            form = {"grant_type": self._grant_type_field, **form}
        if len(self.environments) > 1:
            form = {"environment": self._environment_field, **form}
        return {**form, "leeway": form.get("leeway", FIELDS["leeway"])}  # every form needs leeway, see fields.py

    @cached_property
    def known_fields(self) -> dict[str, Field]:
        """All fields that a connection may have, whether or not the form shows them."""
        environment = {"environment": self._environment_field} if self.environments else {}
        return {**FIELDS, **environment, **self.form_fields}

    @cached_property
    def standard_labels(self) -> dict[str, str]:
        """The labels of standard fields. Labels that the preset defines take precedence."""
        return {**STANDARD_LABELS, **self.labels}

    @property
    def _grant_type_field(self) -> Field:
        known = FIELDS["grant_type"]
        with_client = "client_credentials" in self.grants
        return known._replace(
            default=self.grants[0],
            required=True,
            choices={name: (known.choices or {})[name] for name in self.grants},
            description=known.description if with_client else "How Airflow obtains tokens.",
        )

    @property
    def _environment_field(self) -> Field:
        return Field(
            "string",
            "Environment",
            f"The system of {self.name} that issued the credentials.",
            default=next(iter(self.environments)),
            required=True,
            choices={name: name.capitalize() for name in self.environments},
        )

    def fixed_fields(self, environment: str | None) -> dict[str, Any] | None:
        """Return the fields with a fixed value; None if there is no such environment.

        :param environment: the name of an environment, None for the default, or the URL of a mock server or recording
            proxy, which replaces the scheme and host of the vendor's URLs
        """
        fixed = {**self.fixed, **({"grant_type": self.grants[0]} if len(self.grants) == 1 else {})}
        if not self.environments:
            return fixed
        first = next(iter(self.environments))
        if environment and "://" in environment and not {"?", "#"} & set(environment):
            root = environment.rstrip("/")
            return fixed | {name: root + urlsplit(url).path for name, url in self.environments[first].items()}
        if (environment or first) not in self.environments:
            return None
        return {**fixed, **self.environments[environment or first]}

    def connection_type(self, choices: Mapping[str, dict[str, str]] = MappingProxyType({})) -> dict[str, Any]:
        """Return the connection type as an entry of Airflow's provider info.

        :param choices: fields whose choices are not in ``fields``, each with values and their labels
        """
        fixed = self.fixed_fields(None) or {}
        shown = {name: field for name, field in self.form_fields.items() if field.shown}
        shown |= {name: shown[name]._replace(choices=values) for name, values in choices.items()}
        hidden = ["schema", "port", *(name for name in ("host", "login", "password") if name in fixed)]
        if "vendor" not in shown:
            shown = {
                name: each._replace(unset=(each.unset or "").removeprefix(OR_VENDOR)) for name, each in shown.items()
            }
        example = f"{EXAMPLE_URL}, or empty if you choose a vendor" if "vendor" in shown else EXAMPLE_URL
        return {
            "connection-type": self.conn_type,
            "hook-name": self.name,
            "hook-class-name": self.hook_class_name,
            "ui-field-behaviour": {
                "hidden-fields": hidden,
                "relabeling": self.standard_labels,
                "placeholders": {} if "host" in fixed else {"host": example},
            },
            "conn-fields": {name: _form_field(field) for name, field in shown.items()},
        }


def _form_field(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": field.type if field.required else [field.type, "null"]}
    if field.default is not None:
        schema["default"] = field.default
    if field.choices:
        # Airflow's form shows null as "null" unless values_display has a label for it.
        unset = {"null": field.unset} if field.unset and not field.required else {}
        schema["enum"] = [*(None for _ in unset), *field.choices]
        schema["values_display"] = {**unset, **field.choices}
    if field.secret and field.type == "string":
        schema["format"] = "password"
    if field.minimum is not None:
        schema["minimum"] = field.minimum
    return {"label": field.label, "description": field.help_text, "schema": schema}


def provider_info(package_name: str, *presets: Preset) -> dict[str, Any]:
    """Return the provider info of a package with its own connection types, for its ``get_provider_info`` function.

    :param package_name: the name of the package's distribution
    :param presets: the connection types of the package
    """
    names = ", ".join(preset.name for preset in presets)
    return {
        "package-name": package_name,
        "name": names,
        "description": f"Connection types for {names}.",
        "connection-types": [preset.connection_type() for preset in presets],
    }
