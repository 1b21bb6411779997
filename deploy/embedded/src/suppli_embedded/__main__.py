"""`python -m suppli_embedded`: the servers in the background, for a developer and for shared test runs."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console

from suppli_embedded.errors import EmbeddedError
from suppli_embedded.files import free_ports, tail
from suppli_embedded.kafka import run_apart
from suppli_embedded.runtime import DEFAULT_STATE, EmbeddedRuntime, attach, running_state
from suppli_embedded.topics import create_topics

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
console = Console(highlight=False)
Folder = Annotated[
    Path, typer.Option("--dir", help="The state folder: data, logs and secrets are all in it.")
]
_UP_SECONDS = 180.0


@app.command()
def up(folder: Folder = DEFAULT_STATE) -> None:
    """Start the servers in the background and return when they are ready."""
    folder = folder.absolute()
    if running_state(folder) is None:
        folder.mkdir(parents=True, exist_ok=True)
        log_path = folder / "runtime.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "suppli_embedded", "serve", "--dir", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _UP_SECONDS
        while running_state(folder) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                console.print(f"The servers did not start:\n{tail(log_path)}", markup=False)
                raise typer.Exit(1)
            time.sleep(0.1)
    run_apart(lambda: create_topics(attach(folder).kafka.bootstrap_servers))
    status(folder)


@app.command(hidden=True)
def serve(folder: Folder = DEFAULT_STATE) -> None:
    """Start the servers and keep them until this process is told to stop."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    try:
        with EmbeddedRuntime(folder):
            asked.wait()
    except EmbeddedError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(1) from None


@app.command()
def down(folder: Folder = DEFAULT_STATE) -> None:
    """Stop the servers; the data stays."""
    state = running_state(folder.absolute())
    if state is None:
        console.print("Nothing is up.")
        return
    process = psutil.Process(state["pid"])
    os.kill(process.pid, signal.SIGTERM)
    psutil.wait_procs([process], timeout=40)
    console.print("Stopped.")


@app.command()
def clean(folder: Folder = DEFAULT_STATE) -> None:
    """Delete the data of stopped servers; downloaded jars stay."""
    try:
        EmbeddedRuntime(folder).remove()
    except EmbeddedError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(1) from None
    console.print("Removed.")


@app.command()
def status(folder: Folder = DEFAULT_STATE) -> None:
    """Print where the servers are."""
    state = running_state(folder.absolute())
    if state is None:
        console.print("Nothing is up.")
        raise typer.Exit(3)
    servers = attach(folder)
    console.print(f"PostgreSQL {servers.postgres.version():<8} 127.0.0.1:{servers.postgres.port}")
    console.print(f"Kafka      {servers.kafka.version():<8} {servers.kafka.bootstrap_servers}")
    console.print(f"OpenBao    {servers.openbao.version():<8} {servers.openbao.url}")
    timings = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in state["timings"].items())
    console.print(f"Started in: {timings}")


@app.command()
def env(service: str, folder: Folder = DEFAULT_STATE) -> None:
    """Print the environment of a process of SERVICE, one NAME=value a line."""
    public, internal = free_ports(2)
    environment = attach(folder).service_environment(service, public_port=public, internal_port=internal)
    for name, value in sorted(environment.items()):
        if name.startswith("SUPPLI_"):
            console.print(f"{name}={value}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    app()
