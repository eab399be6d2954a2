"""The page about scraping: its example is one, its lists are the program's."""

from __future__ import annotations

import re
from pathlib import Path

from collector.scrape.jobs import _GLOBAL_KEYS, _JOB_KEYS, read_jobs
from collector.scrape.relabel import _KEYS, ACTIONS
from davylamp.config import collector_config, load_settings

PAGE = (Path(__file__).parents[2] / "docs/reference/scrape.md").read_text()


def row(name):
    (found,) = re.findall(rf"^\| {name} \| (.*) \|$", PAGE, re.MULTILINE)
    return found


def test_the_example_is_a_configuration(tmp_path):
    """It is read without a word."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "scrape.yml"
    path.write_text(example)
    (job,) = read_jobs(path, collector_config(load_settings(environ={})).scrape)
    assert (job.name, job.interval_s, job.timeout_s) == ("node", 15, 10)
    assert job.static_groups[0].labels == {"zone": "a"}
    assert job.sample_rules[0].action == "drop"


def test_every_key_is_listed():
    """And no other."""
    assert set(re.findall(r"`(\w+)`", row("`global`"))) == set(_GLOBAL_KEYS)
    assert set(re.findall(r"`(\w+)`", row("a job"))) == set(_JOB_KEYS)
    assert set(re.findall(r"`(\w+)`", row("a rule"))) == set(_KEYS)
    assert set(row("a rule").rpartition(": ")[2].split(", ")) == ACTIONS
