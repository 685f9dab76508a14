"""The condition of the sensor and of the triggers: a JMESPath that is true for a response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jmespath.exceptions import JMESPathError, JMESPathTypeError

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.extract.jmes import compiled, is_template
from airflow_provider_oauth.extract.page import Page

if TYPE_CHECKING:
    import requests


def check_condition(until: str, owner: str) -> None:
    """Check a condition before it is used.

    :param until: the JMESPath. With a template in it, it can be checked only after the template was rendered
    :param owner: the name of the class with the condition, for errors
    :raises ConfigurationError: if it is not a JMESPath
    """
    if not is_template(until):
        compiled(until, f"{owner}: until")


def is_fulfilled(until: str, response: requests.Response, conn_id: str) -> bool:
    """Return whether a condition is true for a response.

    An absent member is false, also as the argument of a function. If the result is not a boolean, null, 0, and empty
    strings, arrays and objects are false; all other values are true. An empty response, for example with status 204,
    fulfills no condition.

    :param until: the JMESPath, for example ``status == 'done'``
    :param response: the response of the API
    :param conn_id: the connection ID, for errors
    :raises ConfigurationError: if the JMESPath is invalid, or cannot be applied to the response
    :raises ApiError: if the response is not JSON
    """
    path = compiled(until, f"Connection {conn_id!r}: until")
    if not response.content.strip():
        return False
    try:
        return bool(path.search(Page(response, conn_id=conn_id).content))
    except JMESPathError as error:  # its text quotes the response
        if isinstance(error, JMESPathTypeError) and error.actual_type == "null":
            return False
        raise ConfigurationError(
            f"Connection {conn_id!r}: until {until!r} has a function that cannot be applied to the response. Correct "
            "the JMESPath."
        ) from None
