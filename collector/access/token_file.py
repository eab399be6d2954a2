"""Where tokens are kept: one JSON file, replaced whole, readable by its owner only."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import orjson

from collector.access.errors import TokenFileError
from collector.access.tokens import Token
from collector.access.whole_files import replace_whole

MAX_TOKENS: Final = 10_000
Stamp = tuple[int, int, int]


class TokenFile:
    """Many processes may read, and change it one after the other. Missing = no tokens."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> Stamp | None:
        """Another one after every change; None while there is no file. Raises TokenFileError."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TokenFileError(f"{self.path} cannot be read: {error.strerror}") from error
        return found.st_mtime_ns, found.st_ino, found.st_size

    def read(self) -> Mapping[str, Token]:
        """By id. Raises TokenFileError."""
        try:
            found = orjson.loads(self.path.read_bytes())
            tokens = [Token.from_json(one) for one in found["tokens"]]
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise TokenFileError(f"{self.path} cannot be read: {error.strerror}") from error
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise TokenFileError(f"{self.path} is not a file of tokens: {error}") from error
        return {token.token_id: token for token in tokens}

    def add(self, token: Token) -> None:
        """Raises TokenFileError."""
        with self._locked():
            kept = dict(self.read())
            if len(kept) >= MAX_TOKENS:
                raise TokenFileError(f"there are {MAX_TOKENS} tokens; revoke some")
            self._write({**kept, token.token_id: token})

    def remove(self, token_id: str) -> Token | None:
        """The token that is gone, None if there was none. Raises TokenFileError."""
        with self._locked():
            kept = dict(self.read())
            gone = kept.pop(token_id, None)
            if gone is not None:
                self._write(kept)
        return gone

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = self.path.with_suffix(".lock").open("a")
        except OSError as error:
            raise TokenFileError(f"{self.path} cannot be written: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, tokens: Mapping[str, Token]) -> None:
        body = {"tokens": [token.to_json() for token in tokens.values()]}
        try:
            replace_whole(self.path, orjson.dumps(body, option=orjson.OPT_INDENT_2))
        except OSError as error:
            raise TokenFileError(f"{self.path} cannot be written: {error.strerror}") from error
