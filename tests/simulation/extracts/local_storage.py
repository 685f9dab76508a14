"""The simulated local file system: a real folder, where each operation on a name is a step of the attempt."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsspec.implementations.local import LocalFileSystem

from tests.simulation.extracts.attempt import current, is_attempt
from tests.simulation.extracts.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.simulation.extracts.attempt import Attempt
    from tests.simulation.extracts.world import World


class _Files(Mapping[str, bytes]):
    """The files of a folder by their names."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, name: str) -> bytes:
        try:
            return (self._root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._root):
            yield from (str(Path(folder, name).relative_to(self._root)) for name in names)

    def __len__(self) -> int:
        return len(list(iter(self)))


class LocalStorage(Storage):
    """A folder on a disk that all hosts share.

    :param world: the world
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.root = Path(tempfile.mkdtemp(prefix="simulation-"))
        self.files: Any = _Files(self.root)

    def target(self, run_id: str) -> str:
        return f"{self.root}/{self.name(run_id)}{'/' if self.world.schedule.folder else ''}"

    def close(self) -> None:
        shutil.rmtree(self.root)

    def name_of(self, path: object) -> str | None:
        """Return the name of a file in ``files``; None if it is elsewhere."""
        text = str(path).removeprefix("file://")
        return text.removeprefix(f"{self.root}/") if text.startswith(f"{self.root}/") else None

    def published(self, name: str, content: bytes, attempt: Attempt, effect: Callable[[], Any]) -> None:
        """Give a complete file its name."""
        self.world.referee.about_to_write(name, content, attempt)
        effect()
        self._has_written(name, attempt)


def install(patch: pytest.MonkeyPatch) -> None:
    """Make each operation on a name a step, if it is in the folder of a simulated storage."""

    def replace(
        name: str, storage: LocalStorage, attempt: Attempt, real: Callable[[], Any], path: Any, target: Any
    ) -> Any:
        # The file is renamed to the target.
        return storage.published(str(storage.name_of(target)), Path(path).read_bytes(), attempt, real)

    def link(
        name: str, storage: LocalStorage, attempt: Attempt, real: Callable[[], Any], path: Any, target: Any
    ) -> Any:
        if name in storage.files:
            raise FileExistsError(name)
        return storage.published(name, Path(target).read_bytes(), attempt, real)

    def remove(
        name: str, storage: LocalStorage, attempt: Attempt, real: Callable[[], Any], *_: Any, **options: Any
    ) -> Any:
        if name in storage.files:
            storage.world.referee.about_to_delete(name, attempt)
        real()
        storage.world.referee.changed()

    def read(name: str, storage: LocalStorage, attempt: Attempt, *_: Any, **__: Any) -> Any:
        return storage.read(name, attempt)

    def look(name: str, storage: LocalStorage, attempt: Attempt, real: Callable[[], Any], *_: Any, **__: Any) -> Any:
        return real()

    for owner, function, effect in (
        (Path, "replace", replace),
        (Path, "hardlink_to", link),
        (Path, "unlink", remove),
        (Path, "samefile", look),
        (LocalFileSystem, "cat_file", read),
        (LocalFileSystem, "ls", look),
        (LocalFileSystem, "rm_file", remove),
    ):
        patch.setattr(owner, function, _wrapped(owner, function, effect))
    patch.setattr(os, "fsync", lambda descriptor: None)


def _wrapped(owner: Any, function: str, effect: Callable[..., Any]) -> Callable[..., Any]:
    original = getattr(owner, function)

    def wrapped(self: Any, *args: Any, **options: Any) -> Any:
        storage = current().world.storage if is_attempt() else None
        path = self if owner is Path else args[0]
        name = storage.name_of(path) if isinstance(storage, LocalStorage) else None
        if name is None:
            return original(self, *args, **options)
        attempt = current()
        arguments = (self, *args) if owner is Path else args

        def real() -> Any:
            return original(self, *args, **options)

        return attempt.step(f"{function} {name}", lambda: effect(name, storage, attempt, real, *arguments, **options))

    return wrapped
