"""The development identity provider as a process: whoever asks is signed in, so it is for demos and tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

from suppli_embedded.errors import StartError

from suppli_demo.deployment import WEEK_S, signed_in


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
        return signed_in(self.url, subject=subject, tenants=tenants, role=role, ttl_s=ttl_s)
