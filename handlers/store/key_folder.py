"""The folder of key-encryption keys: outside the database, one file of mode 0600 a key."""

import os
import secrets
from pathlib import Path
from uuid import UUID

from handlers.faults import FolderUnusable, KeyMissing

__all__ = ["KEY_BYTES", "KeyFolder"]

KEY_BYTES = 32


class KeyFolder:
    """Keeps key-encryption keys by id.

    Args:
        folder: where they stand; made with mode 0700 when the first key is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, key_id: UUID) -> bytes:
        """Makes a key and has it on the disk before it returns.

        Raises:
            FolderUnusable: the folder cannot be written.
        """
        key = secrets.token_bytes(KEY_BYTES)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                self._path(key_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            self._sync_folder()
        except OSError as error:
            raise FolderUnusable(
                f"the folder of keys {self.folder} cannot be written: {error.strerror}",
                remedy="Make it writable, or name another with ACTA_KEYS.",
            ) from None
        return key

    def read(self, key_id: UUID) -> bytes:
        """The key with this id.

        Raises:
            KeyMissing: it is not there, or not a key.
        """
        try:
            key = self._path(key_id).read_bytes()
        except OSError as error:
            raise KeyMissing(
                f"the key-encryption key {self._path(key_id)} cannot be read: {error.strerror}",
                remedy="Bring back the folder of keys of this database, or name it with ACTA_KEYS.",
            ) from None
        if len(key) != KEY_BYTES:
            raise KeyMissing(
                f"the key-encryption key {self._path(key_id)} is damaged",
                remedy="Bring back the folder of keys of this database.",
            )
        return key

    def destroy(self, key_id: UUID) -> None:
        """Overwrites and removes a key; nothing happens if it is gone already.

        Raises:
            FolderUnusable: the folder cannot be written.
        """
        path = self._path(key_id)
        try:
            with path.open("r+b") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            self._sync_folder()
        except FileNotFoundError:
            return
        except OSError as error:
            raise FolderUnusable(
                f"the key {path} cannot be destroyed: {error.strerror}",
                remedy="Make the folder writable and run acta keys rotate again.",
            ) from None

    def ids(self) -> set[UUID]:
        """The ids of the keys that are there."""
        return {UUID(path.stem) for path in self.folder.glob("*.key")}

    def _path(self, key_id: UUID) -> Path:
        return self.folder / f"{key_id}.key"

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
