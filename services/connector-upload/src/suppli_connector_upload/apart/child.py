"""`python -m suppli_connector_upload.apart.child`: reads one file and says what is in it, see `frames`."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from suppli_connector_upload.apart.frames import Ask, End, Errors, Found, Frame, Looked, Refused, Sales, send
from suppli_connector_upload.domain.detected import Refusal
from suppli_connector_upload.domain.detection import detect
from suppli_connector_upload.domain.files import FileRefused, Row
from suppli_connector_upload.domain.looks import FIRST_ERRORS, FIRST_SALES, look_of
from suppli_connector_upload.domain.outcomes import FileSale, RowError
from suppli_connector_upload.domain.plan import PlanProblem
from suppli_connector_upload.domain.sales import SalesReader
from suppli_connector_upload.reading import open_rows, take_sample
from suppli_connector_upload.reading.spool import DiskSpool

SALES_A_FRAME = 1_000
ERRORS_A_FRAME = 1_000
_LOOK_UP_ROWS = 20_000  # rows between two looks whether anybody still wants the answer


class Orphaned(Exception):
    """Whoever asked is no more."""


def main() -> int:
    """Do what the standard input asks."""
    ask = msgspec.json.decode(sys.stdin.buffer.read(), type=Ask)
    target = sys.stdout.buffer
    _bound(ask.memory)
    try:
        _do(ask, target)
    except FileRefused as refused:
        send(target, Refused(Refusal(code=refused.code, reason=refused.reason)))
    except PlanProblem as problem:
        send(target, Refused(Refusal(code="answer", reason=str(problem))))
    except MemoryError:
        text = "Reading the file takes more memory than a file may: split it, or save it as CSV."
        send(target, Refused(Refusal(code="too_complex", reason=text)))
    except (BrokenPipeError, Orphaned):
        return 1
    return 0


def _bound(memory: int) -> None:
    """Let a file that bursts end this process and no other."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    except (ValueError, OSError):
        return  # a system that cannot is left with the limits of what is read


def _do(ask: Ask, target: BinaryIO) -> None:
    path = Path(ask.path)
    if ask.plan is None:
        send(target, Found(detect(take_sample(path), ask.answers)))
        return
    folder = Path(ask.folder)
    reader = SalesReader(ask.plan, lambda: DiskSpool(folder))
    errors = reader.take(_wanted(open_rows(path, ask.plan.layout), ask.parent))
    for frame in _look(reader, errors) if ask.looking else _read(reader, errors):
        send(target, frame)


def _look(reader: SalesReader, errors: Iterator[RowError]) -> Iterator[Frame]:
    first_errors = list(islice(errors, FIRST_ERRORS))
    for _ in errors:
        pass
    sales = reader.sales()
    first = list(islice(sales, FIRST_SALES))
    for _ in sales:
        pass
    yield Looked(look_of(reader.totals, sales=first, first_errors=first_errors, notices=reader.notices))


def _read(reader: SalesReader, errors: Iterator[RowError]) -> Iterator[Frame]:
    while some_errors := list(islice(errors, ERRORS_A_FRAME)):
        yield Errors(some_errors)
    sales: Iterator[FileSale] = reader.sales()
    while some_sales := list(islice(sales, SALES_A_FRAME)):
        yield Sales(some_sales)
    yield End()


def _wanted(rows: Iterator[Row], parent: int) -> Iterator[Row]:
    """Yield the rows while the process that asked for them lives."""
    for number, row in enumerate(rows, start=1):
        if number % _LOOK_UP_ROWS == 0 and os.getppid() != parent:
            raise Orphaned
        yield row


if __name__ == "__main__":
    raise SystemExit(main())
