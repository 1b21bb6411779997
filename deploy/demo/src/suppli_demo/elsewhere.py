"""`python -m suppli_demo.elsewhere`: the demo's tour through a system that somebody else has started.

It does what `python -m suppli_demo` does once its own system is up, holds the result against the same
independent totals, and ends with 1 when one of them differs. It must reach the sandbox's control API, which
answers callers on its own machine alone: in containers it shares the sandbox's network.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from suppli_sandbox.client import SandboxControl
from suppli_sandbox.clover.client import CloverControl

from suppli_demo.deployment import Elsewhere
from suppli_demo.report import Outcome, Result, print_result
from suppli_demo.tour import Tour

app = typer.Typer(add_completion=False)


@app.command()
def tour(
    gateway: Annotated[str, typer.Option(help="The public API.")] = "http://gateway:8080",
    kafka: Annotated[str, typer.Option(help="The brokers.")] = "kafka:9092",
    sandbox: Annotated[str, typer.Option(help="The local Square.")] = "http://127.0.0.1:8200",
    clover: Annotated[str, typer.Option(help="The local Clover.")] = "http://127.0.0.1:8201",
    issuer: Annotated[str, typer.Option(help="The development identity provider.")] = "http://issuer:8300",
    sales: Annotated[Path | None, typer.Option(help='A Square "Items detail" export to load.')] = None,
    timezone: Annotated[str | None, typer.Option(help="The shop's IANA time zone.")] = None,
    days: Annotated[int, typer.Option(min=1, help="How many days of made-up sales, without --sales.")] = 7,
    folder: Annotated[Path, typer.Option(help="Where files may be left.")] = Path("/tmp"),  # noqa: S108
) -> None:
    """Connect a shop at each provider to a running system, import, map, and show what came out."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    result = Tour(
        Elsewhere(folder, gateway, kafka, issuer, SandboxControl(sandbox), CloverControl(clover)),
        console,
        sales=sales,
        timezone=timezone,
        began=began,
        days=days,
        tenant=uuid4(),
        name=uuid4().hex[:11].upper(),
    ).run()
    print_result(console, result)
    console.print(
        f"{result.product_events:,} product sales are on Kafka, the first {result.first_mapped_s:.1f} s "
        f"after the tour began; it took {time.monotonic() - began:.1f} s."
    )
    console.print(json.dumps(totals(result)), markup=False)
    if result.differences:
        raise typer.Exit(1)


def totals(result: Result) -> dict[str, dict[str, str | int]]:
    """Return what another run over the same sales must come to as well, by provider."""
    return {each.till.provider: _of_till(each) for each in result.outcomes}


def _of_till(outcome: Outcome) -> dict[str, str | int]:
    total = outcome.shown.total
    return {
        "gross": total.gross,
        "discount": total.discount,
        "net": total.net,
        "quantity": str(total.quantity),
        "tax": outcome.shown.tax,
        "voided": str(outcome.shown.voided),
        "product_sales": outcome.product_events,
        **{f"{name} net": part.net for name, part in outcome.shown.parts.items()},
    }


if __name__ == "__main__":
    app()
