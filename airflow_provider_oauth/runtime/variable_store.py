"""Stores records and leases in Airflow Variables."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_oauth.exceptions import TokenStoreError
from airflow_provider_oauth.runtime import airflow_variables
from airflow_provider_oauth.runtime.record_codec import RecordCodec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.runtime.data_key import PrivateKeys
    from airflow_provider_oauth.tokens.record import Record


class VariableTokenStore:
    """Stores the record and the lease of a connection in ``oauth_token__<conn_id>`` and ``oauth_lease__<conn_id>``.

    See ``RecordCodec`` for the content of the record. The content of the lease is a nonce.

    :param config: the settings of the connection
    :param private_keys: the private keys in its files; None for those that this process reads
    """

    def __init__(self, config: OAuthConfig, private_keys: PrivateKeys | None = None) -> None:
        self.conn_id = config.conn_id
        self._record_variable = airflow_variables.variable_name("oauth_token__", config.conn_id)
        self._lease_variable = airflow_variables.variable_name("oauth_lease__", config.conn_id)
        self.name = f"the Airflow Variable {self._record_variable}"
        self._codec = RecordCodec(config, self.name, private_keys)

    def read(self) -> Record | None:
        """Return the record, decrypted if possible; None if there is none, or if Airflow hid that the read failed.

        :raises TokenStoreError: if Airflow raised an error
        """
        with self._errors_converted("read", self._record_variable):
            text = airflow_variables.get_variable(self._record_variable)
        return None if text is None else self._codec.decode(text)

    def write(self, record: Record) -> None:
        """Replace the record, and read it back to check that it was stored.

        :raises TokenStoreError: if it was not stored
        """
        description = f"Token of the connection {self.conn_id}. Do not edit."
        text = self._codec.encode(record)
        with self._errors_converted("written", self._record_variable):
            airflow_variables.set_variable(self._record_variable, text, description)
        stored = self.read()
        if stored is None or (stored.nonce != record.nonce and stored.generation <= record.generation):
            raise TokenStoreError(
                f"Connection {self.conn_id!r}: {self.name} does not contain the value that was just written. Check "
                f"whether an environment variable or a secrets backend defines a Variable of the same name."
            )

    def is_listed(self) -> bool | None:
        """Return whether the Variable of the record exists; None if it is not known.

        Unlike ``read``, this distinguishes a missing Variable from a failed read.

        :raises TokenStoreError: if Airflow raised an error
        """
        with self._errors_converted("listed", self._record_variable):
            return airflow_variables.is_listed(self._record_variable)

    def read_lease(self) -> str | None:
        """Return the nonce in the lease; None if there is none, or if Airflow hid that the read failed.

        :raises TokenStoreError: if Airflow raised an error
        """
        with self._errors_converted("read", self._lease_variable):
            return airflow_variables.get_variable(self._lease_variable)

    def lease_is_listed(self) -> bool | None:
        """Return whether the Variable of the lease exists; None if it is not known. See ``is_listed``."""
        with self._errors_converted("listed", self._lease_variable):
            return airflow_variables.is_listed(self._lease_variable)

    def write_lease(self, nonce: str) -> None:
        """Write ``nonce`` to the lease.

        :raises TokenStoreError: if Airflow raised an error
        """
        description = f"Coordinates renewals of the token of the connection {self.conn_id}. Do not edit."
        with self._errors_converted("written", self._lease_variable):
            airflow_variables.set_variable(self._lease_variable, nonce, description)

    @contextmanager
    def _errors_converted(self, action: str, variable: str) -> Iterator[None]:
        """Raise a ``TokenStoreError`` instead of any error of Airflow."""
        try:
            yield
        except Exception as error:
            raise TokenStoreError(
                f"Connection {self.conn_id!r}: the Airflow Variable {variable} could not be {action} "
                f"({type(error).__name__}). Check that Airflow's API server and database are available."
            ) from error
