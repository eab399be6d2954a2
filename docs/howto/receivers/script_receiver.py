"""Obeys Davylamp's commands by running a program of yours. Standard library and verify.py only.

    script_receiver.py --secret-file FILE --environment prod --state FOLDER -- ./deploy.sh

What is accepted is on disk before it is answered, and is run until the program ends with 0, the
command expires, or a newer one of its lane comes; after a crash it is run again, so the program
must not mind being repeated. It gets arguments, never a line for a shell:

    rollback|promotion ENVIRONMENT SERVICE RELEASE_VERSION TARGET_VERSION TARGET_DIGEST

and the whole event on its standard input. Rehearsals (environment "conformance") are taken and not
run. One line of JSON on standard output says how each command ended.
"""
# ruff: noqa: TID251

import argparse
import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any

from analysis.webhooks.verify import VerificationError, verify

MAX_BODY_BYTES = 65_536
REQUEST_TIMEOUT_S = 10.0
MAX_REQUESTS_AT_ONCE = 32
MAX_PROGRAMS_AT_ONCE = 4
PROGRAM_TIMEOUT_S = 300.0
REPORT_TIMEOUT_S = 5.0
#: Ids are kept longer than any command lives.
KEEP_S = 7 * 86_400.0
REHEARSAL = "conformance"
ACTIONS = {
    "davylamp.rollback.requested": "rollback",
    "davylamp.promotion.requested": "promotion",
}
#: What may become an argument: it cannot be taken for an option, and holds nothing strange.
ARGUMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}")
TABLES = """
CREATE TABLE IF NOT EXISTS commands (
  id TEXT PRIMARY KEY, lane TEXT, sequence INTEGER, decision_id TEXT, expires_unix_s REAL,
  arguments TEXT, event BLOB, confirm_url TEXT, state TEXT, due_unix_s REAL);
CREATE TABLE IF NOT EXISTS lanes (lane TEXT PRIMARY KEY, sequence INTEGER);
UPDATE commands SET state = 'waiting' WHERE state = 'running';
"""
NEXT = """
SELECT * FROM commands WHERE state = 'waiting' AND due_unix_s <= ?
  AND lane NOT IN (SELECT lane FROM commands WHERE state = 'running') ORDER BY rowid LIMIT 1
"""


class Refused(Exception):  # noqa: N818 - an answer rather than an error
    """Not to be obeyed: the status to answer, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Journal:
    """Commands that were accepted and what became of them, on disk before anybody is told."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = sqlite3.connect(path, check_same_thread=False)
        self._file.row_factory = sqlite3.Row
        self._file.executescript(f"PRAGMA synchronous = FULL; {TABLES}")
        self.changed = threading.Event()
        self.changed.set()

    def admit(self, message_id: str, event: Mapping[str, Any], body: bytes) -> bool:
        """Whether it is new. Raises Refused: too late, or overtaken."""
        data, lane = event["data"], str(event["subject"])
        sequence, expires_unix_s = int(data["sequence"]), moment(data["expires_at"])
        row = (message_id, lane, sequence, str(data["decision_id"]), expires_unix_s)
        arguments = json.dumps(arguments_of(event))
        with self._lock, self._file as file:
            if file.execute("SELECT 1 FROM commands WHERE id = ?", [message_id]).fetchone():
                return False
            if expires_unix_s <= time.time():
                raise Refused(410, "its time is over")
            newer = "SELECT 1 FROM lanes WHERE lane = ? AND sequence >= ?"
            if file.execute(newer, [lane, sequence]).fetchone():
                raise Refused(409, "a newer one of its lane was accepted")
            rest = (arguments, body, str(data["confirm_url"]), "waiting", 0.0)
            file.execute(f"INSERT INTO commands VALUES ({','.join('?' * 10)})", (*row, *rest))  # noqa: S608
            file.execute("INSERT OR REPLACE INTO lanes VALUES (?, ?)", [lane, sequence])
            file.execute(
                "DELETE FROM commands WHERE expires_unix_s < ? AND state NOT IN (?, ?)",
                [time.time() - KEEP_S, "waiting", "running"],
            )
        self.changed.set()
        return True

    def take(self) -> sqlite3.Row | None:
        """The next command to run, marked as running; one of a lane at a time."""
        with self._lock, self._file as file:
            row: sqlite3.Row | None = file.execute(NEXT, [time.time()]).fetchone()
            if row is not None:
                file.execute("UPDATE commands SET state = 'running' WHERE id = ?", [row["id"]])
            return row

    def is_newest(self, row: sqlite3.Row) -> bool:
        """Whether nothing newer of its lane was accepted."""
        with self._lock:
            found = self._file.execute("SELECT sequence FROM lanes WHERE lane = ?", [row["lane"]])
            return bool(found.fetchone()[0] == row["sequence"])

    def put(self, row: sqlite3.Row, state: str, due_unix_s: float = 0.0) -> None:
        """What became of a command that was running."""
        with self._lock, self._file as file:
            change = "UPDATE commands SET state = ?, due_unix_s = ? WHERE id = ?"
            file.execute(change, [state, due_unix_s, row["id"]])
        self.changed.set()


def moment(text: str) -> float:
    """RFC 3339 with its zone, as Unix seconds."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return found.timestamp()


def arguments_of(event: Mapping[str, Any]) -> list[str]:
    """What the program is told. Raises Refused if anything in it would be a danger."""
    data = event["data"]
    found = [
        ACTIONS[event["type"]],
        data["audience"]["environment"],
        data["release"]["service"],
        data["release"]["version"],
        data["target"]["version"],
        data["target"]["digest"],
    ]
    strange = [one for one in found if not (isinstance(one, str) and ARGUMENT.fullmatch(one))]
    if strange:
        raise Refused(422, f"cannot be an argument: {strange[0]!r}")
    return found


class Receiver:
    """From a request to a command in the journal, and from there to the program."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.journal = Journal(options.state / "commands.sqlite")

    def accept(self, headers: Mapping[str, str], body: bytes) -> int:
        """The status to answer. Raises Refused."""
        secrets = self.options.secret_file.read_text().split()
        try:
            verify(headers, body, secrets, int(time.time()))
        except VerificationError as error:
            raise Refused(401, str(error)) from None
        try:
            event = json.loads(body)
            if event["type"] not in ACTIONS:
                return 204
            audience, mode = event["data"]["audience"], event["data"]["mode"]
            environments = (self.options.environment, REHEARSAL)
            ours = [
                {"endpoint_id": self.options.endpoint_id, "environment": e} for e in environments
            ]
            if audience not in ours or mode != "act":
                raise Refused(422, "not for us")
            return 202 if self.journal.admit(headers["webhook-id"], event, body) else 200
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise Refused(422, f"not a command: {error!r}") from None

    def work(self) -> None:
        """Run what waits, for ever."""
        while True:
            self.journal.changed.clear()
            row = self.journal.take()
            if row is None:
                self.journal.changed.wait(1.0)
                continue
            try:
                state = self.carry_out(row)
            except Exception as error:  # noqa: BLE001 - one command must not end the others
                say("cannot run", row, error=repr(error))
                state = "waiting"
            self.journal.put(row, state, time.time() + self.options.retry_pause_s)
            if state != "waiting":
                say(state, row)

    def carry_out(self, row: sqlite3.Row) -> str:
        """The command's next state; ``waiting`` = to be tried again."""
        if not self.journal.is_newest(row):
            return "overtaken"
        if row["expires_unix_s"] <= time.time():
            return "expired"
        arguments = json.loads(row["arguments"])
        if arguments[1] == REHEARSAL:
            return "rehearsed"
        self.report(row, "acknowledged")
        if self.run_program(arguments, row["event"]) != 0:
            return "waiting"
        self.report(row, "completed")
        return "done"

    def run_program(self, arguments: Sequence[str], event: bytes) -> int:
        """Its exit code; it and whatever it started end when its time is over."""
        command = [*self.options.program, *arguments]
        with subprocess.Popen(  # each argument was checked, and there is no shell
            command, stdin=subprocess.PIPE, stdout=sys.stderr, start_new_session=True
        ) as process:
            try:
                process.communicate(event, PROGRAM_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            return process.wait()

    def report(self, row: sqlite3.Row, status: str) -> None:
        """Tell Davylamp, if there is a token; it goes to the address of the settings only."""
        base, token_file = self.options.analysis_url, self.options.token_file
        if token_file is None or not row["confirm_url"].startswith(f"{base}/api/"):
            return
        body = json.dumps({"status": status, "unix_nano": time.time_ns(), "detail": ""}).encode()
        token = {"authorization": f"Bearer {token_file.read_text().strip()}"}
        request = urllib.request.Request(row["confirm_url"], body, token)  # noqa: S310
        try:
            urllib.request.urlopen(request, timeout=REPORT_TIMEOUT_S).close()  # noqa: S310
        except OSError as error:  # what runs is what counts: telemetry shows it
            say("not reported", row, error=str(error))


class Handler(BaseHTTPRequestHandler):
    """One request: its body is bounded in size and in time."""

    timeout = REQUEST_TIMEOUT_S
    receiver: Receiver

    def do_POST(self) -> None:
        """Any path: there is one thing to ask for."""
        try:
            status, why = self.receiver.accept(dict(self.lowercase_headers()), self.body()), ""
        except Refused as refused:
            status, why = refused.status, str(refused)
        except (OSError, sqlite3.Error) as error:  # secrets or journal: mend it, we are asked again
            status, why = 503, "not now"
            self.log_error("not accepted: %r", error)
        self.send_response(status)
        self.send_header("content-length", str(len(why.encode())))
        self.end_headers()
        self.wfile.write(why.encode())

    def body(self) -> bytes:
        """The raw bytes that were signed. Raises Refused."""
        length = self.headers.get("content-length", "")
        if not re.fullmatch(r"[0-9]{1,9}", length):
            raise Refused(411, "say content-length")
        if int(length) > MAX_BODY_BYTES:
            raise Refused(413, f"at most {MAX_BODY_BYTES} bytes")
        return self.rfile.read(int(length))

    def lowercase_headers(self) -> list[tuple[str, str]]:
        """Each name once; two of a name, which the verifier would not take, are refused."""
        found = [(name.lower(), value) for name, value in self.headers.items()]
        names = [name for name, _ in found if name.startswith("webhook-")]
        if len(names) != len(set(names)):
            raise Refused(401, "a header is there twice")
        return found

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """One line a request, on standard error."""
        sys.stderr.write(f"{self.client_address[0]} {format % args}\n")


class Server(ThreadingHTTPServer):
    """Threads for so many requests and no more; others are closed at once."""

    free = threading.BoundedSemaphore(MAX_REQUESTS_AT_ONCE)

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        if self.free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket | tuple[bytes, socket], client_address: Any
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()


def say(what: str, row: sqlite3.Row, **more: str) -> None:
    """How a command ended on standard output, whatever else on standard error."""
    line = {"state": what, "decision_id": row["decision_id"], "lane": row["lane"], **more}
    print(json.dumps(line), file=sys.stderr if more else sys.stdout, flush=True)


def main() -> None:
    """Until it is interrupted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--endpoint-id", default="deploy-controller")
    parser.add_argument("--state", type=Path, required=True, help="a folder that is kept")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7000)
    parser.add_argument("--analysis-url", default="http://127.0.0.1:4320")
    parser.add_argument("--token-file", type=Path, help="to report; without it nothing is reported")
    parser.add_argument("--retry-pause-s", type=float, default=5.0, help="after a failed run")
    parser.add_argument("program", nargs="+", help="after --, with arguments that come first")
    options = parser.parse_args()
    options.state.mkdir(parents=True, exist_ok=True)
    Handler.receiver = Receiver(options)
    for _ in range(MAX_PROGRAMS_AT_ONCE):
        threading.Thread(target=Handler.receiver.work, daemon=True).start()
    with (
        Server((options.host, options.port), Handler) as server,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(json.dumps({"state": "ready", "port": server.server_port}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
