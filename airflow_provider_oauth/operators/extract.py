"""Reading from an API into a file: what the operators that do so have in common. Light: DAG files import it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import jmespath
from airflow.providers.common.compat.sdk import BaseOperator
from jmespath.exceptions import JMESPathError

from airflow_provider_oauth.exceptions import ConfigurationError
from airflow_provider_oauth.hooks.task import ReportsFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_oauth.extract.paginators import Page
    from airflow_provider_oauth.extract.request import ListRequest
    from airflow_provider_oauth.hooks.oauth import OAuthHook

#: ``records_path`` of an answer that is one row itself.
WHOLE_RESPONSE = "[@]"


class ExtractOperator(ReportsFailure, BaseOperator):
    """Writes the rows of a list to a file, page by page. Only the fields in ``xcom_fields`` go to XCom.

    The base class of operators that read lists: they name the lists in :meth:`list_requests`. The file is written after
    everything was read, so a task that fails leaves no partial file, and a local file is replaced atomically. Each
    mapped task needs its own path: put ``{{ ti.map_index }}`` into it.

    :param oauth_conn_id: the connection (templated)
    :param scope: a scope of its own instead of the connection's, separated by spaces; only for the client_credentials
        and password grants (templated)
    :param path: the file to write, one row a line, as JSON: a path, or a URL of any storage that Airflow knows, such as
        ``s3://conn_id@bucket/key`` (templated)
    :param xcom_fields: the fields of each row that go to XCom, as JMESPath: ``id``, ``{id: id, name: name}``, or ``@``
        for the whole row
    :return: a list with the ``xcom_fields`` of each row; without ``xcom_fields``, the numbers of ``rows`` and
        ``pages``, and the ``path``
    :raises ConfigurationError: if ``xcom_fields`` is not JMESPath, or the connection makes no sense
    :raises ApiError: if the API answers with an error, or not with rows
    :raises OAuthError: if there is no token to be had
    """

    conn_id_field = "oauth_conn_id"
    default_conn_name = "oauth_default"
    template_fields: Sequence[str] = ("oauth_conn_id", "scope", "path")
    ui_color = "#e4f0ee"
    #: Seconds for which a request is sent again that was answered 429; None: as the connection's type has it.
    rate_limit_timeout: float | None = None

    def __init__(
        self,
        *,
        oauth_conn_id: str | None = None,
        scope: str | None = None,
        path: str | None = None,
        xcom_fields: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.oauth_conn_id = oauth_conn_id or self.default_conn_name
        self.scope = scope
        self.path = path
        self.xcom_fields = xcom_fields

    def list_requests(self, hook: OAuthHook) -> Iterator[ListRequest]:
        """Yield what is to be read.

        :param hook: the connection's
        """
        raise NotImplementedError

    def check(self, page: Page) -> None:
        """Raise an ``ApiError`` if the page has errors in it, though its status is good."""

    @property
    def private(self) -> bool:
        """Whether a local file is for its owner alone."""
        return False

    def transform_row(self, row: Any) -> Any:
        """Return the row as it is written."""
        return row

    def redact_row(self, row: Any) -> Any:
        """Return the row without what must never go to XCom."""
        return row

    def make_hook(self) -> OAuthHook:
        """Return the hook of the connection's own type."""
        from airflow_provider_oauth.hooks.oauth import hook_of

        hook = hook_of(self.oauth_conn_id, self.scope, method="GET")
        if self.rate_limit_timeout is not None:
            hook.rate_limit_timeout = self.rate_limit_timeout
        return hook

    def execute(self, context: Context) -> Any:
        """Read, write, and return what was asked for."""
        with self.reporting_failure():
            return self._execute()

    def _execute(self) -> Any:
        if self.path is not None and not self.path.strip():
            raise ConfigurationError(f"Connection {self.oauth_conn_id!r}: path is empty; nothing would be kept.")
        hook, select = self.make_hook(), self._compiled()
        selected: list[Any] = []
        rows = number = 0
        with _new_file(self._target(), self.private) as file:
            for read in self.list_requests(hook):
                data, headers = _present(read.data), _present(read.headers)
                for page in hook.paginate(read.endpoint, read.paginator, data, headers, records_path=read.records_path):
                    self.check(page)
                    number, rows = number + 1, rows + len(page.rows)
                    for row in map(self.transform_row, page.rows):
                        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
                        # Half of a pair of surrogates, from a text that was cut, is no UTF-8; as \udXXX it is JSON.
                        file.write(line.encode(errors="backslashreplace") + b"\n")
                        if select:
                            selected.append(self._selected(select, row))
        self.log.info("Read %d rows in %d pages%s.", rows, number, f" into {self.path}" if self.path else "")
        return selected if select else {"rows": rows, "pages": number, "path": self.path}

    def _target(self) -> ObjectStoragePath | None:
        """Return where to write to.

        :raises ConfigurationError: if Airflow knows no such storage
        """
        if self.path is None:
            return None
        from airflow.sdk import ObjectStoragePath

        try:
            target = ObjectStoragePath(self.path)
            _ = target.fs  # here, because it would be too late when everything has been read
        except ValueError as error:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: path is {self.path!r}: {error}. Install the Airflow provider of "
                f"this storage, or use another storage."
            ) from error
        return target

    def _selected(self, select: Any, row: Any) -> Any:
        try:
            return select.search(self.redact_row(row))
        except JMESPathError:  # its text quotes the row
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: xcom_fields has a function that does not fit what is in a row."
            ) from None

    def segment(self, name: str, value: Any = None) -> str:
        """Return a parameter, or one value of it, as a segment of a URL's path.

        :raises ConfigurationError: if it is nothing of the kind: another endpoint would be asked
        """
        value = getattr(self, name) if value is None else value
        if not isinstance(value, (str, int)) or str(value).strip() in ("", ".", ".."):
            raise ConfigurationError(f"Connection {self.oauth_conn_id!r}: {name} is {value!r}, which is no ID.")
        return quote(str(value).strip(), safe="")

    def ids(self, name: str) -> list[str]:
        """Return a parameter as a list of IDs: of one, of several, or of lists of them, as mapped tasks return.

        :raises ConfigurationError: if there is something else in it
        """
        found = getattr(self, name)
        if not found and found != 0:
            return []
        ids: list[str] = []
        for each in flattened([found] if isinstance(found, (str, int, Mapping)) else found):
            text = "" if each is None else str(each).strip()
            if not isinstance(each, (str, int, type(None))) or text.startswith(("[", "{")):
                raise ConfigurationError(
                    f"Connection {self.oauth_conn_id!r}: {name} takes IDs, one or a list of them; there is a "
                    f"{type(each).__name__} in it, or a text that looks like a list. Hand on a task's output "
                    f"itself: {name}=task.output."
                )
            ids += [part.strip() for part in text.split(",") if part.strip()]
        return ids

    def _compiled(self) -> Any:
        try:
            return jmespath.compile(self.xcom_fields) if self.xcom_fields else None
        except JMESPathError as error:
            raise ConfigurationError(
                f"Connection {self.oauth_conn_id!r}: xcom_fields is not JMESPath: {error}"
            ) from None


@contextmanager
def _new_file(target: ObjectStoragePath | None, private: bool) -> Iterator[IO[bytes]]:
    """Yield a file to write to, which becomes that of ``target`` if nothing is raised until the end."""
    with tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        if target is not None and target.protocol in ("", "file", "local"):
            _replace(Path(target.path), file, private=private)
        elif target is not None:
            with target.open("wb") as stored:
                shutil.copyfileobj(file, stored)


def _replace(path: Path, content: IO[bytes], *, private: bool) -> None:
    """Put a file in the place of another, or of none, at once: if that fails, the other one is as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(16)}.part")
    # As mkstemp does it, whose files have mode 0600: the mode of others depends on the umask and on the folder's access
    # control list. Only the kernel can apply those without changing the umask of all threads.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(part, flags, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stored:
            shutil.copyfileobj(content, stored)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def flattened(values: Iterable[Any]) -> list[Any]:
    """Return values, and those of lists among them: mapped tasks return a list of lists."""
    return [each for value in values for each in (value if isinstance(value, (list, tuple)) else [value])]


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def joined(values: str | int | Sequence[Any] | None) -> str | None:
    """Return values as an API takes a list of them: separated by commas."""
    if values is None or isinstance(values, (str, int)):
        return str(values) if values not in (None, "") else None
    return ",".join(map(str, values)) or None
