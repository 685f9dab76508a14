"""Error responses of the token endpoint (RFC 6749 §5.2), in two formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse

if TYPE_CHECKING:
    from sandbox.server_config import ErrorStyle

#: RFC 6749 §5.1 requires these headers on every response with a token. Errors have them too.
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

#: The message of every invalid request in the ``league`` format. The hint has the details.
LEAGUE_INVALID_REQUEST = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than"
    " once, or is otherwise malformed."
)


class TokenError(Exception):
    """A token request is refused.

    :param error: An error code of RFC 6749.
    :param description: A description for people. It never contains a secret.
    :param status: The HTTP status.
    :param challenge: The value of the ``WWW-Authenticate`` header.
    :param hint: The ``hint`` of the ``league`` format.
    """

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 400,
        challenge: str | None = None,
        hint: str = "Check the request's parameters",
    ) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description
        self.status = status
        self.challenge = challenge
        self.hint = hint

    def response(self, style: ErrorStyle) -> JSONResponse:
        """Return the error response in the server's format."""
        headers = dict(NO_STORE)
        if self.challenge:
            headers["WWW-Authenticate"] = self.challenge
        return JSONResponse(self._body(style), self.status, headers)

    def _body(self, style: ErrorStyle) -> dict[str, str]:
        if style == "league":
            # The server of The PHP League, which is widely used, sends no error_description.
            if self.error == "invalid_client":
                # Justimmo's documentation shows one message for all of these errors, without a hint.

                return {"error": self.error, "message": "Client authentication failed"}
            return {"error": self.error, "message": self.description, "hint": self.hint}
        return {"error": self.error, "error_description": self.description}


def invalid_request(description: str, status: int = 400) -> TokenError:
    """Return the error for a parameter that is missing, repeated or malformed."""
    return TokenError("invalid_request", description, status)
