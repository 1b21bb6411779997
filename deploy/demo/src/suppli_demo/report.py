"""What the tour came to, and how it is printed: till by till, beside each file's own totals."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from suppli_demo.control_totals import ControlTotals
from suppli_demo.tills import Till
from suppli_demo.totals import Part, Shown


@dataclass
class Outcome:
    """What one till's sales came to; `differences` is empty when every total agrees with its file."""

    till: Till
    connection: str
    control: ControlTotals
    shown: Shown
    differences: list[str]
    product_events: int


@dataclass
class Result:
    """What the tour came to, till by till."""

    outcomes: list[Outcome]
    first_mapped_s: float

    @property
    def connection(self) -> str:
        """The first till's connection."""
        return self.outcomes[0].connection

    @property
    def differences(self) -> list[str]:
        """Every total that differs from a file's."""
        return [f"{each.till.title}, {wrong}" for each in self.outcomes for wrong in each.differences]

    @property
    def product_events(self) -> int:
        """How many product sales are on Kafka."""
        return sum(each.product_events for each in self.outcomes)


def print_result(console: Console, result: Result) -> None:
    """Print where the money and the quantities went, till by till, beside each file's own totals."""
    table = Table(title="Where every line went", title_justify="left")
    for column in ("", "gross", "discounts", "net", "quantity"):
        table.add_column(column, justify="left" if not column else "right")
    for outcome in result.outcomes:
        table.add_section()
        table.add_row(f"[bold]{outcome.till.title}: {outcome.till.shop}[/]")
        for name, part in (*outcome.shown.parts.items(), ("together", outcome.shown.total)):
            table.add_row(name, *_cells(part), style="bold" if name == "together" else None)
        control = outcome.control
        table.add_row(
            "the file says", *_cells(Part(control.gross, control.discounts, control.net, control.quantity))
        )
    table.add_section()
    everything = sum((outcome.shown.total for outcome in result.outcomes), Part())
    table.add_row("all tills together", *_cells(everything))
    console.print(table)
    for outcome in result.outcomes:
        console.print(_beside(outcome))
    if result.differences:
        console.print("[bold red]The totals differ:[/] " + "; ".join(result.differences))
    else:
        console.print("[bold green]Every total agrees with the file, to the cent.[/]")


def _beside(outcome: Outcome) -> str:
    control, till = outcome.control, outcome.till
    tax = f"{till.title}'s tax: {_money(outcome.shown.tax)} (the file says {_money(control.tax)})."
    if not till.keeps_voids:
        return f"{tax} It keeps nothing of what was taken off a ticket."
    voided = f"{_number(outcome.shown.voided)} (the file says {_number(control.voided)})"
    return f"{tax} Voided, shown apart: {voided}."


def _cells(part: Part) -> tuple[str, ...]:
    return _money(part.gross), _money(part.discount), _money(part.net), _number(part.quantity)


def _money(minor: int) -> str:
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100:,}.{abs(minor) % 100:02}"


def _number(value: object) -> str:
    return f"{value:,f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:,f}"
