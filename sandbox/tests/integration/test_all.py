"""Every provider from one process, as containers serve them."""

from __future__ import annotations

import json
import subprocess
import sys

import httpx
from suppli_sandbox.providers import local_providers


def test_one_process_serves_every_provider_until_it_is_told_to_stop() -> None:
    """Else a connector would find nobody, or a container would take its whole grace period to stop."""
    process = subprocess.Popen(
        [sys.executable, "-m", "suppli_sandbox", "all", "--port", "0"], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        started = [json.loads(process.stdout.readline()) for _ in local_providers()]
        assert [each["provider"] for each in started] == list(local_providers())
        for each in started:
            answer = httpx.get(f"{each['url']}/_control/health", timeout=20)
            assert answer.json()["status"] == "ok", each
        process.terminate()
        process.wait(20)
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
