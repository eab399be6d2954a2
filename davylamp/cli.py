"""The command line: ``davylamp up``, ``davylamp demo``, ``davylamp run NAME``."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from davylamp import config, processes
from davylamp.clients import Clients
from davylamp.errors import DavylampError
from davylamp.preflight import check_load, check_python, state_lock
from davylamp.story import Story, StoryConfig
from davylamp.supervisor import Supervisor
from davylamp.timeline import Timeline
from telemetry.clock import SystemClock

_PR_SET_PDEATHSIG: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """0 = done, 1 = it did not work (one sentence on standard error says why), 2 = wrong usage."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser(is_process="run" in words).parse_args(words)
    try:
        check_python()
        if options.command == "slo":
            from davylamp import slo_cli, slo_live_cli  # noqa: PLC0415

            if options.slo_command in slo_live_cli.COMMANDS:
                return slo_live_cli.run(options, config.load_settings(options.config))
            return slo_cli.run(options)
        if options.command == "canary":
            from davylamp import canary_cli  # noqa: PLC0415

            return canary_cli.run(options)
        settings = config.load_settings(options.config)
        if options.command == "store":
            from davylamp import store_cli  # noqa: PLC0415

            return store_cli.run(options, settings)
        if options.command in ("guards", "audit"):
            from davylamp import control_cli  # noqa: PLC0415

            return control_cli.run(options, settings)
        if options.command == "outbox":
            from davylamp import outbox_cli  # noqa: PLC0415

            return outbox_cli.run(options, settings)
        if options.command == "proposals":
            from davylamp import proposals_cli  # noqa: PLC0415

            return proposals_cli.run(options, settings)
        if options.command == "webhooks":
            from davylamp import conformance_cli  # noqa: PLC0415

            return conformance_cli.run(options, settings)
        if options.command == "verdict":
            from davylamp import verdict_cli  # noqa: PLC0415

            return verdict_cli.run(options, settings)
        if options.command == "secrets":
            from davylamp import secrets_cli  # noqa: PLC0415

            return secrets_cli.run(options, settings)
        if options.command == "tokens":
            from davylamp import tokens_cli  # noqa: PLC0415

            return tokens_cli.run(options, settings)
        if options.command == "doctor":
            from davylamp import doctor_cli  # noqa: PLC0415

            return doctor_cli.run(settings)
        if options.command == "run":
            return _run(options.name, settings)
        return asyncio.run(_supervise(options, settings))
    except DavylampError as error:
        print(f"davylamp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(*, is_process: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="davylamp", description=__doc__)
    parser.add_argument(
        "--config", type=Path, action="append", default=[], help="TOML file over the defaults"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="collector, analysis and dashboards until Ctrl-C")
    demo = commands.add_parser("demo", help="the platform, a sample stack, and the story")
    demo.add_argument("--once", action="store_true", help="end after the story")
    demo.add_argument("--bad", default="F01", help="release of the second chapter (default F01)")
    demo.add_argument("--good", default="N5", help="release of the last chapter (default N5)")
    demo.add_argument(
        "--quiet-s", type=float, default=20.0, help="seconds before the first release"
    )
    demo.add_argument("--seed", type=int, default=None, help="another audience")
    demo.add_argument("--record", type=Path, default=None, help="write what happened as JSON")
    demo.add_argument("--ignore-load", action="store_true", help="run on a busy machine too")
    if not is_process:
        # Not for the processes to load.
        from davylamp import (  # noqa: PLC0415
            canary_cli,
            conformance_cli,
            control_cli,
            outbox_cli,
            proposals_cli,
            secrets_cli,
            slo_cli,
            store_cli,
            tokens_cli,
            verdict_cli,
        )

        canary_cli.add_commands(commands)
        slo_cli.add_commands(commands)
        store_cli.add_commands(commands)
        control_cli.add_commands(commands)
        outbox_cli.add_commands(commands)
        proposals_cli.add_commands(commands)
        conformance_cli.add_commands(commands)
        verdict_cli.add_commands(commands)
        secrets_cli.add_commands(commands)
        tokens_cli.add_commands(commands)
        commands.add_parser("doctor", help="what is wrong with this installation")
    run = commands.add_parser("run", help="one process, in the foreground")
    run.add_argument("name", choices=processes.WITH_SAMPLES)
    return parser


def _run(name: str, settings: config.Settings) -> int:
    """One process of the platform, until SIGTERM or SIGINT."""
    _die_with_parent()
    if name == "collector":
        from collector.server import run as run_collector  # noqa: PLC0415 - only what is run

        return run_collector(config.collector_config(settings))
    if name == "analysis":
        from analysis.server import run as run_analysis  # noqa: PLC0415

        return run_analysis(config.analysis_config(settings))
    if name == "dashboards":
        from dashboards.server import run as run_dashboards  # noqa: PLC0415

        return run_dashboards(config.dashboards_config(settings))
    from sample_services.stack import run as run_samples  # noqa: PLC0415

    return run_samples(config.samples_config(settings))


def _die_with_parent() -> None:
    """A supervisor killed by force must not leave processes behind (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _supervise(options: argparse.Namespace, settings: config.Settings) -> int:
    is_demo = options.command == "demo"
    overrides: dict[str, dict[str, object]] = {}
    if is_demo:
        # A demonstration starts from nothing, and beside whatever `davylamp up` keeps.
        state_dir = settings.state_dir / "demo"
        settings = settings.with_values({"davylamp": {"state_dir": str(state_dir)}})
        if options.seed is not None:
            overrides["samples"] = {"seed": options.seed}
    with state_lock(settings.state_dir):
        if is_demo:
            _forget(settings.state_dir)
        timeline = Timeline(SystemClock())
        if is_demo and not options.ignore_load:
            check_load()
        settings = processes.settle_ports(settings)
        names = processes.WITH_SAMPLES if is_demo else processes.PLATFORM
        timeline.say(f"Starting {', '.join(names)}.")
        supervisor = processes.prepare(
            settings,
            options.config,
            names,
            SystemClock(),
            lambda name, what: timeline.say(f"{name} {what}.") if what != "ready" else None,
            overrides,
        )
        work = asyncio.create_task(_work(options, settings, timeline, supervisor))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, work.cancel)
        try:
            return await work
        except asyncio.CancelledError:
            return 0
        finally:
            timeline.say("Stopping everything.")
            await supervisor.stop()
            timeline.say("Stopped.")


async def _work(
    options: argparse.Namespace,
    settings: config.Settings,
    timeline: Timeline,
    supervisor: Supervisor,
) -> int:
    await supervisor.start()
    ready_s = round(timeline.elapsed_s, 2)
    timeline.say(f"Ready. Dashboards: {settings.url('dashboards', 'port')}/   (Ctrl-C stops)")
    http_url, grpc_url = (
        settings.url("collector", f"otlp_{kind}_port") for kind in ("http", "grpc")
    )
    timeline.say(f"Send OpenTelemetry to {http_url} (HTTP) or {grpc_url} (gRPC).")
    if options.command == "demo":
        await _tell_story(options, settings, timeline, ready_s)
        if options.once:
            return 0
        timeline.say("Everything keeps running; look around, Ctrl-C stops it.")
    await asyncio.Event().wait()
    return 0


async def _tell_story(
    options: argparse.Namespace, settings: config.Settings, timeline: Timeline, ready_s: float
) -> None:
    async with Clients(settings) as clients:
        chosen = StoryConfig(options.quiet_s, options.bad, options.good)
        story = Story(clients, timeline, chosen)
        story.record.ready_s = ready_s
        try:
            await story.run()
        finally:
            if options.record is not None:
                told = {**story.record.to_json(), "timeline": timeline.entries}
                options.record.write_text(json.dumps(told, indent=1) + "\n")


def _forget(state_dir: Path) -> None:
    """Remove what an earlier demonstration kept; the lock file stays, we hold it."""
    for path in state_dir.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()
