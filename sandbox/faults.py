"""Fault injection: responses that are replaced, delayed or dropped, as a test requested."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi.responses import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from sandbox.records import Fault


class DroppedConnection(Response):
    """Closes the connection instead of sending a response."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Abort the transport that :class:`sandbox.server.Protocol` stored in the scope."""
        scope["state"]["transport"].abort()
        # Wait until uvicorn has noticed: it sends a 500 if an application returns without a response.
        while (await receive())["type"] != "http.disconnect":
            pass


async def with_fault(fault: Fault | None, process: Callable[[], Awaitable[Response]]) -> Response:
    """Return the real response, or what the fault makes of it.

    :param fault: The fault to apply; ``None`` for none.
    :param process: Processes the request and returns the real response. Not called if the fault prevents processing.
    """
    if fault is None:
        return await process()
    response = await process() if fault.after_processing else None
    await asyncio.sleep(fault.delay)
    if fault.drop:
        return DroppedConnection()
    if fault.status is not None:
        return Response(fault.body, fault.status, fault.headers, fault.content_type)
    return await process() if response is None else response
