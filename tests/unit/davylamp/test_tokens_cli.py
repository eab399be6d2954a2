"""``davylamp tokens``: a token is printed once, listed without its text, and revoked."""

from __future__ import annotations

import pytest

from davylamp.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """``run(*words)``: exit code, what was printed, what was complained."""
    monkeypatch.setenv("DAVYLAMP_DAVYLAMP__STATE_DIR", str(tmp_path))

    def tokens(*words):
        code = main(["tokens", *words])
        said = capsys.readouterr()
        return code, said.out.strip(), said.err.strip()

    return tokens


def test_a_token_is_made_listed_and_revoked(run):
    bound = ["--service", "playback", "--environment", "prod", "--expires", "90d"]
    code, text, _ = run("create", "playback prod", "--scope", "ingest", *bound)
    assert (code, text[:4]) == (0, "dvl_")
    _, listed, _ = run("list")
    token_id = text.split("_")[1]
    assert listed.startswith(f"{token_id}  playback prod  ingest  services=playback")
    assert "expires 20" in listed
    assert text.split("_", 2)[2] not in listed
    assert run("revoke", token_id) == (0, f"{token_id} is revoked", "")
    assert run("list")[1] == ""
    code, _, complaint = run("revoke", token_id)
    assert (code, "there is no token" in complaint) == (1, True)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["create", "ci", "--scope", "read", "--expires", "soon"], "a number with s, m, h or d"),
        (["create", "owner", "--scope", "read"], "but not owner"),
    ],
)
def test_what_cannot_be_is_a_sentence(run, words, complaint):
    code, _, said = run(*words)
    assert code == 1
    assert complaint in said
