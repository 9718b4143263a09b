"""Programs of a test's own on the path, in place of those that the machine has or lacks."""

import os
from pathlib import Path

import pytest


class Programs:
    """The only programs on the path while a test runs.

    Each notes its arguments, so that the test can see how it was called.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder / "programs"
        self._folder.mkdir()
        monkeypatch.setenv("PATH", str(self._folder))
        monkeypatch.delenv("JAVA_HOME", raising=False)

    def add(self, name: str, script: str = "") -> None:
        """Puts a shell script on the path; it has no other program at hand than the shell."""
        program = self._folder / name
        program.write_text(f'#!/bin/sh\necho "$@" >> {self._notes(name)}\n{script}\n')
        program.chmod(0o755)

    def add_hanging(self, name: str) -> None:
        """Puts a program on the path that never ends: it waits for a writer that never comes."""
        never = self._folder / f"{name}.never"
        os.mkfifo(never)
        self.add(name, f"read -r _ < {never}")

    def calls(self, name: str) -> list[str]:
        """The arguments of each call of a program."""
        notes = self._notes(name)
        return notes.read_text().splitlines() if notes.exists() else []

    def _notes(self, name: str) -> Path:
        return self._folder / f"{name}.calls"
