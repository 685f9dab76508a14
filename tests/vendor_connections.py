"""The connections in the documentation, with keys and tokens in the files that they name."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import jwt

from airflow_provider_oauth.connection import read_connection
from airflow_provider_oauth.protocol.credentials import load_credentials
from airflow_provider_oauth.protocol.token_requests import grant_request
from tests.documents import DOCS, connection_below

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from airflow_provider_oauth.protocol.config import OAuthConfig
    from airflow_provider_oauth.protocol.token_requests import TokenRequest

FILE_FIELDS = ("private_key_file", "assertion_file", "subject_token_file")


def documented(page: str, heading: str, folder: Path, content: str = "", **extra: Any) -> OAuthConfig:
    """Return the settings of a connection in the documentation.

    :param page: name of the page below ``docs/connections``
    :param heading: heading above the connection
    :param folder: where to create the file that the connection names
    :param content: the content of that file
    :param extra: values that replace those in the connection's extra; None removes one
    """
    from airflow.sdk import Connection

    values = connection_below(heading, DOCS / "connections" / page)
    values["extra"] = {name: value for name, value in (values["extra"] | extra).items() if value is not None}
    for name in filter(values["extra"].__contains__, FILE_FIELDS):
        path = folder / "file"
        path.write_text(content)
        values["extra"][name] = str(path)
    connection = Connection(conn_id="vendor", **{**values, "extra": json.dumps(values["extra"])})
    return replace(read_connection(connection), file_folder=str(folder))


@dataclass(frozen=True)
class Sent:
    """A token request, with its parameters and the JWT in it.

    :param request: the request
    :param params: the parameters of the form; the JWT is replaced by "JWT"
    :param header: the header of the JWT
    :param claims: the claims of the JWT
    """

    request: TokenRequest
    params: dict[str, str]
    header: dict[str, Any]
    claims: dict[str, Any]


def sent(config: OAuthConfig, now: datetime, verify_with: Any = None) -> Sent:
    """Return the token request of a connection.

    :param config: the connection
    :param now: time of the request
    :param verify_with: the public key that verifies the JWT; None if the request has no JWT
    """
    credentials = replace(load_credentials(config), new_jwt_id=lambda: "fake-jwt-id-0001")
    request = grant_request(config, now=now, credentials=credentials)
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    params = dict(pairs)
    assert len(params) == len(pairs)
    if verify_with is None:
        return Sent(request, params, {}, {})
    (name,) = {"client_assertion", "assertion"} & set(params)
    header = jwt.get_unverified_header(params[name])
    options = {"verify_exp": False, "verify_aud": False, "verify_iat": False, "verify_nbf": False}
    claims = jwt.decode(params[name], verify_with, algorithms=[header["alg"]], options=options)
    return Sent(request, {**params, name: "JWT"}, header, claims)
