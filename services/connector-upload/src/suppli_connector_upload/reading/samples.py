"""The first rows of a workbook's sheets, by which it is known."""

from __future__ import annotations

from collections.abc import Iterable

from suppli_connector_upload.domain.files import Row, SheetSample

_SAMPLE_CELLS = 100_000
_SAMPLE_ROWS = 50


def sheet_samples(sheets: Iterable[tuple[str, Iterable[Row]]]) -> tuple[SheetSample, ...]:
    """Return the first rows of every sheet, by name: of all together about `_SAMPLE_CELLS` cells, of each
    some rows.
    """
    cells, samples = 0, []
    for name, rows in sheets:
        taken: list[Row] = []
        for row in rows:
            taken.append(row)
            cells += len(row[1] or ())
            if cells >= _SAMPLE_CELLS and len(taken) >= _SAMPLE_ROWS:
                break
        samples.append(SheetSample(name, tuple(taken)))
    return tuple(samples)
