"""``davylamp slo validate``: a line per finding, and an exit code a pipeline can use."""

from __future__ import annotations

import argparse
import io
import json

import pytest

from davylamp import slo_cli
from davylamp.errors import DavylampError


def run(*arguments):
    parser = argparse.ArgumentParser()
    slo_cli.add_commands(parser.add_subparsers(dest="command", required=True))
    return slo_cli.run(parser.parse_args(["slo", *map(str, arguments)]))


@pytest.fixture
def files(tmp_path, texts):
    """Files that are valid together only."""
    for name, text in vars(texts).items():
        if name != "all_kinds":
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return sorted(tmp_path.glob("*.yaml"))


def test_files_are_checked_together(files, capsys):
    """0 and one line when nothing is wrong."""
    assert run("validate", *files) == 0
    assert capsys.readouterr().out == "8 objects in 8 files: valid (0 errors, 0 warnings)\n"


def test_a_finding_is_a_line_with_its_place(files, capsys):
    """1 when anything is wrong."""
    path = next(path for path in files if path.name == "threshold_slo.yaml")
    assert run("validate", path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f'{path}:6:3: error spec.indicatorRef: got "latency", accepted:')
    assert lines[-1] == "1 object in 1 file: invalid (2 errors, 0 warnings)"


def test_the_sdk_profile_does_not_look_at_references(files):
    """As the official validator."""
    path = next(path for path in files if path.name == "threshold_slo.yaml")
    assert run("validate", "--profile", "sdk", path) == 0


def test_findings_as_json(tmp_path, capsys, monkeypatch):
    """For programs; standard input is a file too."""
    monkeypatch.setattr("sys.stdin", io.StringIO("apiVersion: openslo/v9\n"))
    assert run("validate", "--json", "-") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verdict"], answer["objects"]) == ("decode_error", 0)
    assert tuple(answer["findings"][0][key] for key in ("file", "path", "line", "column")) == (
        "-",
        "apiVersion",
        1,
        13,
    )


def test_a_warning_is_no_failure(tmp_path, texts, capsys):
    """Printed, and 0."""
    path = tmp_path / "slo.yaml"
    path.write_text(texts.slo.replace("28d", "1M"), encoding="utf-8")
    assert run("validate", path) == 0
    assert "valid (0 errors, 1 warning)" in capsys.readouterr().out


def test_a_file_that_is_not_there(tmp_path):
    """One sentence that names it."""
    with pytest.raises(DavylampError, match=r"cannot read .*missing\.yaml: No such file"):
        run("validate", tmp_path / "missing.yaml")


def test_a_file_that_is_no_text(tmp_path):
    """Said as such."""
    path = tmp_path / "slo.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DavylampError, match="no UTF-8"):
        run("validate", path)


def test_a_huge_file_is_refused(tmp_path, capsys):
    """Not read to its end."""
    path = tmp_path / "slo.yaml"
    path.write_text("a" * ((1 << 20) + 10), encoding="utf-8")
    assert run("validate", path) == 1
    assert "too large" in capsys.readouterr().out


SLOTH = """\
version: prometheus/v1
service: shop
slos:
  - name: up
    objective: 99.9
    sli: {raw: {error_ratio_query: 'errors{window="{{.window}}"}'}}
    alerting: {page_alert: {disable: true}, ticket_alert: {disable: true}}
"""


def test_convert_and_rules(tmp_path, capsys):
    """What comes out of one goes into the others."""
    path = tmp_path / "sloth.yaml"
    path.write_text(SLOTH, encoding="utf-8")
    assert run("convert", path) == 0
    made = tmp_path / "openslo.yaml"
    made.write_text(capsys.readouterr().out, encoding="utf-8")
    assert run("validate", made) == 0
    capsys.readouterr()
    assert run("rules", made) == 0
    assert "record: slo:sli_error:ratio_rate5m" in capsys.readouterr().out


def test_what_is_wrong_is_all_that_is_printed(tmp_path, capsys):
    """A file of rules is whole or not there."""
    path = tmp_path / "sloth.yaml"
    path.write_text(SLOTH.replace("99.9", "101"), encoding="utf-8")
    assert run("rules", path) == 1
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "shop-up: objective must >0 and <=100\n")
    assert run("rules", "--default-slo-period", "soon", path) == 1
    assert "--default-slo-period: 'soon', accepted: 28d" in capsys.readouterr().err
