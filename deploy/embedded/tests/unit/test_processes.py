"""Processes of ours start, get ready and end; nothing is left behind, nobody else's process is touched."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from suppli_embedded.errors import StartError
from suppli_embedded.files import free_ports
from suppli_embedded.processes import ManagedProcess, ProcessRecords, ServiceProcess

SERVER = """
import sys, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404); self.end_headers()
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.02)


def service(tmp_path: Path, code: str, records: ProcessRecords | None = None) -> ServiceProcess:
    port = free_ports(1)[0]
    argv = python(code, port)
    return ServiceProcess("thing", argv, {}, tmp_path / "thing.log", internal_port=port, records=records)


def test_is_ready_when_readyz_says_so_and_restarts_on_the_same_port(tmp_path: Path) -> None:
    """Else the demo would talk to a service that does not answer yet."""
    process = service(tmp_path, SERVER)
    process.start()
    process.wait_ready(10)
    first = process.pid
    process.restart()
    process.wait_ready(10)
    assert process.pid not in (None, first)
    assert process.stop() == -signal.SIGTERM
    assert not process.ready()


def test_a_service_that_ends_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    """Else a wrong setting would look like a time-out."""
    process = service(tmp_path, "import sys; sys.exit('SUPPLI_THING_URL is missing')")
    process.start()
    with pytest.raises(StartError, match=r"(?s)thing ended with exit code 1.*SUPPLI_THING_URL is missing"):
        process.wait_ready(10)
    process.stop()


def test_a_service_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    """Else `make demo` would hang for good."""
    process = service(tmp_path, "import time; print('still warming up', flush=True); time.sleep(600)")
    process.start()
    wait_for(lambda: "warming" in process.log_path.read_text())
    with pytest.raises(StartError, match=r"(?s)not ready after 0 s.*still warming up"):
        process.wait_ready(0.3)
    process.stop()


def test_what_ignores_the_request_to_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    """Else a hanging service would hold the port and the group membership of the next run."""
    process = ManagedProcess("stubborn", python(STUBBORN), {}, tmp_path / "log")
    process.start()
    wait_for(lambda: (tmp_path / "log").read_text().endswith("\n"))
    child = int((tmp_path / "log").read_text())
    assert process.stop(0.2) == -signal.SIGKILL
    wait_for(lambda: not alive(child))


def test_the_next_run_ends_what_a_crash_left(tmp_path: Path) -> None:
    """Else the second `make demo` would find two of every service."""
    process = service(tmp_path, SERVER, ProcessRecords(tmp_path / "processes"))
    process.start()
    process.wait_ready(10)
    assert ProcessRecords(tmp_path / "processes").end_leftovers() == ["thing"]
    assert not process.running
    assert not process.ready()
    assert ProcessRecords(tmp_path / "processes").end_leftovers() == []


def test_somebody_elses_process_with_a_recorded_number_is_left_alone(tmp_path: Path) -> None:
    """Else a start could end any program of the user's."""
    stranger = subprocess.Popen(python("import time; time.sleep(600)"))
    record = {"name": "thing", "pid": stranger.pid, "stop_signal": int(signal.SIGKILL)}
    record["created"] = psutil.Process(stranger.pid).create_time() - 100
    (tmp_path / f"{stranger.pid}.json").write_text(json.dumps(record))
    try:
        assert ProcessRecords(tmp_path).end_leftovers() == []
        assert stranger.poll() is None
        assert not list(tmp_path.iterdir())
    finally:
        stranger.kill()
        stranger.wait()


def test_an_orderly_stop_leaves_no_record(tmp_path: Path) -> None:
    """Else records would pile up and each start would go through them."""
    process = service(tmp_path, SERVER, ProcessRecords(tmp_path / "processes"))
    process.start()
    assert len(os.listdir(tmp_path / "processes")) == 1  # noqa: PTH208
    process.stop()
    assert not list((tmp_path / "processes").iterdir())
