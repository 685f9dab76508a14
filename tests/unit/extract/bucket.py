"""A bucket that several hosts use, with operations that fail, are late, or never return."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import store
from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

#: When an operation fails: ``before`` it takes effect, ``after`` that, or ``late``, so that it takes effect in
#: ``Bucket.land``.
Moment = Literal["before", "after", "late"]


class Killed(BaseException):
    """The process was killed."""


class Bucket:
    """The content of a bucket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.objects: dict[str, bytes] = {}
        self.late: list[Callable[[], object]] = []
        self._monkeypatch = monkeypatch

    def host(self, name: str) -> tuple[Host, ObjectStoragePath]:
        """Return a new host, and the folder ``out`` as it accesses it."""
        host = Host(self)
        others = {alias: other for alias, other in store._STORE_CACHE.items() if alias != f"memory-{name}"}
        self._monkeypatch.setattr(store, "_STORE_CACHE", others)
        store.attach("memory", name, fs=host)
        return host, ObjectStoragePath(f"memory://{name}@bucket/out/")

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the folder by name."""
        return {path.rpartition("/")[2]: content for path, content in self.objects.items()}

    def clear(self) -> None:
        self.objects.clear()
        self.late.clear()

    def land(self) -> None:
        """Let late operations take effect."""
        for operation in self.late:
            with suppress(FileNotFoundError):
                operation()
        self.late.clear()


class Host(AbstractFileSystem):
    """The access of one host to a bucket. It caches the list of objects until the cache is invalidated.

    :param bucket: the bucket
    """

    protocol = "memory"
    root_marker = "/"
    cachable = False

    def __init__(self, bucket: Bucket) -> None:
        super().__init__()
        self._bucket = bucket
        self._cached: dict[str, bytes] | None = None
        self.operations: list[str] = []
        self.fails_at: int | None = None
        self.moment: Moment = "before"
        self.error: BaseException = OSError("the storage failed")
        self._is_dead = False
        self._failing: dict[str, BaseException] = {}
        #: Called before each operation, where a test lets another host act.
        self.on_operation: Callable[[], object] = lambda: None

    def fail(self, number: int, moment: Moment, error: BaseException) -> None:
        """Let an operation fail. If the error is ``Killed``, all later operations of this host fail too."""
        self.fails_at, self.moment, self.error = number, moment, error

    def fail_all(self, name: str, error: BaseException) -> None:
        """Let all operations with this name fail."""
        self._failing[name] = error

    def before(self, number: int, action: Callable[[], object]) -> None:
        """Call a function before an operation."""

        def act() -> None:
            if len(self.operations) + 1 == number:
                action()

        self.on_operation = act

    def _operate(self, name: str, effect: Callable[[], Any]) -> Any:
        if self._is_dead:
            raise Killed
        self.on_operation()
        self.operations.append(name)
        if name in self._failing:
            raise self._failing[name]
        if len(self.operations) != self.fails_at:
            return effect()
        self._is_dead = isinstance(self.error, Killed)
        if self.moment == "after":
            with suppress(FileNotFoundError):
                effect()
        elif self.moment == "late":
            self._bucket.late.append(effect)
        raise self.error

    def _listed(self) -> dict[str, bytes]:
        if self._cached is None:
            self._cached = dict(self._bucket.objects)
        return self._cached

    def invalidate_cache(self, path: str | None = None) -> None:
        self._cached = None

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        def found() -> dict[str, Any]:
            if path not in self._listed():
                raise FileNotFoundError(path)
            return {"name": path, "size": len(self._listed()[path]), "type": "file"}

        result: dict[str, Any] = self._operate("info", found)
        return result

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[dict[str, Any]]:
        def entries() -> list[dict[str, Any]]:
            found = {name: content for name, content in self._listed().items() if name.startswith(f"{path}/")}
            if not found:
                raise FileNotFoundError(path)
            return [{"name": name, "size": len(content), "type": "file"} for name, content in found.items()]

        result: list[dict[str, Any]] = self._operate("ls", entries)
        return result

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        def content() -> bytes:
            if path not in self._bucket.objects:
                raise FileNotFoundError(path)
            return self._bucket.objects[path]

        result: bytes = self._operate("cat", content)
        return result

    def put_file(self, lpath: str, rpath: str, *args: Any, **options: Any) -> None:
        content = Path(lpath).read_bytes()
        self._operate("put", lambda: self._bucket.objects.update({rpath: content}))

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        content = self._bucket.objects.get(path1)

        def move() -> None:
            if content is None:
                raise FileNotFoundError(path1)
            self._bucket.objects[path2] = content
            self._bucket.objects.pop(path1, None)

        self._operate("mv", move)

    def rm_file(self, path: str) -> None:
        def remove() -> None:
            if self._bucket.objects.pop(path, None) is None:
                raise FileNotFoundError(path)

        self._operate("rm", remove)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing."""
