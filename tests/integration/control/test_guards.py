"""Guards in the ledger's own transaction: what is held is told, and nothing is commanded."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from analysis.config import EndpointConfig
from analysis.decisions.guard_store import Guarding, Release
from analysis.decisions.guards import GuardLimits
from analysis.decisions.kill_switch import KillSwitch
from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Arm, DecisionDraft
from analysis.decisions.states import Action, DecisionState, DeliveryState
from analysis.errors import ConflictError, UnknownRecordError
from analysis.metrics import Metrics
from analysis.webhooks.deliver import Deliverer
from analysis.webhooks.events import Addressing
from davylamp import control_cli
from davylamp.cli import main
from telemetry.clock import FixedClock, SystemClock

LIMITS = GuardLimits(1, 1, 3, 86_400.0, 1, 2, 600.0)


class Guarded:
    """A ledger with guards; canaries are named by their release."""

    def __init__(self, folder, helpers, clock=None, url="http://127.0.0.1:9/x", where=None) -> None:
        self.clock = clock or FixedClock()
        self.switch = KillSwitch(folder / "stop")
        addressing = Addressing("deployer", url, "http://127.0.0.1:1", 900.0)
        where = where or f"sqlite:///{folder / 'ledger.db'}"
        self.ledger = Ledger.open(where, self.clock, addressing, Guarding(LIMITS, self.switch))
        self._helpers = helpers
        self._count = 0

    def conclude(
        self, release="bad", *, service="playback", action="rollback", target="good", own=None
    ):
        self._count += 1
        told = replace(
            self._helpers.declaration(self._count, service, self.clock.wall_unix_nano()),
            baseline=Arm("1.0.0", target, ("b-1",)),
            canary=Arm("1.1.0", release, ("c-1",)),
            environment=own or "demo",
        )
        self.ledger.declare(told)
        self.ledger.start_judging(told.deployment_id, "rule", "f" * 64)
        verdict, state = ("fail", "failed") if action == "rollback" else ("pass", "passed")
        draft = DecisionDraft(Action(action), "act", verdict, "Because.", None, None)
        look = self._helpers.look(0, self.clock.wall_unix_nano(), verdict)
        return self.ledger.conclude(told.deployment_id, look, {"looks": 1}, state, draft)

    def finish(self, decision):
        self.ledger.confirm(decision.decision_id, self.clock.wall_unix_nano(), "silent")

    def kinds(self):
        return [event.kind for event in self.ledger.events(0, 2**62)]


@pytest.fixture
def guarded(tmp_path, helpers, database_url):
    made = Guarded(tmp_path, helpers, where=database_url)
    yield made
    made.ledger.close()


def test_a_first_rollback_is_commanded_and_bars_its_release(guarded):
    decision = guarded.conclude()
    assert (decision.mode, decision.state) == ("act", DecisionState.REQUESTED)
    with pytest.raises(ConflictError, match=f"barred: rolled back by {decision.decision_id}"):
        guarded.conclude()
    assert len(guarded.ledger.canaries()) == 1, "nothing of the refused declaration is stored"
    guarded.finish(decision)
    release = Release("demo", "playback", "bad")
    guarded.ledger.guards.clear(release, "ada", "false alarm")
    assert guarded.conclude().mode == "act"
    assert "guard_cleared" in guarded.kinds()
    with pytest.raises(UnknownRecordError):
        guarded.ledger.guards.clear(Release("demo", "home", "bad"), "ada", "typo")


def test_a_held_rollback_leaves_the_queued_one_alone(guarded):
    """In flight: the second is advice, and the first stays in the outbox to be sent."""
    first = guarded.conclude("bad-1")
    second = guarded.conclude("bad-2")
    assert (second.mode, second.state, second.supersedes) == ("advise", DecisionState.ADVISED, None)
    assert "under way in demo" in second.summary
    (delivery,) = guarded.ledger.outbox.deliveries()
    assert (delivery.decision_id, delivery.state) == (first.decision_id, DeliveryState.PENDING)
    (held,) = [e for e in guarded.ledger.events(0, 2**62) if e.kind == "guard_held"]
    assert held.title.startswith("Held for people: rollback of playback (in_flight_limit)")


def test_a_rollback_leads_only_to_what_was_shown_good(guarded):
    assert "known to be good" not in guarded.conclude("a", target="first").summary
    guarded.finish(guarded.ledger.decisions()[0])
    assert "register" in guarded.conclude("b", target="unknown").summary
    promoted = guarded.conclude("next", action="promotion", target="first")
    assert "register" in guarded.conclude("c", target="next").summary, "not confirmed yet"
    guarded.finish(promoted)
    assert guarded.conclude("d", target="next").mode == "act"


def test_a_person_adds_to_the_register(guarded):
    guarded.finish(guarded.conclude("a", target="first"))
    guarded.ledger.guards.known_good(Release("demo", "playback", "hotfix"), "ada", "by hand")
    assert guarded.conclude("b", target="hotfix").mode == "act"


def test_a_barred_release_is_no_target(guarded):
    guarded.ledger.guards.bar(Release("demo", "playback", "good"), "ada", "has a hole")
    assert "good is barred: ada: has a hole" in guarded.conclude().summary


def test_a_storm_holds_everything_until_a_person_releases_it(guarded):
    for service in ("playback", "home"):
        decision = guarded.conclude(service=service)
        assert decision.mode == "act"
        guarded.finish(decision)
    assert guarded.conclude(service="edge").mode == "advise"
    assert "guard_storm" in guarded.kinds()
    guarded.clock.advance(3_600.0)
    held = guarded.conclude(service="search")
    assert "locked: rollback storm" in held.summary, "time alone releases nothing"
    guarded.ledger.guards.release_lock("*", "ada", "it was the network")
    assert guarded.conclude("bad-2", service="search").mode == "act"


def test_a_locked_environment_is_left_alone_and_others_are_not(guarded):
    guarded.ledger.guards.lock("demo", "ada", "freeze")
    assert "demo is locked: ada: freeze" in guarded.conclude().summary
    assert guarded.conclude(own="test").mode == "act"


def test_the_switch_holds_decisions(guarded):
    guarded.switch.path.write_text("no more")
    assert "kill switch is thrown: no more" in guarded.conclude().summary
    assert guarded.ledger.outbox.deliveries() == []


async def test_the_switch_stops_what_is_queued_and_it_is_never_sent(
    tmp_path, helpers, receiver, secret_file, wait
):
    made = Guarded(tmp_path, helpers, SystemClock(), receiver.url)
    endpoint = EndpointConfig(
        "deployer", receiver.url, secret_file, ("127.0.0.0/8",), plain_http=False
    )
    metrics = Metrics(CollectorRegistry())
    deliverer = Deliverer(made.ledger, [endpoint], made.clock, np.random.default_rng(1), metrics)
    decision = made.conclude()
    made.switch.of_service("playback").write_text("not this one")
    await deliverer.start()
    try:
        await wait(lambda: made.ledger.outbox.deliveries()[0].state is DeliveryState.DEAD)
        made.switch.of_service("playback").unlink()
        other = made.conclude(service="home")
        await wait(lambda: made.ledger.decision(other.decision_id).delivered_unix_nano)
    finally:
        await deliverer.stop()
    (delivery,) = made.ledger.outbox.deliveries(decision.decision_id)
    assert delivery.dead_reason == "the kill switch is thrown: not this one"
    assert delivery.attempts == ()
    assert made.ledger.decision(decision.decision_id).state is DecisionState.EXPIRED
    assert len(receiver.requests) == 1
    assert other.decision_id.encode() in receiver.requests[0].body
    made.ledger.close()


def test_every_edge_is_a_row_of_the_audit_log(guarded, database_url, capsys):
    guarded.finish(guarded.conclude())
    guarded.ledger.guards.lock("demo", "ada", "freeze")
    url = database_url
    assert control_cli._verify(url, "") == 0, "while the ledger is open in another process"
    head = capsys.readouterr().out.split()[-1]
    guarded.ledger.guards.release_lock("demo", "ada", "over")
    assert control_cli._verify(url, head) == 0
    with guarded.ledger.database.write() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'eve' WHERE sequence = 3")
    assert control_cli._verify(url, head) == 1
    assert "BROKEN at row 3: its content was changed" in capsys.readouterr().out


def test_guards_over_http(start_process, tmp_path):
    process = start_process("http://127.0.0.1:9/x")

    def ask(path: str, body: dict | None, token: str):
        request = urllib.request.Request(
            f"{process.url}/api/v1/guards{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    from_test = {"who": "ada", "reason": "test"}
    token = (tmp_path / "api.token").read_text().strip()
    assert ask("/lock", {"environment": "demo", **from_test}, "wrong")[0] == 401
    status, body = ask("/lock", {"environment": "demo", **from_test}, token)
    assert (status, body["locks"][0]["reason"]) == (200, "ada: test")
    assert ask("/lock", {"environment": "*"}, token)[0] == 422
    assert ask("/release", {"environment": "other", **from_test}, token)[0] == 404
    release = {"environment": "demo", "service": "playback", "digest": "d", **from_test}
    assert ask("/bar", release, token)[1]["barred"][0]["digest"] == "d"
    with urllib.request.urlopen(f"{process.url}/metrics", timeout=10) as answer:
        shown = answer.read().decode()
    assert "davylamp_guard_locks 1.0" in shown
    assert "davylamp_guard_barred 1.0" in shown
    assert "davylamp_guard_kill_switch 0.0" in shown
    assert ask("/clear", release, token)[1]["barred"] == []
    assert ask("", None, "")[1]["limits"]["storm_services"] == 2


def test_stop_and_go_need_nothing_but_the_folder(tmp_path, capsys):
    config = tmp_path / "davylamp.toml"
    config.write_text(f'[davylamp]\nstate_dir = "{tmp_path}"\n')
    words = ["--config", str(config), "guards"]
    assert main([*words, "stop", "--service", "playback", "--reason", "incident 12"]) == 0
    assert KillSwitch(tmp_path / "stop").thrown("playback") == "incident 12"
    assert KillSwitch(tmp_path / "stop").thrown("home") is None
    assert main([*words, "go", "--service", "playback"]) == 0
    assert KillSwitch(tmp_path / "stop").thrown("playback") is None
    assert main([*words, "stop", "--service", "../x"]) == 1
    assert "not the name of a service" in capsys.readouterr().err


def frozen_by(policy_actions, service="playback"):
    return {
        "step": "playback/spent",
        "objective": "starts",
        "service": service,
        "in_force": policy_actions,
        "text": "0.0% of the budget is left",
    }


def test_a_spent_budget_freezes_releases_and_no_rollback(tmp_path, helpers, database_url):
    """A canary that runs may be taken back; none is promoted, none begins."""
    guarded = Guarded(tmp_path, helpers, where=database_url)
    ledger = guarded.ledger
    ledger.put_status("policy", "a", frozen_by(["freeze"], "search"))
    assert guarded.conclude("first", action="promotion").mode == "act"
    told = replace(
        helpers.declaration(77, "playback", guarded.clock.wall_unix_nano()),
        canary=Arm("1.3.0", "sha256:next", ("c-1",)),
    )
    ledger.declare(told)
    ledger.put_status("policy", "b", frozen_by(["freeze", "notify"]))
    with pytest.raises(ConflictError, match=r"frozen by the policy playback/spent.*0\.0%"):
        ledger.declare(replace(told, deployment_id="playback-78"))
    ledger.start_judging(told.deployment_id, "rule", "f" * 64)
    draft = DecisionDraft(Action.PROMOTION, "act", "pass", "Because.", None, None)
    look = helpers.look(0, guarded.clock.wall_unix_nano(), "pass")
    held = ledger.conclude(told.deployment_id, look, {"looks": 1}, "passed", draft)
    assert (held.mode, "frozen by the policy" in held.summary) == ("advise", True)
    ledger.put_status("policy", "b", frozen_by(["notify"]))
    ledger.declare(replace(told, deployment_id="playback-78"))
    ledger.close()
