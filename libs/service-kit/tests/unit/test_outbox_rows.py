"""What a row of the outbox holds."""

import msgspec
from suppli_service_kit import outbox
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.outbox import pack, unpack

MESSAGES = [
    OutMessage("topic", b"key", b"value" * 100, (("ce_id", b"\x00\xff"),)),
    OutMessage("topic", None, None),
]


def test_rows_give_back_the_same_messages() -> None:
    """A consumer drops repeats by id: what the relay sends again must be the same in every byte."""
    (row,) = pack(MESSAGES)
    assert (row.count, unpack(row.packed)) == (2, MESSAGES)
    assert len(row.packed) < row.size


def test_rows_of_before_packing_are_read() -> None:
    """A release may find rows that the one before wrote."""
    assert unpack(msgspec.msgpack.encode(MESSAGES)) == MESSAGES


def test_large_batches_become_several_rows() -> None:
    """A row is held in memory as a whole."""
    large = [OutMessage("topic", b"k", bytes(outbox.ROW_BYTES // 3)) for _ in range(7)]
    rows = pack(large)
    assert [row.count for row in rows] == [2, 2, 2, 1]
    assert max(row.size for row in rows) <= outbox.ROW_BYTES
    assert [each for row in rows for each in unpack(row.packed)] == large
    many = pack(MESSAGES * outbox.ROW_MESSAGES)
    assert [row.count for row in many] == [outbox.ROW_MESSAGES] * 2
    assert pack([]) == []
