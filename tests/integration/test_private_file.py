"""Files with secrets of the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.private_file import write_private

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_a_file_with_secrets_is_private_whatever_its_mode_was_before(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    path.write_text("an older and longer text")
    path.chmod(mode)
    write_private(path, "secret")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("secret", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_at_the_path_is_replaced_and_its_target_unchanged(tmp_path: Path) -> None:
    path, target = tmp_path / "keys.json", tmp_path / "target"
    path.symlink_to(target)
    write_private(path, "secret")
    assert not target.exists()
    assert not path.is_symlink()
    assert path.read_text() == "secret"
