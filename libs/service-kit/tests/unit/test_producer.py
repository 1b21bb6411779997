"""Where messages go and in which batches; no broker is needed."""

from collections import defaultdict

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import _batches, partition_of


class _Client:
    """Gives out small batches of its own; everything else of a producer is not asked for."""

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(3))

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(600, 0)


@pytest.mark.parametrize(
    ("key", "of_12", "of_6"),
    [
        (b"", 0, 0),
        (b"123456789", 0xCBF43926 % 12, 0xCBF43926 % 6),  # the published check value of CRC-32
        (b"018f3a5e-7c1d-7e55-9d5c-2f6a6a3d9b10:p1", 5, 5),
    ],
)
def test_a_key_stays_on_its_partition_in_every_release(key: bytes, of_12: int, of_6: int) -> None:
    """Otherwise an update would split a key over two partitions, and readers see its events out of order."""
    assert (partition_of(key, 12), partition_of(key, 6)) == (of_12, of_6)


def test_messages_without_a_key_go_anywhere() -> None:
    """Otherwise one partition would take all dead letters that have no key."""
    assert {partition_of(None, 3) for _ in range(200)} == {0, 1, 2}


async def test_full_batches_are_followed_by_others_with_nothing_lost_or_moved() -> None:
    """Otherwise a page larger than a batch would lose messages, or overtake itself within a key."""
    sent = [
        OutMessage(
            "t",
            b"k%d" % (number % 5),
            b"%d" % number + b"x" * (2_000 if number == 17 else 100),
            (("h", b"v"),),
        )
        for number in range(60)
    ]
    read: defaultdict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    waves = await _batches(_Client(), sent)
    for wave in waves:
        for (topic, partition), batch in wave.items():
            assert topic == "t"
            assert batch.append(timestamp=1, key=b"late", value=b"") is None  # closed: nobody slips in
            records = MemoryRecords(bytes(batch._build()))
            while (part := records.next_batch()) is not None:
                for record in part:
                    assert record.headers == [("h", b"v")]
                    read[partition].append((record.key, record.value))
    wanted: defaultdict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    for each in sent:
        assert each.key is not None
        assert each.value is not None
        wanted[partition_of(each.key, 3)].append((each.key, each.value))
    assert len(waves) > 1
    assert read == wanted
