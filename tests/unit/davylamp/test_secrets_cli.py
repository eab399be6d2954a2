"""``davylamp secrets``: what lay there plain is encrypted, under one key and then another."""

from __future__ import annotations

import pytest

from analysis.webhooks.signing import read_secrets
from collector.access.secret_files import SecretFiles
from davylamp import cli, config, secrets_cli
from davylamp.config import analysis_config, load_settings

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ROUTING = "R0123456789012345678901234567890"[:32]


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """Settings with a command's endpoint and PagerDuty, whose secrets lie there plain."""
    monkeypatch.delenv("DAVYLAMP_SECRET_KEY", raising=False)
    state = tmp_path / "state"
    (state / "secrets").mkdir(parents=True)
    (state / "secrets" / "webhook.secret").write_text(f"{SECRET}\n")
    (tmp_path / "pager").write_text(f"{ROUTING}\n")
    settings = tmp_path / "davylamp.toml"
    settings.write_text(
        f"""
[davylamp]
state_dir = "{state}"
[analysis]
secret_key_file = "{tmp_path / "key"}"
[[analysis.notices]]
endpoint_id = "pager"
url = "https://events.example/v2/enqueue"
secret_file = "{tmp_path / "pager"}"
allowed_networks = []
plain_http = false
format = "pagerduty"
kinds = ["decision"]
"""
    )
    return settings


def run(settings, *words):
    return cli.main(["--config", str(settings), "secrets", *words])


def opened(settings):
    files = analysis_config(load_settings([settings], {})).secret_files
    return files, files.key_file.parent / "state" / "secrets" / "webhook.secret"


def test_a_key_is_made_and_everything_is_encrypted(installation, tmp_path, capsys):
    """Twice is as once, the key file is private, and nothing secret is printed."""
    assert run(installation, "list") == 0
    assert run(installation, "new-key", str(tmp_path / "key")) == 0
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert run(installation, "encrypt") == 0
    assert run(installation, "encrypt") == 0
    assert run(installation, "list") == 0
    files, path = opened(installation)
    assert len(read_secrets(path, files)) == 1
    for kept in (path, tmp_path / "pager"):
        assert kept.read_text().startswith("davylamp-secret:v1:")
    shown = "".join(capsys.readouterr())
    assert "now encrypted under" in shown
    assert "already encrypted under" in shown
    for hidden in (SECRET, ROUTING, (tmp_path / "key").read_text().strip()):
        assert hidden not in shown


def test_a_key_is_not_overwritten(installation, tmp_path, capsys):
    """It may be the only one that opens something."""
    assert run(installation, "new-key", str(tmp_path / "key")) == 0
    before = (tmp_path / "key").read_text()
    assert run(installation, "new-key", str(tmp_path / "key")) == 1
    assert "exists; a key that is overwritten is lost" in capsys.readouterr().err
    assert (tmp_path / "key").read_text() == before


def test_the_key_is_rotated_and_the_old_one_dropped(installation, tmp_path):
    """What was encrypted opens with the new key alone; what lay there plain stays."""
    assert run(installation, "new-key", str(tmp_path / "key")) == 0
    assert run(installation, "encrypt") == 0
    old = (tmp_path / "key").read_text()
    (tmp_path / "pager").write_text(ROUTING)
    assert run(installation, "rotate-key") == 0
    new = (tmp_path / "key").read_text()
    assert new != old
    assert len(new.split()) == 1
    files, path = opened(installation)
    assert len(read_secrets(path, files)) == 1
    assert (tmp_path / "pager").read_text() == ROUTING


def test_a_rotation_that_is_broken_off_is_ended_by_the_next(installation, tmp_path):
    """At every moment in between each file opens with the keys in the key file."""
    assert run(installation, "new-key", str(tmp_path / "key")) == 0
    assert run(installation, "encrypt") == 0
    files, path = opened(installation)
    found = secrets_cli.Kept.of(load_settings([installation], {}))
    broken = secrets_cli.rotate_key(found, lambda count: b"n" * count)
    next(broken)
    broken.close()
    newest, _old = files.keys()
    assert newest.raw == b"n" * 32
    assert read_secrets(path, files)
    assert files.read(tmp_path / "pager", secrets_cli.SecretKind.ROUTING_KEY).strip() == ROUTING
    assert run(installation, "rotate-key") == 0
    assert files.keys() == (newest,)
    assert read_secrets(path, files)


def test_a_file_that_does_not_open_keeps_the_old_key(installation, tmp_path, capsys):
    """Else nothing could ever open it again."""
    assert run(installation, "new-key", str(tmp_path / "key")) == 0
    assert run(installation, "encrypt") == 0
    old = (tmp_path / "key").read_text().strip()
    (tmp_path / "pager").write_text("davylamp-secret:v1:AAAA")
    assert run(installation, "rotate-key") == 1
    assert "pager is cut off" in capsys.readouterr().err
    assert old in (tmp_path / "key").read_text().split()


def test_the_environments_key_encrypts_and_makes_room(tmp_path, installation, monkeypatch, capsys):
    """One key is not rotated; with a new one before it everything changes to the new one."""
    from collector.access.sealed import SealingKey

    text = installation.read_text().replace(f'secret_key_file = "{tmp_path / "key"}"', "")
    installation.write_text(text)
    assert run(installation, "encrypt") == 1
    assert "there is no key" in capsys.readouterr().err
    old, new = SealingKey(b"o" * 32).to_text(), SealingKey(b"n" * 32).to_text()
    monkeypatch.setenv("DAVYLAMP_SECRET_KEY", old)
    assert run(installation, "encrypt") == 0
    assert run(installation, "rotate-key") == 1
    assert "put a new one before it" in capsys.readouterr().err
    monkeypatch.setenv("DAVYLAMP_SECRET_KEY", f"{new} {old}")
    assert run(installation, "rotate-key") == 0
    path = tmp_path / "state" / "secrets" / "webhook.secret"
    assert read_secrets(path, SecretFiles(None, new))
    found = analysis_config(load_settings([installation]))
    assert new not in repr(found)
    assert config.environment_of({}) == {}
    assert new not in "".join(capsys.readouterr())
