"""Programs that live as long as the runtime: in groups of their own, recorded, ended, also after a crash."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from suppli_embedded.errors import StartError
from suppli_embedded.files import read_json, tail, write_private

STOP_SECONDS = 10.0
_START_TOLERANCE = 0.05  # seconds between two readings of one process's start time


class ProcessRecords:
    """Remembers on disk which processes a runtime started, so that the next can end what a crash left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, pid: int, stop_signal: int) -> None:
        """Record a process just started."""
        process = psutil.Process(pid)
        record = {"name": name, "pid": pid, "created": process.create_time(), "stop_signal": stop_signal}
        write_private(self._folder / f"{pid}.json", json.dumps(record))

    def remove(self, pid: int) -> None:
        """Forget a process that has ended."""
        (self._folder / f"{pid}.json").unlink(missing_ok=True)

    def end_leftovers(self) -> list[str]:
        """End every recorded process that still runs and return their names.

        A pid alone proves nothing, the system gives it away again; so the start time must match too.
        """
        paths = sorted(self._folder.glob("*.json"))
        records = [record for record in map(read_json, paths) if _is_same(record)]
        with ThreadPoolExecutor(max(1, len(records))) as pool:
            ends = [pool.submit(end_group, record["pid"], record["stop_signal"]) for record in records]
        for end in ends:
            end.result()
        for path in paths:
            path.unlink(missing_ok=True)
        return [record["name"] for record in records]


def _is_same(record: Mapping[str, Any]) -> bool:
    try:
        process = psutil.Process(record["pid"])
        alive = process.status() != psutil.STATUS_ZOMBIE
        return alive and abs(process.create_time() - record["created"]) < _START_TOLERANCE
    except psutil.NoSuchProcess:
        return False


def end_group(pid: int, stop_signal: int = signal.SIGTERM, seconds: float = STOP_SECONDS) -> None:
    """Ask the leader `pid` to stop, and kill its whole group when it has not done so in `seconds`."""
    try:
        leader = psutil.Process(pid)
        members = [leader, *leader.children(recursive=True)]
        leader.send_signal(stop_signal)
    except psutil.NoSuchProcess:
        return
    _, alive = psutil.wait_procs(members, timeout=seconds)
    if alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=5)


class ManagedProcess:
    """One program in its own process group, with its output in a log file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str],
        log_path: Path,
        *,
        records: ProcessRecords | None = None,
        stop_signal: int = signal.SIGTERM,
        cwd: Path | None = None,
        user: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.argv, self.env, self.log_path = (
            name,
            [str(part) for part in argv],
            dict(env),
            log_path,
        )
        self._records, self._stop_signal, self._cwd, self._user = records, stop_signal, cwd, dict(user or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the program runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def running(self) -> bool:
        """Whether the program runs now."""
        return self.pid is not None

    @property
    def returncode(self) -> int | None:
        """How the program ended (negative: by that signal), None while it runs or before it was started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the program; its readiness is another question."""
        if self.running:
            return
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                env=self.env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._user,
            )
        if self._records is not None:
            with contextlib.suppress(psutil.NoSuchProcess):  # ended already: whoever waits for it will say so
                self._records.add(self.name, self._process.pid, self._stop_signal)

    def stop(self, seconds: float = STOP_SECONDS) -> int | None:
        """End the program and what it started: asked first, killed after `seconds`. Return its exit code."""
        if self._process is not None:
            if self._process.poll() is None:
                # psutil cannot reap a child of ours before Popen does, so the leader is waited for here.
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(self._stop_signal)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(seconds)
            self._end_rest()
        return self.returncode

    def kill(self) -> None:
        """End the program as a power cut would: no signal handler runs."""
        self._end_rest()

    def restart(self) -> None:
        """Stop and start with the same arguments, environment and ports."""
        self.stop()
        self.start()

    def failure(self, what: str) -> StartError:
        """Return the error that says `what` happened to this program, with the end of its log."""
        return StartError(f"{self.name} {what}. End of {self.log_path}:\n{tail(self.log_path)}")

    def _end_rest(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(5)
        if self._records is not None:
            self._records.remove(self._process.pid)


class ServiceProcess(ManagedProcess):
    """A process of ours: ready when its internal port says so at `/readyz`."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str],
        log_path: Path,
        *,
        internal_port: int,
        records: ProcessRecords | None = None,
    ) -> None:
        super().__init__(name, argv, env, log_path, records=records)
        self.internal_port = internal_port

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Return when `/readyz` answers 200; raise `StartError` when the process ends or time is up."""
        deadline = time.monotonic() + seconds
        while not self.ready():
            if not self.running:
                raise self.failure(f"ended with exit code {self.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready after {seconds:.0f} s")
            time.sleep(0.05)

    def ready(self) -> bool:
        """Ask `/readyz` once."""
        url = f"http://127.0.0.1:{self.internal_port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError, http.client.HTTPException):
            return False
