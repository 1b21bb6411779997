"""`python -m suppli_demo`: what `make demo` runs."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from suppli_embedded.errors import EmbeddedError
from suppli_embedded.runtime import EmbeddedRuntime

from suppli_demo.consumer import snippet
from suppli_demo.report import Result, print_result
from suppli_demo.system import System
from suppli_demo.tour import TENANT, Tour

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    sales: Annotated[Path | None, typer.Option(help='A Square "Items detail" export to load.')] = None,
    timezone: Annotated[str | None, typer.Option(help="The shop's IANA time zone.")] = None,
    folder: Annotated[Path, typer.Option(help="Where all state is kept.")] = Path(".suppli/demo"),
    stay: Annotated[bool | None, typer.Option(help="Stay up afterwards (default: with a terminal).")] = None,
) -> None:
    """Start the whole system, connect a shop at each provider, import, map, and show what came out."""
    console = Console(highlight=False, soft_wrap=True)
    if sales is not None and not sales.is_file():
        console.print(f"There is no file {sales}.")
        raise typer.Exit(2)
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that everything is stopped on the way out
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    began = time.monotonic()
    system = System(folder, cache=Path(".suppli/cache"), say=console.print)
    try:
        if folder.exists():  # the sandbox forgets its shops when it stops: what is left would speak of others
            EmbeddedRuntime(folder).remove()
        with system:
            result = Tour(system, console, sales=sales, timezone=timezone, began=began).run()
            print_result(console, result)
            _print_timings(console, system, result, began)
            _print_next(console, system, result)
            if result.differences:
                raise typer.Exit(1)
            if stay or (stay is None and sys.stdin.isatty() and sys.stdout.isatty()):
                _print_addresses(console, system)
                console.print("\nEverything stays up until Ctrl-C.")
                threading.Event().wait()
    except EmbeddedError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("Stopped; start again with `make demo`.")


def _print_timings(console: Console, system: System, result: Result, began: float) -> None:
    download = system.timings["download"]
    tour = time.monotonic() - began - download
    console.print(
        f"First mapped sale on Kafka after {result.first_mapped_s - download:.1f} s "
        f"(of which {system.timings['start']:.1f} s for servers and services), whole tour {tour:.1f} s; "
        f"time spent downloading, apart: {download:.1f} s."
    )
    console.print(f"{result.product_events:,} product sales are on Kafka.")


def _print_addresses(console: Console, system: System) -> None:
    addresses = {
        "gateway (public API)": f"{system.gateway_url}/v1",
        "its description": f"{system.gateway_url}/v1/openapi.json",
        **{f"the local {name}": sandbox.url for name, sandbox in system.sandboxes.items()},
        "identity provider": system.issuer.url,
        "Kafka": system.runtime.kafka.bootstrap_servers,
        "PostgreSQL": f"127.0.0.1:{system.runtime.postgres.port}",
        "OpenBao": system.runtime.openbao.url,
        "logs": str(system.folder / "logs"),
    }
    console.print("\nAddresses:")
    for name, address in addresses.items():
        console.print(f"  {name:<22}{address}", markup=False)
    for name, service in system.services.items():
        console.print(f"  {name:<22}http://127.0.0.1:{service.internal_port}/readyz, /metrics", markup=False)


def _print_next(console: Console, system: System, result: Result) -> None:
    token = system.folder / "token"
    signed = f'curl -s -H "Authorization: Bearer $(cat {token})" -H "Suppli-Tenant: {TENANT}"'
    url, connection = system.gateway_url, result.connection
    lines = (
        ("list connections", f"{signed} {url}/v1/connections"),
        ("sync now", f'{signed} -X POST -H "Idempotency-Key: try-1" {url}/v1/connections/{connection}/sync'),
        ("history", f"{signed} {url}/v1/connections/{connection}/runs"),
        ("what is not mapped", f'{signed} "{url}/v1/items?state=unmapped&connection_id={connection}"'),
        (
            "map one of them",
            f"{signed} -X PUT -H 'Content-Type: application/json' "
            f"""-d '{{"state": "mapped", "targets": [{{"product_id": "product-001"}}]}}' """
            f"{url}/v1/items/ITEM_ID/mapping",
        ),
    )
    console.print("\nTo try, signed in as the owner:")
    for name, line in lines:
        console.print(f"# {name}\n{line}", markup=False)
    consumer = system.folder / "consume.py"
    consumer.write_text(snippet())
    console.print(
        f"\nProduct sales as another service sees them (ten lines, {consumer}):\n"
        f"{sys.executable} {consumer} {system.runtime.kafka.bootstrap_servers}",
        markup=False,
    )


if __name__ == "__main__":
    app()
