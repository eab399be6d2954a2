"""The pre-imported parent: forks every instance, notices every death, keeps positions filled.

It has imported everything and owns no thread and no event loop, so a fork is cheap (shared pages)
and safe; children make theirs. It listens to three things only: its signals, the readiness pipes
of its children and the deployer's pipe.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sample_services.birth import ENDING, run_child
from sample_services.config import SamplesConfig
from sample_services.errors import ZygoteError
from sample_services.instances import Instance, InstanceSpec, spec_from_json
from sample_services.layout import CONTROLLER, VIEWERS
from sample_services.serving import Birth

logger = logging.getLogger("samples.zygote")

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 2.5
#: Pause before a dead position is filled again; doubles while it keeps dying young.
RESTART_PAUSE_S: Final = 0.2
RESTART_PAUSE_MAX_S: Final = 5.0
YOUNG_S: Final = 5.0
TICK_S: Final = 0.25
BACKLOG: Final = 256

Main = Callable[[Birth], None]


@dataclass(slots=True)
class Slot:
    """A position and the child that fills it."""

    spec: InstanceSpec
    pid: int = 0
    instance_id: str = ""
    #: Kept over restarts, so that addresses stay true.
    port: int = 0
    ready: bool = False
    ready_fd: int = -1
    started_s: float = 0.0
    restart_at_s: float | None = None
    young_deaths: int = 0
    #: On its way out for good.
    retired: bool = False
    kill_at_s: float | None = None

    def instance(self) -> Instance:
        """The running child."""
        return Instance(self.spec, self.instance_id, self.pid, self.port)


@dataclass(slots=True)
class Phases:
    """Start-up order: each group starts when the one before is ready."""

    waiting: list[Sequence[InstanceSpec]] = field(default_factory=list)
    done: bool = False


class Zygote:
    """See the module. ``run`` blocks until SIGTERM or SIGINT."""

    def __init__(
        self,
        config: SamplesConfig,
        mains: Mapping[str, Main],
        phases: Sequence[Sequence[InstanceSpec]],
        announce: Callable[[list[Instance]], None],
    ) -> None:
        self._config = config
        self._mains = mains
        self._phases = Phases(waiting=list(phases))
        self._announce = announce
        self._slots: dict[str, Slot] = {}
        self._suspended: set[str] = set()
        self._selector = selectors.DefaultSelector()
        self._wakeup: tuple[socket.socket, socket.socket] = socket.socketpair()
        self._deployer: socket.socket | None = None
        self._deployer_buffer = b""
        self._stopping = False

    def run(self) -> int:
        """0 after a clean stop, 1 when the stack did not come up in time."""
        self._listen_to_signals()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        try:
            self._advance_phases()
            while not self._stopping:
                self._turn(TICK_S)
                if not self._phases.done and time.monotonic() > deadline_s:
                    waiting = [slot.spec.slot for slot in self._slots.values() if not slot.ready]
                    logger.error("not ready within %.0f s: %s", START_TIMEOUT_S, waiting)
                    return 1
            return 0
        finally:
            self._stop_all()

    # -- one turn of the loop ---------------------------------------------------------------

    def _turn(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            # One event's work may have closed what another event of this turn is about.
            if self._selector.get_map().get(key.fd) is key:
                key.data()
        now_s = time.monotonic()
        for slot in list(self._slots.values()):
            if slot.kill_at_s is not None and now_s >= slot.kill_at_s:
                slot.kill_at_s = None
                _signal(slot.pid, signal.SIGKILL)
            if slot.restart_at_s is not None and now_s >= slot.restart_at_s:
                slot.restart_at_s = None
                self._respawn(slot)

    def _listen_to_signals(self) -> None:
        for end in self._wakeup:
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakeup[1].fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda _number, _frame: None)
        self._selector.register(self._wakeup[0], selectors.EVENT_READ, self._on_signal)

    def _on_signal(self) -> None:
        numbers = set(self._wakeup[0].recv(512))
        if numbers & {signal.SIGTERM, signal.SIGINT}:
            self._stopping = True
        self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for slot in self._slots.values():
                if slot.pid == pid:
                    self._on_death(slot, os.waitstatus_to_exitcode(status))
                    break

    def _on_death(self, slot: Slot, exit_code: int) -> None:
        self._forget_ready_pipe(slot)
        self._tell({"event": "down", "slot": slot.spec.slot, "instance_id": slot.instance_id})
        if not (slot.retired or self._stopping):
            logger.warning("%s exited with %d", slot.instance_id, exit_code)
        slot.pid, slot.ready, slot.kill_at_s = 0, False, None
        if slot.spec.service == CONTROLLER:
            self._drop_deployer()
        if slot.retired:
            del self._slots[slot.spec.slot]
            return
        if self._stopping or slot.spec.service in self._suspended:
            return
        now_s = time.monotonic()
        slot.young_deaths = slot.young_deaths + 1 if now_s - slot.started_s < YOUNG_S else 0
        pause_s = RESTART_PAUSE_S * 2.0 ** max(slot.young_deaths - 1, 0)
        slot.restart_at_s = now_s + min(pause_s, RESTART_PAUSE_MAX_S)

    # -- births -----------------------------------------------------------------------------

    def _advance_phases(self) -> None:
        while not self._phases.done and all(slot.ready for slot in self._slots.values()):
            if not self._phases.waiting:
                self._phases.done = True
                self._announce([slot.instance() for slot in self._slots.values()])
                return
            for spec in self._phases.waiting.pop(0):
                self._fill(spec)

    def _fill(self, spec: InstanceSpec) -> None:
        slot = Slot(spec=spec, port=spec.port)
        self._slots[spec.slot] = slot
        self._spawn(slot)

    def _spawn(self, slot: Slot) -> None:
        """Raises ZygoteError, then nothing is left open."""
        with contextlib.ExitStack() as opened:
            listener = None
            if slot.spec.service != VIEWERS:
                listener = opened.enter_context(self._bind(slot))
            ready_read, ready_write = os.pipe()
            opened.callback(os.close, ready_write)
            ours: socket.socket | None = None
            theirs: socket.socket | None = None
            if slot.spec.service == CONTROLLER:
                ours, theirs = socket.socketpair()
                opened.enter_context(theirs)
            slot.instance_id = f"{slot.spec.service}-{slot.spec.zone}-{secrets.token_hex(4)}"
            slot.ready, slot.ready_fd, slot.started_s = False, ready_read, time.monotonic()
            self._selector.register(ready_read, selectors.EVENT_READ, lambda: self._on_ready(slot))
            slot.pid = self._fork(slot, listener, theirs, ready_write, ours)
            if ours is not None:
                self._adopt_deployer(ours)

    def _fork(
        self,
        slot: Slot,
        listener: socket.socket | None,
        theirs: socket.socket | None,
        ready_write: int,
        ours: socket.socket | None,
    ) -> int:
        """The child's pid. Raises ZygoteError when there can be no further process."""
        birth = self._birth(slot, listener, theirs, ready_write)
        parent_pid = os.getpid()

        def main(born: Birth) -> None:
            self._close_what_is_the_parents(ours)
            self._mains[slot.spec.service](born)

        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            pid = os.fork()
            if pid == 0:
                run_child(main, birth, parent_pid)
        except OSError as error:
            self._forget_ready_pipe(slot)
            if ours is not None:
                ours.close()
            raise ZygoteError(f"cannot fork {slot.spec.slot}: {error.strerror}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        return pid

    def _respawn(self, slot: Slot) -> None:
        try:
            self._spawn(slot)
        except ZygoteError as error:
            # A port taken meanwhile, or no process left: the others need not suffer.
            logger.warning("%s", error)
            slot.restart_at_s = time.monotonic() + RESTART_PAUSE_MAX_S

    def _birth(
        self,
        slot: Slot,
        listener: socket.socket | None,
        parent: socket.socket | None,
        ready_fd: int,
    ) -> Birth:
        def ready() -> None:
            os.write(ready_fd, b"1")
            os.close(ready_fd)

        controller = self._slots["controller/a/stable"]
        return Birth(
            spec=slot.spec,
            instance_id=slot.instance_id,
            port=slot.port,
            config=self._config,
            listener=listener,
            parent=parent,
            ready=ready,
            controller_url=f"http://{self._config.host}:{controller.port}",
        )

    def _bind(self, slot: Slot) -> socket.socket:
        """The listening socket, opened here so that the port is known before the child runs.

        A restarted instance keeps its port; when somebody took it meanwhile it gets another one,
        except where the port is configured or, the deployer's, known to everyone since birth.
        """
        host = self._config.host
        try:
            listener = _listen_on(host, slot.port)
        except OSError as error:
            if slot.port == slot.spec.port or slot.spec.service == CONTROLLER:
                raise ZygoteError(
                    f"{slot.spec.slot} cannot listen on {host}:{slot.port}: {error.strerror}"
                ) from error
            listener = _listen_on(host, 0)
        slot.port = listener.getsockname()[1]
        return listener

    def _close_what_is_the_parents(self, ours: socket.socket | None) -> None:
        for end in (*self._wakeup, self._deployer, ours):
            if end is not None:
                end.close()
        for slot in self._slots.values():
            if slot.ready_fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(slot.ready_fd)
        self._selector.close()

    def _on_ready(self, slot: Slot) -> None:
        reported = os.read(slot.ready_fd, 1) == b"1"
        self._forget_ready_pipe(slot)
        if not reported:
            return
        slot.ready = True
        self._tell_up(slot)
        self._advance_phases()

    def _forget_ready_pipe(self, slot: Slot) -> None:
        if slot.ready_fd >= 0:
            self._selector.unregister(slot.ready_fd)
            os.close(slot.ready_fd)
            slot.ready_fd = -1

    # -- the deployer -----------------------------------------------------------------------

    def _adopt_deployer(self, pipe: socket.socket) -> None:
        self._drop_deployer()
        pipe.settimeout(1.0)
        self._deployer = pipe
        self._selector.register(pipe, selectors.EVENT_READ, self._on_deployer)
        for slot in self._slots.values():
            if slot.ready:
                self._tell_up(slot)
        self._tell({"event": "listed"})

    def _tell_up(self, slot: Slot) -> None:
        instance = slot.instance().to_json()
        self._tell({"event": "up", "instance": instance, "leaving": slot.retired})

    def _drop_deployer(self) -> None:
        if self._deployer is not None:
            self._selector.unregister(self._deployer)
            self._deployer.close()
            self._deployer, self._deployer_buffer = None, b""

    def _tell(self, event: Mapping[str, Any]) -> None:
        if self._deployer is None:
            return
        try:
            self._deployer.sendall(json.dumps(event).encode() + b"\n")
        except OSError as error:
            # A deployer that does not read is started anew; it then learns everything again.
            logger.warning("deployer unreachable: %s", type(error).__name__)
            self._drop_deployer()
            _signal(self._slots["controller/a/stable"].pid, signal.SIGKILL)

    def _on_deployer(self) -> None:
        assert self._deployer is not None
        try:
            data = self._deployer.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop_deployer()
            return
        *lines, self._deployer_buffer = (self._deployer_buffer + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, order: Mapping[str, Any]) -> None:
        if order["op"] == "start":
            spec = spec_from_json(order["spec"])
            if spec.slot not in self._slots:
                self._slots[spec.slot] = Slot(spec=spec, port=spec.port)
                self._respawn(self._slots[spec.slot])
        elif order["op"] == "stop":
            slot = self._slots.get(order["slot"])
            if slot is not None:
                self._retire(slot, float(order["grace_s"]))
        elif order["op"] == "suspend":
            self._suspend(order["service"])
        elif order["op"] == "resume":
            self._suspended.discard(order["service"])
            for slot in self._slots.values():
                if slot.spec.service == order["service"] and slot.pid == 0:
                    slot.restart_at_s = time.monotonic()
        else:
            logger.error("unknown order %r", order["op"])

    def _retire(self, slot: Slot, grace_s: float) -> None:
        slot.retired, slot.restart_at_s = True, None
        if slot.pid == 0:
            self._tell({"event": "down", "slot": slot.spec.slot, "instance_id": slot.instance_id})
            del self._slots[slot.spec.slot]
            return
        _signal(slot.pid, signal.SIGTERM)
        slot.kill_at_s = time.monotonic() + grace_s

    def _suspend(self, service: str) -> None:
        self._suspended.add(service)
        for slot in self._slots.values():
            if slot.spec.service == service:
                slot.restart_at_s = None
                _signal(slot.pid, signal.SIGKILL)

    # -- the end ----------------------------------------------------------------------------

    def _stop_all(self) -> None:
        self._stopping = True
        for slot in self._slots.values():
            slot.restart_at_s = None
            _signal(slot.pid, signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        while any(slot.pid for slot in self._slots.values()):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0.0:
                break
            self._turn(min(left_s, 0.05))
        for slot in self._slots.values():
            _signal(slot.pid, signal.SIGKILL)
            if slot.pid:
                os.waitpid(slot.pid, 0)
                slot.pid = 0
        self._drop_deployer()
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for end in self._wakeup:
            end.close()


def _listen_on(host: str, port: int) -> socket.socket:
    """Raises OSError when ``port`` is taken; 0 = any free port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _signal(pid: int, number: signal.Signals) -> None:
    if pid > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
