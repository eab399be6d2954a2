"""Jobs and targets made from the text of a configuration."""

from __future__ import annotations

import textwrap

import pytest

from collector.scrape.jobs import read_jobs
from collector.scrape.targets import targets_of
from davylamp.config import collector_config, load_settings


@pytest.fixture(scope="session")
def scrape_config():
    return collector_config(load_settings(environ={})).scrape


@pytest.fixture
def jobs(tmp_path, scrape_config):
    """Jobs by name from YAML, or the error it raises."""

    def read(text):
        path = tmp_path / "scrape.yml"
        path.write_text(textwrap.dedent(text))
        return {job.name: job for job in read_jobs(path, scrape_config)}

    return read


@pytest.fixture
def target(jobs):
    """The one target of job "j" with more keys, indented by none."""

    def made(more=""):
        head = "scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['h:1']}]\n"
        job = jobs(head + textwrap.indent(textwrap.dedent(more), "  "))["j"]
        (found,), problems = targets_of(job, job.static_groups)
        assert problems == []
        return found

    return made
