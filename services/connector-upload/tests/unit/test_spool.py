"""What a shop would lose: rows that wait for their day."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suppli_connector_upload.reading import DiskSpool, spool


@given(records=st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=40)), max_size=80))
def test_records_come_back_by_key_in_their_sequence(records: list[tuple[int, bytes]]) -> None:
    """Also those that went to disk in many chunks, and those that have not gone yet."""
    with pytest.MonkeyPatch.context() as patch, DiskSpool() as kept:
        patch.setattr(spool, "_HELD_BYTES", 100)
        for key, record in records:
            kept.add(key, record)
        for key in range(5):
            mine = [record for of, record in records if of == key]
            assert list(kept.records(key)) == mine == list(kept.records(key))
            assert kept.count(key) == len(mine)
        assert kept.known() == sorted({key for key, _ in records})


def test_what_is_put_aside_leaves_no_file_behind(tmp_path: Path) -> None:
    with DiskSpool(tmp_path) as kept:
        for number in range(100_000):
            kept.add(number % 7, b"a record of some bytes, number %d" % number)
        assert list(tmp_path.iterdir()) == []
        assert sum(1 for _ in kept.records(3)) == kept.count(3)
    with pytest.raises(ValueError, match="closed"):
        list(kept.records(3))
