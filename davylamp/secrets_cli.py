"""``davylamp secrets``: encrypt the secret files of the settings, and change the key that does it.

Every command works on files, whether or not anything runs; the processes read them each time. No
key and no secret is an argument, and none is printed.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analysis.webhooks.secret_desk import kind_of
from collector.access import sealed
from collector.access.errors import SealedError
from collector.access.sealed import SealingKey
from collector.access.secret_files import (
    ENVIRONMENT_KEY,
    SecretFiles,
    SecretKind,
    locked,
    read_text,
    write_text,
)
from davylamp.config import Settings, analysis_config, dashboards_config
from davylamp.errors import DavylampError

_COMMANDS: Final = {
    "encrypt": "encrypt every secret file that lies there plain",
    "rotate-key": "make a new key, encrypt every secret file under it, and drop the old key",
    "list": "every secret file, and under which key it is encrypted",
}


class SecretsCommandError(DavylampError):
    """The command cannot be carried out; one sentence says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Every secret file there is, once, and what opens it."""

    #: Opens plain files too: they are what is to be encrypted.
    reader: SecretFiles
    files: tuple[tuple[Path, SecretKind], ...]

    @staticmethod
    def of(settings: Settings) -> Kept:
        """Of an installation."""
        config, sign_in = analysis_config(settings), dashboards_config(settings).oidc
        endpoints = (config.endpoint, *config.endpoints, *config.notices)
        found = {one.secret_file: kind_of(one) for one in endpoints}
        if sign_in.client_secret_file:
            found[Path(sign_in.client_secret_file)] = SecretKind.OIDC_CLIENT
        files = config.secret_files
        return Kept(
            SecretFiles(files.key_file, files.environment_key),
            tuple((path, kind) for path, kind in found.items() if path.exists()),
        )


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``secrets`` and what it can do to the program's commands."""
    secrets = subparsers.add_parser("secrets", help="encrypt secret files, and change their key")
    commands = secrets.add_subparsers(dest="secrets_command", required=True)
    new_key = commands.add_parser("new-key", help="make a key file, for secret_key_file")
    new_key.add_argument("file", type=Path, help="must not exist")
    for name, text in _COMMANDS.items():
        commands.add_parser(name, help=text, description=text)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Carry the command out; returns the exit code. Raises SecretsCommandError."""
    try:
        if options.secrets_command == "new-key":
            print(new_key(options.file, os.urandom))
            return 0
        kept = Kept.of(settings)
        work = {"encrypt": encrypt, "list": listed}.get(options.secrets_command)
        told = work(kept) if work is not None else rotate_key(kept, os.urandom)
        for line in told:
            print(line)
    except SealedError as error:
        raise SecretsCommandError(str(error)) from None
    return 0


def new_key(path: Path, draw: Callable[[int], bytes]) -> str:
    """Make a key file. Raises SealedError, SecretsCommandError."""
    if path.exists():
        raise SecretsCommandError(f"{path} exists; a key that is overwritten is lost")
    key = SealingKey(draw(sealed.KEY_BYTES))
    write_text(path, key.to_text() + "\n")
    return (
        f"{path} holds the key {key.key_id}; name it as secret_key_file in [analysis], and keep a "
        "copy away from the state folder"
    )


def encrypt(kept: Kept) -> Iterator[str]:
    """Encrypt what lies there plain; says what became of every file. Raises SealedError."""
    reader = kept.reader
    if not reader.keys():
        raise SecretsCommandError(
            f"there is no key: set secret_key_file in [analysis] or {ENVIRONMENT_KEY}"
        )
    for path, kind in kept.files:
        with locked(path):
            text, key = reader.opened(path, kind)
            how = "now" if key is None else "already"
            key = key or reader.write(path, text, kind)
        yield f"{path}: {how} encrypted under {key.key_id}"


def rotate_key(kept: Kept, draw: Callable[[int], bytes]) -> Iterator[str]:
    """Encrypt everything under a new key; broken off, it can be run again. Raises SealedError.

    The key file holds both keys until every file is encrypted anew, so that a running process can
    open each file at any moment. A key in the environment is not ours to change: everything is
    encrypted under the first of its keys.
    """
    reader = kept.reader
    keys = reader.keys()
    if not keys:
        raise SecretsCommandError("there is no key to change; `davylamp secrets new-key` makes one")
    key_file = reader.key_file
    if key_file is not None:
        before = sealed.parse_keys(read_text(key_file), str(key_file))
        # Two keys: an earlier rotation was broken off, and is ended now.
        newest = before[0] if len(before) > 1 else SealingKey(draw(sealed.KEY_BYTES))
        _write_keys(key_file, dict.fromkeys((newest, *before)))
    elif len(keys) == 1:
        raise SecretsCommandError(
            f"{ENVIRONMENT_KEY} holds one key: put a new one before it, with a blank between "
            "them, run this again, and then take the old one out"
        )
    else:
        newest = keys[0]
    for path, kind in kept.files:
        with locked(path):
            text, key = reader.opened(path, kind)
            if key is not None:
                reader.write(path, text, kind)
        if key is None:
            yield f"{path}: plain; `davylamp secrets encrypt` encrypts it"
        else:
            yield f"{path}: now encrypted under {newest.key_id}"
    if key_file is not None:
        _write_keys(key_file, (newest,))
        yield f"{key_file}: holds {newest.key_id} alone; backups need the old key"
    else:
        yield f"{ENVIRONMENT_KEY}: the keys after {newest.key_id} can be taken out"


def listed(kept: Kept) -> Iterator[str]:
    """One line a file."""
    reader = kept.reader
    for path, kind in kept.files:
        try:
            key = reader.opened(path, kind)[1]
        except SealedError as error:
            yield f"{path}  {kind}  does not open: {error}"
        else:
            yield f"{path}  {kind}  {'plain' if key is None else f'encrypted {key.key_id}'}"


def _write_keys(path: Path, keys: Iterable[SealingKey]) -> None:
    write_text(path, "".join(f"{key.to_text()}\n" for key in keys))
