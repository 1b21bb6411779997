"""What every provider's control client and process share."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import httpx
import msgspec

from suppli_sandbox.meter import Seen
from suppli_sandbox.models import ClockState, FaultSpec, FaultState, Json

T = TypeVar("T")


class SandboxRefusedError(Exception):
    """The control API refused a call; the message is its own sentence."""


class ControlClient:
    """Orders a running sandbox about. Every method is one control call; raises SandboxRefusedError."""

    def __init__(self, base_url: str, token: str | None = None, *, timeout: float = 120.0) -> None:
        self.base_url = base_url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.base_url, headers=headers, timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def health(self) -> Json:
        """Return the state and the sandbox's present instant."""
        return self._call("GET", "/health", Json)

    def reset(self) -> None:
        """Forget merchants, tokens, faults, counters and the clock's offset; keep the application."""
        self._call("POST", "/reset", Json)

    def merchants(self) -> list[Json]:
        """Return every merchant with its locations and number of orders."""
        return self._call("GET", "/merchants", list[Json])

    def merchant(self, merchant_id: str) -> Json:
        """Return one merchant."""
        return self._call("GET", f"/merchants/{merchant_id}", Json)

    def delete_merchant(self, merchant_id: str) -> None:
        """Delete a merchant with all it has."""
        self._call("DELETE", f"/merchants/{merchant_id}", Json)

    def set_faults(self, merchant_id: str, *faults: FaultSpec) -> list[FaultState]:
        """Replace a merchant's faults (`*`: every merchant) and return them with counters."""
        return self._call("PUT", f"/merchants/{merchant_id}/faults", list[FaultState], list(faults))

    def add_faults(self, merchant_id: str, *faults: FaultSpec) -> list[FaultState]:
        """Append faults."""
        return self._call("POST", f"/merchants/{merchant_id}/faults", list[FaultState], list(faults))

    def faults(self, merchant_id: str) -> list[FaultState]:
        """Return faults with what they have seen and struck."""
        return self._call("GET", f"/merchants/{merchant_id}/faults", list[FaultState])

    def clear_faults(self, merchant_id: str) -> None:
        """Drop a merchant's faults."""
        self._call("DELETE", f"/merchants/{merchant_id}/faults", list[FaultState])

    def clock(self) -> ClockState:
        """Return the sandbox's clock."""
        return self._call("GET", "/clock", ClockState)

    def set_clock(self, now: datetime, *, frozen: bool = False) -> ClockState:
        """Move the clock to an aware instant, running on or standing still."""
        return self._call("PUT", "/clock", ClockState, ClockState(now=now.isoformat(), frozen=frozen))

    def advance_clock(self, seconds: float) -> ClockState:
        """Move the clock forward."""
        return self._call("POST", "/clock/advance", ClockState, {"seconds": seconds})

    def calls(self, merchant_id: str | None = None) -> list[Json]:
        """Return counts per merchant, operation and status (0: the connection was cut unanswered)."""
        query = f"?merchant={merchant_id}" if merchant_id else ""
        return self._call("GET", "/calls" + query, list[Json])

    def speed(self, merchant_id: str) -> Seen:
        """Return the most calls for a merchant within a second and at once, since counters were cleared."""
        return self._call("GET", f"/merchants/{merchant_id}/speed", Seen)

    def clear_calls(self) -> None:
        """Set all counters to nothing."""
        self._call("DELETE", "/calls", list[Json])

    def _call(self, method: str, path: str, kind: type[T], content: Any = None) -> T:
        body = None if content is None else msgspec.json.encode(content)
        return self._answer(self._http.request(method, "/_control" + path, content=body), kind)

    @staticmethod
    def _answer(response: httpx.Response, kind: type[T]) -> T:
        if response.is_error:
            asked = f"{response.request.method} {response.request.url.path.removeprefix('/_control')}"
            raise SandboxRefusedError(f"{asked}: {response.status_code} {response.text}")
        return msgspec.json.decode(response.content, type=kind)


C = TypeVar("C", bound=ControlClient)


class ProviderProcess(Generic[C]):
    """Runs `python -m suppli_sandbox <provider>` as a process of its own, on a free port unless one is given.

    Use as a context manager; `url` and `control` are there once it answers. Raises RuntimeError when it
    does not start.
    """

    provider: ClassVar[str]
    control_type: type[C]
    control: C

    def __init__(self, *, port: int = 0, token: str | None = None, arguments: Sequence[str] = ()) -> None:
        self._token = token
        self._command = [
            sys.executable,
            "-m",
            "suppli_sandbox",
            self.provider,
            "--port",
            str(port),
            *arguments,
        ]
        if token is not None:
            self._command += ["--control-token", token]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self, timeout: float = 20.0) -> C:
        """Start the process and return a control client once it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise RuntimeError(f"the sandbox ended at once with code {self._process.wait()}")
        self.url = msgspec.json.decode(line)["url"]
        self.control = self.control_type(self.url, self._token)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.control.health()
                return self.control
            except httpx.TransportError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.stop()
                    raise
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop the process: politely, then for good."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.control.close()
