"""What users and tasks do with a connection to a vendor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from sandbox.vendor_server import REDIRECT_URI, connection_fields

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_oauth.hooks.oauth import OAuthHook
    from airflow_provider_oauth.protocol.config import OAuthConfig
    from sandbox.vendor_example import Example
    from sandbox.vendor_server import VendorServer
    from tests.fake_clock import FakeClock


@dataclass
class VendorRun:
    """One connection, one user and one task.

    :param server: the server that plays the vendor
    :param example: what the vendor documents
    :param clock: the clock of all
    :param folder: where the task writes its file
    """

    server: VendorServer
    example: Example
    clock: FakeClock
    folder: Path
    conn_id = "vendor"

    def fields(self, vendor: str | None) -> dict[str, Any]:
        """Return the fields of the connection: what a user enters, and the proxy."""
        nothing = {"host": None, "login": None, "password": None, "grant_url": None}
        named = {"vendor": vendor} if vendor else {}
        return nothing | named | self.example.fields | connection_fields(self.server)

    @property
    def hook(self) -> OAuthHook:
        from airflow_provider_oauth.hooks.oauth import OAuthHook

        return OAuthHook(self.conn_id, method="GET")

    @property
    def config(self) -> OAuthConfig:
        return self.hook.config

    def authorize(self) -> None:
        """Authorize the connection as a user who consents, if the grant needs a user."""
        from airflow_provider_oauth.management import grants
        from airflow_provider_oauth.protocol.authorization import AuthorizationRequest

        if self.example.authorize is None:
            return
        request = AuthorizationRequest(conn_id=self.conn_id, redirect_uri=REDIRECT_URI)
        url = grants.begin_authorization(self.config, request)
        fields = connection_fields(self.server)
        response = requests.get(url, **fields, allow_redirects=False, timeout=10)
        assert response.status_code == 302, response.text
        grants.finish_authorization(self.config, request, response.headers["Location"])

    def renew(self) -> None:
        """Renew the token."""
        from airflow_provider_oauth.management import grants

        grants.renew(self.config)

    def pull(self, **more: Any) -> tuple[dict[str, Any], list[Any]]:
        """Run the task that reads the list; return its result and the rows in its file.

        The path of the rows comes from the vendor's file, if there is one.

        :param more: arguments of the operator besides those of the example
        """
        from airflow_provider_oauth.operators.extract import OAuthExtractOperator

        path = self.folder / "rows.jsonl"
        options = self.example.list_options | more
        if self.config.vendor:
            options.pop("records_path", None)
        task = OAuthExtractOperator(task_id="rows", oauth_conn_id=self.conn_id, path=str(path), **options)
        result: dict[str, Any] = task.execute({})
        return result, [json.loads(line) for line in path.read_text().splitlines()]

    def disagreement(self, *more: str) -> str:
        """Return a text about the requests that contradict the documentation."""
        differences = dict.fromkeys(self.server.differences)
        sources = f"Documentation: {', '.join(self.example.documentation)}"
        steps = f"Requests: {', '.join(self.server.steps())}"
        return "\n".join(["What is sent differs from the documentation:", *differences, steps, sources, *more])
