"""What a connection type knows of a vendor, as data: see :class:`Preset`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from airflow_provider_oauth.fields import FIELDS, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.api.rate_limit import Budget

#: Fields of the connection itself; all others are in its extra.
STANDARD = ("host", "login", "password", "schema", "port", "description")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A connection type: what its form asks for, and what it fixes because it is the same for all who use that API.

    Plain data, which Airflow loads on every ``airflow`` command. A type of one's own is a preset, a hook class with it,
    and a package whose ``get_provider_info`` returns :func:`provider_info`: ``docs/vendors.md`` shows one.

    :param conn_type: the connection type; no ``__``, and no ``-``
    :param name: what people call it
    :param hook_class_name: dotted path of its hook class
    :param fields: what the form asks for, by name and in order: those of ``fields.FIELDS``, in the vendor's words where
        they differ, or the vendor's own
    :param grants: the grant types that there are; the first one is the default, and a single one is not asked for
    :param fixed: fields that always have this value, and are not asked for
    :param environments: the vendor's systems by name, with the fields that differ between them; the first one is the
        default, and a single one is not asked for
    :param sent_as: where the vendor's own fields go: ``api_params`` or ``api_headers``, and the name on the wire
    :param labels: what ``login``, ``password`` and ``host`` are called in the form
    :param scope: what a user is asked to consent to, where that is always the same; separated by spaces
    :param refresh_bearer: whether a refresh request carries the old access token
    :param refresh_lifetime: seconds after which a refresh token ends that nobody uses; an answer that says so wins
    :param error_path: where the API's errors have words for people, as JMESPath; they are quoted
    :param advice: what to do about an error status of the API
    :param budget: what the API allows in a time; a hook keeps to it
    :param rate_limit_timeout: seconds for which a hook sends a request again that was answered 429 (Too Many Requests)
    """

    conn_type: str
    name: str
    hook_class_name: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    grants: tuple[str, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    sent_as: Mapping[str, tuple[Literal["api_params", "api_headers"], str]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    scope: str | None = None
    refresh_bearer: bool = False
    refresh_lifetime: int | None = None
    error_path: str | None = None
    advice: Mapping[int, str] = field(default_factory=dict)
    budget: Budget | None = None
    rate_limit_timeout: float = 0

    def __post_init__(self) -> None:
        """Refuse what would fail only when a connection is read."""
        unknown = sorted(set(self.fields) - set(FIELDS) - set(self.sent_as))
        if unknown:
            raise ValueError(f"{self.conn_type}: sent_as does not say where {', '.join(unknown)} goes")
        known = {*FIELDS, *STANDARD, *self.fields}
        named = {*self.fixed, *self.sent_as, *(name for fields in self.environments.values() for name in fields)}
        if unknown := sorted(named - known) + sorted(set(self.grants) - set(FIELDS["grant_type"].choices or ())):
            raise ValueError(f"{self.conn_type}: there is no {', '.join(unknown)}")
        if not self.grants or "__" in self.conn_type or "-" in self.conn_type:
            raise ValueError(f"{self.conn_type!r}: there must be a grant, and neither __ nor - in the type")

    @cached_property
    def form(self) -> dict[str, Field]:
        """All that the form asks for beyond the standard fields, in its order."""
        form = dict(self.fields)
        if len(self.grants) > 1:
            known = FIELDS["grant_type"]
            grant = known._replace(
                default=self.grants[0],
                choices={name: (known.choices or {})[name] for name in self.grants},
                description=known.description
                if "client_credentials" in self.grants
                else "How Airflow gets its tokens.",
            )
            form = {"grant_type": grant, **form}
        if len(self.environments) > 1:
            form = {"environment": self._environment, **form}
        return {**form, "leeway": form.get("leeway", FIELDS["leeway"])}  # always there: see fields.py

    @cached_property
    def known(self) -> dict[str, Field]:
        """All that is read, in the form or not."""
        return {**FIELDS, **({"environment": self._environment} if self.environments else {}), **self.form}

    @property
    def _environment(self) -> Field:
        return Field(
            "string",
            "Environment",
            f"Which of {self.name}'s systems the credentials are for.",
            default=next(iter(self.environments)),
            required=True,
            choices={name: name.capitalize() for name in self.environments},
        )

    def fixed_in(self, environment: str | None) -> dict[str, Any] | None:
        """Return the fields that are not asked for, with their values; None if there is no such environment.

        :param environment: its name, nothing for the default, or the URL of a stand-in (a mock server, a recording
            proxy), at which all URLs of the vendor keep their paths
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

    def connection_type(self) -> dict[str, Any]:
        """Return the connection type as Airflow's provider info has it."""
        fixed = self.fixed_in(None) or {}
        hidden = ["schema", "port", *(name for name in ("host", "login", "password") if name in fixed)]
        return {
            "connection-type": self.conn_type,
            "hook-name": self.name,
            "hook-class-name": self.hook_class_name,
            "ui-field-behaviour": {
                "hidden-fields": hidden,
                "relabeling": {"login": "Client ID", "password": "Client secret", **self.labels},
                "placeholders": {} if "host" in fixed else {"host": "https://api.example.com/v1"},
            },
            "conn-fields": {name: _form_field(field) for name, field in self.form.items() if field.shown},
        }


def _form_field(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": field.type if field.required else [field.type, "null"]}
    if field.default is not None:
        schema["default"] = field.default
    if field.choices:
        schema["enum"] = list(field.choices)
        schema["values_display"] = field.choices
    if field.secret and field.type == "string":
        schema["format"] = "password"
    if field.minimum is not None:
        schema["minimum"] = field.minimum
    return {"label": field.label, "description": field.description, "schema": schema}


def provider_info(package_name: str, *presets: Preset) -> dict[str, Any]:
    """Return what a package with connection types of its own tells Airflow by its ``get_provider_info``.

    :param package_name: the name of its distribution
    :param presets: its connection types
    """
    return {
        "package-name": package_name,
        "name": ", ".join(preset.name for preset in presets),
        "description": "Connection types for " + ", ".join(preset.name for preset in presets) + ".",
        "connection-types": [preset.connection_type() for preset in presets],
    }
