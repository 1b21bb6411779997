"""The development identity provider as a process: whoever asks is signed in, so it is for demos and tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx
from suppli_embedded.errors import StartError

WEEK_S = 7 * 24 * 3600


class IssuerProcess:
    """Runs `python -m suppli_sandbox issuer` on a free port; `url` is the issuer's name."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "suppli_sandbox", "issuer", "--port", "0"], stdout=subprocess.PIPE
        )
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise StartError(f"the identity provider ended at once with code {self._process.wait()}")
        self.url = str(json.loads(line)["url"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdout:
            self._process.stdout.close()

    def token(self, *, subject: str, tenants: Sequence[UUID], role: str, ttl_s: int = WEEK_S) -> str:
        """Return a signed-in person's token."""
        body = {"sub": subject, "tenants": [str(tenant) for tenant in tenants], "role": role, "ttl_s": ttl_s}
        answer = httpx.post(f"{self.url}/_control/token", json=body, timeout=10)
        answer.raise_for_status()
        return str(answer.json()["token"])
