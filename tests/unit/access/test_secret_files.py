"""Secret files: plain or encrypted, whole, private, bound to their name and use."""

from __future__ import annotations

import os

import pytest

from collector.access.errors import SealedError
from collector.access.sealed import SealingKey
from collector.access.secret_files import PLAIN, SecretFiles, SecretKind, locked

KEY, NEW = SealingKey(bytes(range(32))), SealingKey(bytes(range(1, 33)))
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SIGNING = SecretKind.SIGNING


@pytest.fixture
def files(tmp_path):
    (tmp_path / "key").write_text(KEY.to_text() + "\n")
    return SecretFiles(tmp_path / "key")


def test_a_written_file_is_encrypted_private_and_whole(files, tmp_path):
    """0600 even where an open file was before; nothing is left beside it."""
    path = tmp_path / "one" / "webhook.secret"
    path.parent.mkdir()
    path.write_text("old\n")
    path.chmod(0o644)
    assert files.write(path, SECRET, SIGNING) == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert SECRET not in path.read_text()
    assert files.opened(path, SIGNING) == (SECRET, KEY)


def test_a_link_stays_a_link(files, tmp_path):
    """What it leads to is replaced."""
    (tmp_path / "real").write_text("old\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.write(tmp_path / "link", SECRET, SIGNING)
    assert (tmp_path / "link").is_symlink()
    assert files.read(tmp_path / "link", SIGNING) == SECRET


def test_plain_files_work_unless_they_must_be_encrypted(tmp_path):
    """And the refusal says what to do."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    assert PLAIN.opened(path, SIGNING) == (SECRET, None)
    strict = SecretFiles(must_be_encrypted=True)
    with pytest.raises(SealedError, match="davylamp secrets encrypt") as refused:
        strict.read(path, SIGNING)
    assert SECRET not in str(refused.value)


def test_a_file_put_in_anothers_place_does_not_open(files, tmp_path):
    """Neither under another name nor for another use."""
    path = tmp_path / "a.secret"
    files.write(path, SECRET, SIGNING)
    (tmp_path / "b.secret").write_text(path.read_text())
    for other, kind in ((tmp_path / "b.secret", SIGNING), (path, SecretKind.ROUTING_KEY)):
        with pytest.raises(SealedError, match="another file or another use"):
            files.read(other, kind)


def test_keys_come_from_the_file_and_then_from_the_environment(tmp_path):
    """The file's newest encrypts; what only the environment's opens still opens."""
    path = tmp_path / "secret"
    SecretFiles(None, KEY.to_text()).write(path, SECRET, SIGNING)
    (tmp_path / "key").write_text(NEW.to_text())
    both = SecretFiles(tmp_path / "key", KEY.to_text())
    assert both.opened(path, SIGNING) == (SECRET, KEY)
    assert both.write(path, SECRET, SIGNING) == NEW
    assert KEY.to_text() not in repr(both)


@pytest.mark.parametrize("environment", ["", "  "])
def test_without_a_key_nothing_is_written(tmp_path, environment):
    """Never plain instead."""
    path = tmp_path / "secret"
    with pytest.raises(SealedError, match="there is no key"):
        SecretFiles(None, environment).write(path, SECRET, SIGNING)
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff", "is not ASCII text"),
        (b"a" * 70_000, "more than 65536 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, why):
    """Also the key's own."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SealedError, match=f"secret .*{why}"):
        PLAIN.read(path, SIGNING)
    with pytest.raises(SealedError, match=f"secret .*{why}"):
        SecretFiles(path).keys()


def test_a_key_that_changes_between_two_looks_is_read_again(files, tmp_path, monkeypatch):
    """A rotation that ends while a file is opened."""
    path, key_file = tmp_path / "secret", tmp_path / "key"
    files.write(path, SECRET, SIGNING)
    honest = SecretFiles.keys

    def rotating(self):
        # What was read is still under the old key; by now the file is under the new one.
        monkeypatch.setattr(SecretFiles, "keys", honest)
        key_file.write_text(NEW.to_text())
        files.write(path, SECRET, SIGNING)
        return self.keys()

    monkeypatch.setattr(SecretFiles, "keys", rotating)
    assert files.opened(path, SIGNING) == (SECRET, NEW)


def test_who_changes_a_folder_is_alone(tmp_path):
    """Another holder is locked out until the first is done."""
    import fcntl

    path = tmp_path / "secret"
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with locked(path), pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
