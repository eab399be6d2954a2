"""Files that hold secrets: read plain or encrypted, written encrypted, whole, mode 0600."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from collector.access import sealed
from collector.access.errors import SealedError
from collector.access.sealed import SealingKey
from collector.access.whole_files import replace_whole

ENVIRONMENT_KEY: Final = "DAVYLAMP_SECRET_KEY"
#: More than any file of secrets or keys has.
MAX_FILE_BYTES: Final = 64 * 1024
#: A key or a file that is replaced in between is looked at once more.
_LOOKS: Final = 2


class SecretKind(StrEnum):
    """What a file's secret is for; a file of one kind does not open as another."""

    SIGNING = "webhook-signing"
    ROUTING_KEY = "pagerduty-routing-key"
    OIDC_CLIENT = "oidc-client-secret"


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """How secret files are opened. Methods raise SealedError, which never shows a secret."""

    #: Keys, one a line, newest first; the first encrypts. None = only the environment's.
    key_file: Path | None = None
    #: The text of ENVIRONMENT_KEY; it comes after the file's keys.
    environment_key: str = field(default="", repr=False)
    #: Plain files are refused.
    must_be_encrypted: bool = False

    def keys(self) -> tuple[SealingKey, ...]:
        """Every key at hand, the one that encrypts first; read each time."""
        found: tuple[SealingKey, ...] = ()
        if self.key_file is not None:
            found = sealed.parse_keys(read_text(self.key_file), str(self.key_file))
        if self.environment_key.strip():
            found += sealed.parse_keys(self.environment_key, ENVIRONMENT_KEY)
        return found

    def read(self, path: Path, kind: SecretKind) -> str:
        """The secret in ``path``."""
        return self.opened(path, kind)[0]

    def opened(self, path: Path, kind: SecretKind) -> tuple[str, SealingKey | None]:
        """The secret, and the key it is encrypted under; None: it lies there plain."""
        for look in range(_LOOKS):
            # The file before the keys: whoever rotates writes the new key before the new files.
            text = read_text(path)
            if not sealed.is_sealed(text):
                return self._plain(path, text), None
            try:
                return sealed.unseal(text, self.keys(), _purpose(path, kind))
            except SealedError as error:
                if look == _LOOKS - 1:
                    raise SealedError(f"{path} {error}") from None
        raise AssertionError  # the last look returns or raises

    def write(self, path: Path, text: str, kind: SecretKind) -> SealingKey:
        """Replace ``path`` with ``text``, encrypted under the newest key, which is returned."""
        keys = self.keys()
        if not keys:
            raise SealedError(
                f"{path} cannot be encrypted: there is no key; set secret_key_file in [analysis] "
                f"or {ENVIRONMENT_KEY} in the environment"
            )
        nonce = os.urandom(sealed.NONCE_BYTES)
        write_text(path, sealed.seal(text, keys[0], _purpose(path, kind), nonce) + "\n")
        return keys[0]

    def _plain(self, path: Path, text: str) -> str:
        if self.must_be_encrypted:
            raise SealedError(
                f"{path} is not encrypted, but secrets_must_be_encrypted is true; "
                "`davylamp secrets encrypt` encrypts it"
            )
        return text


#: Opens plain files only.
PLAIN: Final = SecretFiles()


def _purpose(path: Path, kind: SecretKind) -> str:
    return f"{kind}/{path.name}"


def read_text(path: Path) -> str:
    """Raises SealedError for what is no short ASCII file."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise SealedError(f"{path} is not ASCII text") from None
    except OSError as error:
        raise SealedError(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise SealedError(f"{path} has more than {MAX_FILE_BYTES} bytes")
    return text


def write_text(path: Path, text: str) -> None:
    """Replace a file whole, durably, readable by its owner only. Raises SealedError."""
    # A link stays one; what it leads to is replaced.
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_whole(path, text.encode())
    except OSError as error:
        raise SealedError(f"{path} cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone among all who change files of this folder, threads and processes.

    Raises SealedError. For a change that keeps part of what it replaces.
    """
    folder = path.resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SealedError(f"{path} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
