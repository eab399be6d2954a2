"""A canary judged again: from what was kept the same bytes, from telemetry the same verdict."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from sqlalchemy import update

from analysis.canary import tape
from analysis.canary.config import load_canary_config
from analysis.canary.replay import StoredLook, replay
from analysis.decisions.tables import looks
from analysis.decisions.timeline import dumps
from analysis.runner.rejudge import rejudge
from davylamp.config import analysis_config, load_settings

SECOND_NS = 1_000_000_000
RUNNER = analysis_config(load_settings((), {})).runner


def judged_again(stage):
    record = stage.canary
    rows = stage.ledger.taped_looks(record.deployment_id)
    stored = [
        StoredLook(index, orjson.loads(text), text, None if raw is None else tape.read(raw))
        for index, text, raw in rows
    ]
    rule = load_canary_config(record.config_text)
    return replay(rule, record.declaration.started_unix_nano, stored, dumps)


@pytest.fixture
async def failed(stage):
    """A canary that was failed: primed, killed and resumed half way, once without data."""
    for _ in range(20):
        await stage.second(look=False)
    await stage.declare()
    stage.fleet.arms["canary"].legacy_failure_ratio = 0.3
    for _ in range(4):
        await stage.second()
    stage.is_cut = True
    for _ in range(12):
        await stage.second()
    stage.is_cut = False
    await stage.new_runner()
    await stage.until_over(120)
    assert str(stage.canary.state) == "failed"
    return stage


async def test_every_look_comes_out_with_the_same_bytes(failed):
    """Also over a restart of the analysis and a time without data."""
    found = judged_again(failed)
    assert (found.outcome, found.verdict, found.first_difference) == ("same", "fail", None)
    assert found.looks == failed.canary.looks
    assert found.looks_same + found.looks_on_hold == found.looks
    assert found.looks_on_hold > 0
    sizes = [len(raw) for _, _, raw in failed.ledger.taped_looks(failed.canary.deployment_id)]
    assert max(sizes) < 50_000


#: Two metrics in each of the modes that answer once.
ONCE = """
apiVersion: davylamp/v1
kind: CanaryRule
spec:
  horizon_s: 22
  min_bake_s: 10
  first_report_s: 8
  metrics:
    - {name: playback.start.failures, mode: exact, point_s: 1}
    - {name: playback.startup.duration, mode: kayenta, point_s: 1, statistic: p90}
    - {name: http.server.request.duration, mode: exact, point_s: 1, statistic: mean}
    - {name: http.server.errors, mode: kayenta, point_s: 1}
"""


@pytest.mark.slow
async def test_a_rule_that_answers_once_comes_out_with_the_same_bytes(stage, tmp_path):
    """Killed and resumed between two points of an interval; decided at the horizon."""
    stage.canary_config_path = str(tmp_path / "rule.yaml")
    (tmp_path / "rule.yaml").write_text(ONCE)
    await stage.new_runner()
    await stage.declare()
    stage.fleet.arms["canary"].legacy_failure_ratio = 0.8
    for number in range(1, 22):
        await stage.second()
        if number in (9, 21):
            await stage.new_runner()
    assert not stage.canary.is_over
    await stage.until_over(5)
    assert str(stage.canary.state) == "failed"
    assert stage.last_look["elapsed_s"] >= 22
    modes = {m["name"]: m["fixed_time"]["mode"] for m in stage.last_look["metrics"]}
    assert sorted(modes.values()) == ["exact", "exact", "kayenta", "kayenta"]
    found = judged_again(stage)
    assert (found.outcome, found.verdict, found.first_difference) == ("same", "fail", None)
    assert found.looks == stage.canary.looks


async def test_one_changed_count_is_found_and_a_lost_tape_is_told(failed):
    """The look where it differs is named; what is not kept is never called the same."""
    name = failed.canary.deployment_id
    rows = failed.ledger.taped_looks(name)
    index, entry = next(
        (index, entry)
        for index, _, raw in rows
        if (entry := tape.read(raw)).is_look and entry.blocks.get("http.server.errors")
    )
    blocks = dict(entry.blocks)
    first, *rest = blocks["http.server.errors"]
    arm = replace(first.canary, total=first.canary.total + 1)
    blocks["http.server.errors"] = [replace(first, canary=arm), *rest]

    def change(raw):
        at = (looks.c.deployment_id == name) & (looks.c.look_index == index)
        with failed.ledger.database.write() as connection:
            connection.execute(update(looks).where(at).values(tape=raw))

    change(tape.written(replace(entry, blocks=blocks)))
    found = judged_again(failed)
    assert (found.outcome, found.first_difference) == ("differs", index)
    change(None)
    found = judged_again(failed)
    assert found.outcome == "incomplete"
    assert f"look {index} is not kept" in found.explanation


async def test_from_telemetry_the_same_verdict_and_by_another_rule_another(failed):
    """The store still has it: the same watch at times of the past."""
    record = failed.canary

    async def again(rule):
        said = []
        found = await rejudge(
            record.declaration,
            rule,
            failed.client,
            RUNNER,
            every_ns=SECOND_NS,
            until_unix_nano=failed.last_look["unix_nano"],
            tell=said.append,
        )
        return found, said

    rule = load_canary_config(record.config_text)
    found, said = await again(rule)
    assert found.verdict == "fail"
    assert found.summary.split(":")[0] == record.verdict["summary"].split(":")[0]
    assert said
    lenient = replace(
        rule, metrics=tuple(replace(m, fail_margin=0.9, pass_margin=0.95) for m in rule.metrics)
    )
    found, _ = await again(lenient)
    assert found.verdict != "fail"
