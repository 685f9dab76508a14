"""Creates a connection of a vendor in Airflow's database, for the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow.models import Connection
from airflow.secrets.environment_variables import CONN_ENV_PREFIX, EnvironmentVariablesBackend
from airflow.secrets.metastore import MetastoreBackend
from airflow.utils.helpers import validate_key
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from airflow_provider_oauth.coercion import InvalidField, coerce
from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.fields import FIELDS
from airflow_provider_oauth.management.vendor_entries import STANDARD_FIELDS, entries
from airflow_provider_oauth.protocol.credentials import load_credentials
from airflow_provider_oauth.runtime.compat import secrets_backends

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_oauth.management.vendor_entries import Entry
    from airflow_provider_oauth.presets.vendor import Vendor
    from airflow_provider_oauth.protocol.config import OAuthConfig

#: The longest ID that Airflow accepts, in characters.
LONGEST_ID = 200
LEEWAY = 60
#: Fields that make another field unnecessary, by that field.
ALTERNATIVES = {
    "private_key": ("private_key_file", "assertion_file"),
    "grant_url": ("issuer",),
    "authorize_url": ("issuer",),
}
#: Types of fields whose text is stored as a JSON value.
JSON_TYPES = ("integer", "boolean", "object")


@dataclass(frozen=True, kw_only=True)
class NewConnection:
    """A connection of a vendor that is not stored yet.

    :param conn_id: ID of the connection
    :param vendor: the vendor
    :param grant_type: the grant type
    :param fields: the other fields that the user has entered, as texts, by key
    :param values: the values of the vendor that the user has entered, by name
    """

    conn_id: str
    vendor: Vendor
    grant_type: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    values: Mapping[str, str] = field(default_factory=dict)

    def with_text(self, entry: Entry, text: str) -> NewConnection:
        """Return a copy with a text that the user has entered.

        :param entry: what the user has entered
        :param text: the text
        """
        if entry.is_value:
            return replace(self, values={**self.values, entry.name: text})
        return replace(self, fields={**self.fields, entry.name: text})

    def missing(self) -> list[Entry]:
        """Return what the user must still enter, or can enter instead of a default.

        :raises ConfigurationError: if the vendor's file is invalid for this grant type
        """
        try:
            return [each for each in entries(self.vendor, self.grant_type) if not self._has(each)]
        except InvalidField as error:
            raise ConfigurationError(
                f"The vendor file {self.vendor.name}.toml is invalid for {self.grant_type}. {error}"
            ) from None

    def connection(self) -> Connection:
        """Return the connection as Airflow stores it.

        :raises ConfigurationError: if the text of a field does not have the field's type
        """
        try:
            extra = {name: _to_json(name, text) for name, text in self.fields.items() if name not in STANDARD_FIELDS}
        except InvalidField as error:
            raise ConfigurationError(f"Connection {self.conn_id!r}: {error}") from None
        extra = {
            "vendor": self.vendor.name,
            **({"vendor_values": dict(self.values)} if self.values else {}),
            "grant_type": self.grant_type,
            "leeway": LEEWAY,
            **extra,
        }
        return Connection(
            conn_id=self.conn_id,
            conn_type="oauth",
            host=self.fields.get("host"),
            login=self.fields.get("login"),
            password=self.fields.get("password"),
            extra=json.dumps(extra),
        )

    def config(self) -> OAuthConfig:
        """Return the settings of the connection, as a task reads them.

        :raises ConfigurationError: if something is missing or invalid
        """
        return self._read(self)

    def check(self) -> None:
        """Check what the user has entered so far, with samples instead of the rest.

        :raises ConfigurationError: if something is invalid
        """
        sample = self
        for entry in self.missing():
            sample = sample.with_text(entry, entry.sample)
        self._read(sample)

    def _has(self, entry: Entry) -> bool:
        if entry.is_value:
            return entry.name in self.values
        return any(name in self.fields for name in (entry.name, *ALTERNATIVES.get(entry.name, ())))

    def _read(self, new: NewConnection) -> OAuthConfig:
        config = read_connection(new.connection())
        if "private_key" in self.fields:
            load_credentials(config)  # this checks the key
        return config


def check_new_id(conn_id: str) -> None:
    """Check that a connection can be created with an ID.

    :param conn_id: ID of the connection
    :raises ConfigurationError: if Airflow does not accept the ID, or its database has a connection with this ID
    """
    try:
        validate_key(conn_id, max_length=LONGEST_ID)
    except Exception as error:
        raise ConfigurationError(f"The connection ID {conn_id!r} is not valid. {error}.") from None
    with create_session() as session:
        if session.scalar(select(Connection.conn_type).where(Connection.conn_id == conn_id)) is not None:
            raise _already_exists(conn_id)


def store(connection: Connection) -> None:
    """Store a new connection in Airflow's database. It belongs to no team.

    :param connection: the connection
    :raises ConfigurationError: if the database has a connection with this ID
    """
    conn_id = connection.conn_id or ""
    check_new_id(conn_id)
    try:
        with create_session() as session:
            session.add(connection)
    except IntegrityError:  # another user has created it in the meantime
        raise _already_exists(conn_id) from None


def overriding_sources(conn_id: str) -> list[str]:
    """Return what else defines a connection with this ID, so that Airflow does not use the one in the database.

    :param conn_id: ID of the connection
    :return: the environment variable and the secrets backends, each as a text. A backend that fails is included,
        because it may have the connection
    """
    found = []
    for backend in secrets_backends():
        if isinstance(backend, MetastoreBackend):
            continue
        name = f"the secrets backend {type(backend).__name__}"
        if isinstance(backend, EnvironmentVariablesBackend):
            name = f"the environment variable {CONN_ENV_PREFIX}{conn_id.upper()}"
        try:
            if backend.get_connection(conn_id) is not None:
                found.append(name)
        except Exception as error:  # a backend is code of another package, and its connection may be invalid
            found.append(f"{name} (it cannot be read: {type(error).__name__})")
    return found


def _already_exists(conn_id: str) -> ConfigurationError:
    return ConfigurationError(
        f"Connection {conn_id!r} already exists in Airflow's database. Nothing was changed. Choose another ID, or "
        "change the existing connection in Airflow's form."
    )


def _to_json(name: str, text: str) -> Any:
    """Return the value of an extra field as it is stored in JSON."""
    return coerce(name, FIELDS[name], text) if FIELDS[name].type in JSON_TYPES else text
