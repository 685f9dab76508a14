"""The errors a token endpoint answers with (RFC 6749 §5.2), and the two ways they are written down."""

from __future__ import annotations

from typing import Literal

from fastapi.responses import JSONResponse

ErrorStyle = Literal["rfc6749", "league"]

#: RFC 6749 §5.1 asks for these on every answer with a token; on errors they do no harm.
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

#: What the league style says of every request that it calls invalid; the hint says more.
LEAGUE_INVALID_REQUEST = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than"
    " once, or is otherwise malformed."
)


class TokenError(Exception):
    """A token request that is refused.

    :param error: One of RFC 6749's error codes.
    :param description: What is wrong, for a person. Never quotes a secret.
    :param status: The HTTP status.
    :param challenge: Value of a ``WWW-Authenticate`` header.
    :param hint: What else the ``league`` style says.
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
        """Write the error as the server's style has it."""
        headers = dict(NO_STORE)
        if self.challenge:
            headers["WWW-Authenticate"] = self.challenge
        return JSONResponse(self._body(style), self.status, headers)

    def _body(self, style: ErrorStyle) -> dict[str, str]:
        if style == "league":
            # The PHP League's server, widely deployed: no error_description.
            if self.error == "invalid_client":
                # One message for all of them and no hint, as Justimmo's page shows it.
                return {"error": self.error, "message": "Client authentication failed"}
            return {"error": self.error, "message": self.description, "hint": self.hint}
        return {"error": self.error, "error_description": self.description}


def invalid_request(description: str, status: int = 400) -> TokenError:
    """Return the error for a parameter that is missing, repeated or malformed."""
    return TokenError("invalid_request", description, status)
