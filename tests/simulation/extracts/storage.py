"""The simulated storages. Each operation that Airflow's storages offer is atomic, and a step of the attempt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from tests.simulation.extracts.attempt import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.extracts.attempt import Attempt
    from tests.simulation.extracts.world import World

PROGRESS, MANIFEST = "_progress.json", "_manifest.json"
#: The URL of the folder of all results, by the kind of storage.
URLS = {"s3": "s3://bucket", "azure": "abfs://bucket", "rename": "memory://bucket"}


def parent(path: str) -> str:
    """Return the folder of a file."""
    return path.rpartition("/")[0]


class Storage:
    """The files of all hosts.

    :param world: the world
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.files: dict[str, bytes] = {}
        self.owners: dict[str, list[Attempt]] = {}  # who has written the progress of each folder
        self.writers: dict[str, Attempt] = {}  # who has written each file
        #: The listings of folders that each host keeps in memory.
        self.listings: tuple[dict[str, dict[str, int]], ...] = ({}, {})

    def target(self, run_id: str) -> str:
        """Return the path of the result of a run."""
        return f"{URLS[self.world.schedule.storage]}/{run_id}{'/' if self.world.schedule.folder else '.jsonl'}"

    def name(self, run_id: str) -> str:
        """Return the name of the result of a run in ``files``, without a slash at its end."""
        return f"bucket/{run_id}{'' if self.world.schedule.folder else '.jsonl'}"

    def close(self) -> None:
        """Delete what is outside this object."""

    def read(self, path: str, attempt: Attempt) -> bytes:
        """Return the content of a file."""
        if path.endswith(PROGRESS):
            attempt.seen[parent(path)] = len(self.owners.get(parent(path), ()))
            attempt.checked.add(parent(path))
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def write(self, path: str, content: bytes, attempt: Attempt, *, exclusive: bool = False) -> None:
        """Create or replace a file."""
        if exclusive and path in self.files:
            raise FileExistsError(path)
        self.world.referee.about_to_write(path, content, attempt)
        self.files[path] = content
        self._has_written(path, attempt)

    def rename(self, path: str, new: str, attempt: Attempt) -> None:
        """Rename a file. It replaces a file with the new name."""
        if path not in self.files:
            raise FileNotFoundError(path)
        content = self.files.pop(path)
        self.write(new, content, attempt)

    def remove(self, path: str, attempt: Attempt) -> None:
        """Delete a file."""
        if path not in self.files:
            raise FileNotFoundError(path)
        self.world.referee.about_to_delete(path, attempt)
        del self.files[path]
        self.world.referee.changed()

    def _has_written(self, path: str, attempt: Attempt) -> None:
        folder = parent(path)
        if path.endswith(PROGRESS):
            owners = self.owners.setdefault(folder, [])
            if not owners or owners[-1] is not attempt:
                owners.append(attempt)
            attempt.seen[folder] = len(owners)
        self.writers[path] = attempt
        self.world.referee.changed()


class FileSystem(AbstractFileSystem):
    """What the production code sees of the storage.

    Like s3fs, it keeps listings of folders in memory, one for each host, and takes the answers from them.
    """

    cachable = False

    def __init__(self, protocol: str) -> None:
        super().__init__()
        self.protocol = protocol

    # --- names and caches

    def _listings(self) -> dict[str, dict[str, int]]:
        attempt = current()
        return attempt.world.storage.listings[attempt.host]

    def invalidate_cache(self, path: str | None = None) -> None:
        if path is None:
            self._listings().clear()
        else:
            self._listings().pop(self._clean(path), None)

    def _step(self, name: str, path: str, effect: Callable[[Storage, Attempt], Any], **options: Any) -> Any:
        attempt = current()
        storage = attempt.world.storage
        return attempt.step(f"{name} {path}", lambda: effect(storage, attempt), **options)

    def _clean(self, path: str) -> str:
        return str(self._strip_protocol(path)).strip("/")

    # --- reads

    def cat_file(self, path: str, *args: Any, **kwargs: Any) -> bytes:
        path = self._clean(path)
        content: bytes = self._step("read", path, lambda storage, attempt: storage.read(path, attempt))
        return content

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._clean(path)
        listing = self._listings().get(parent(path))
        if listing is not None and path in listing:
            return {"name": path, "size": listing[path], "type": "file"}
        size = self._step(
            "look up", path, lambda storage, attempt: len(storage.files[path]) if path in storage.files else None
        )
        if size is None:
            raise FileNotFoundError(path)
        return {"name": path, "size": size, "type": "file"}

    def exists(self, path: str, **kwargs: Any) -> bool:
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        path = self._clean(path)
        listings = self._listings()
        if path not in listings:
            listings[path] = self._step(
                "list", path,
                lambda storage, _: {name: len(data) for name, data in storage.files.items() if parent(name) == path},
            )  # fmt: skip
        if not listings[path]:
            raise FileNotFoundError(path)
        entries = [{"name": name, "size": size, "type": "file"} for name, size in listings[path].items()]
        return entries if detail else [entry["name"] for entry in entries]

    # --- writes

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        assert mode in ("wb", "xb")
        assert options["autocommit"] is False
        return Upload(self, self._clean(path), mode)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Object stores have no folders."""

    def put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
        path, content = self._clean(rpath), Path(lpath).read_bytes()
        self._step("upload", path, lambda storage, attempt: storage.write(path, content, attempt))

    def mv(self, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        old, new = self._clean(path1), self._clean(path2)
        self._step("rename to", new, lambda storage, attempt: storage.rename(old, new, attempt))

    def rm_file(self, path: str) -> None:
        path = self._clean(path)
        self._step("delete", path, lambda storage, attempt: storage.remove(path, attempt))


class Upload:
    """An upload to S3, which becomes visible when it is committed."""

    def __init__(self, fs: FileSystem, path: str, mode: str) -> None:
        self.fs = fs
        self.path = path
        self.mode = mode
        self.closed = False
        self._data = bytearray()
        self._attempt = current()

    def write(self, data: Any) -> int:
        self._data += data
        return len(data)

    def close(self) -> None:
        self.closed = True

    def commit(self) -> None:
        content, is_exclusive = bytes(self._data), "x" in self.mode

        def write(storage: Storage, attempt: Attempt) -> None:
            storage.write(self.path, content, attempt, exclusive=is_exclusive)

        # If the response was lost, the client repeats the request, and the file exists already.
        self.fs._step("commit", self.path, write, error=FileExistsError(self.path) if is_exclusive else None)

    def discard(self) -> None:
        if not self._attempt.is_killed:  # otherwise Python deletes it at any time
            self.fs._step("discard the upload to", self.path, lambda storage, attempt: None)


#: Needed by ``STREAMING_FILES``.
UPLOAD = (Upload.__module__, Upload.__qualname__)
