"""Sends the requests for pages in threads, before the pages are needed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from itertools import chain
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from airflow_provider_oauth.api.policy import RenewalNeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import requests

    from airflow_provider_oauth.extract.page_request import PageRequest

    #: A function that sends a request, and the future that receives its response or error.
    ToSend = tuple[Callable[[], requests.Response], Future[requests.Response]]

log = logging.getLogger(__name__)


class Prepare(Protocol):
    """Prepares requests for pages."""

    def __call__(self, page: PageRequest, *, is_ahead: bool) -> Callable[[], requests.Response]:
        """Return a function that sends a request.

        :param page: the request
        :param is_ahead: whether the request is sent ahead, in another thread. The function then raises
            ``RenewalNeeded`` if the API refuses the token
        """


class Lookahead:
    """Sends requests for pages ahead of the page that is read.

    The reader decides from each page how to request the next one. This class only sends the requests that it will
    probably make. If the reader then makes another request, everything that was sent ahead is discarded, so no row can
    be skipped or read twice. The reader's thread itself sends the request that it needs in two cases: if no thread
    has begun to send it, for example because all threads wait for responses that were discarded, and if the API refused
    the token.

    :param prepare: prepares a request
    :param concurrency: maximum number of requests at a time, and of responses in memory
    :param stop: is set when the responses are no longer needed, so that waiting threads end
    :param conn_id: the connection ID, for the log
    :param has_budget: whether requests cost credits. At most one page after the end of the list is then requested
    """

    def __init__(
        self,
        prepare: Prepare,
        concurrency: int,
        stop: threading.Event,
        conn_id: str,
        *,
        has_budget: bool,
    ) -> None:
        self._prepare = prepare
        self._concurrency = concurrency
        self._stop = stop
        self._conn_id = conn_id
        self._ahead: deque[tuple[PageRequest, Future[requests.Response]]] = deque()
        self._coming: Iterator[PageRequest] = iter(())
        self._window = concurrency
        self._has_budget = has_budget
        self._to_send: SimpleQueue[ToSend | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._is_regular = True

    def get(self, request: PageRequest) -> requests.Response:
        """Return the response to a request. If the request was not sent ahead, send it now.

        :raises Exception: the error of this request
        """
        if self._ahead and self._ahead[0][0] == request:
            self._fill(self._window)
            future = self._ahead[0][1]
            if not future.cancel():
                future.exception()  # waits; if a task timeout ends the wait, discard() still closes the response
            self._ahead.popleft()
            with suppress(RenewalNeeded, CancelledError):
                return future.result()
        else:
            self.discard()
        return self._prepare(request, is_ahead=False)()

    def advance(self, following: PageRequest) -> bool:
        """Send further requests ahead, if ``following`` is the oldest request that was sent ahead.

        :return: whether it is. Otherwise, everything that was sent ahead is discarded; call ``expect`` then
        """
        if not self._ahead:
            return False
        if self._ahead[0][0] == following:
            self._fill(self._window - 1)  # the page that is read now is in memory too
            return True
        if self._is_regular:
            log.info(
                "Connection %r: a page has more or fewer rows than the first page, so the following requests cannot "
                "be predicted. The rest of the list is requested one page at a time.",
                self._conn_id,
            )
        self._is_regular = False
        self.discard()
        return False

    def expect(self, following: PageRequest, further: Iterable[PageRequest], *, is_end_known: bool) -> None:
        """Send the requests ahead that will probably follow.

        :param following: the next request
        :param further: the requests after it; empty if they cannot be computed
        :param is_end_known: whether ``further`` ends at the end of the list
        """
        self._coming = chain([following], further if self._is_regular else ())
        self._window = 2 if self._has_budget and not is_end_known else self._concurrency
        self._fill(self._window - 1)

    def discard(self) -> None:
        """Discard the requests that were sent ahead, and their responses."""
        self._coming = iter(())
        while self._ahead:
            future = self._ahead.pop()[1]
            if not future.cancel():
                future.add_done_callback(_close)

    def close(self) -> None:
        """End the threads that wait, and discard all responses.

        A thread that waits for the API's response ends when the response arrives, or at the request's timeout.
        """
        self._stop.set()
        self.discard()
        for _ in self._threads:
            self._to_send.put(None)

    def _fill(self, window: int) -> None:
        while len(self._ahead) < window and (request := next(self._coming, None)) is not None:
            self._send(request)

    def _send(self, request: PageRequest) -> None:
        future: Future[requests.Response] = Future()
        self._ahead.append((request, future))
        try:
            send = self._prepare(request, is_ahead=True)
        except Exception as error:  # it is raised when this request is needed
            future.set_exception(error)
            return
        self._to_send.put((send, future))
        if len(self._threads) < self._concurrency:
            # Not a ThreadPoolExecutor: the end of the process would wait for the threads of an executor.
            self._threads.append(threading.Thread(target=_work, args=(self._to_send,), daemon=True))
            self._threads[-1].start()


def _work(to_send: SimpleQueue[ToSend | None]) -> None:
    """Send one request after the other, and store their responses or errors."""
    while (item := to_send.get()) is not None:
        send, future = item
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(send())
        except BaseException as error:
            future.set_exception(error)
        del item, send, future  # otherwise this thread would keep the response in memory


def _close(future: Future[requests.Response]) -> None:
    """Close a response that is not needed."""
    with suppress(BaseException):
        future.result().close()
