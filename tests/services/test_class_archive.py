"""Classes are archived once, wholly or not at all, and nobody waits for it."""

from pathlib import Path

import pytest

from tests.services.artifacts import Unavailable
from tests.services.class_archive import class_archive


def test_it_is_made_once(tmp_path: Path) -> None:
    archive = class_archive(tmp_path, lambda path: path.touch())
    assert archive is not None
    assert archive.exists()
    assert class_archive(tmp_path, Path.unlink) == archive


def test_who_comes_while_it_is_made_goes_without(tmp_path: Path) -> None:
    meanwhile: list[Path | None] = []

    def make(archive: Path) -> None:
        archive.write_text("half")
        meanwhile.append(class_archive(tmp_path, make))
        archive.write_text("whole")

    archive = class_archive(tmp_path, make)
    assert archive is not None
    assert (meanwhile, archive.read_text()) == ([None], "whole")


def test_half_of_one_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    def fail(archive: Path) -> None:
        archive.write_text("half")
        raise Unavailable

    with pytest.raises(Unavailable):
        class_archive(tmp_path, fail)
    archive = class_archive(tmp_path, Path.touch)
    assert archive is not None
    assert archive.read_text() == ""
