"""What another team would lose: an undocumented topic, an example that lies, an unreadable release."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import msgspec
import pytest
from suppli_contracts import codec
from suppli_contracts.envelope import Envelope
from suppli_contracts.errors import BadEnvelope, BadEvent, UnknownEvent
from suppli_contracts.events import ALL, Event, ProductSaleRecorded, RunSync, SaleRecorded
from suppli_contracts.events.sales import Disposition
from suppli_contracts.events.sync import MOST_REPUBLISHED, Republish
from suppli_contracts.schemas import name_of, schema_of
from suppli_contracts.topics import registry

HERE = Path(__file__).resolve().parents[2]
RELEASES = sorted((HERE / "released").iterdir())
TOPICS = registry(("examplepos",))
EXAMPLES = sorted((HERE / "examples").glob("*/*.json"))


def example(path: Path) -> tuple[dict[str, str], bytes, dict[str, Any]]:
    document = json.loads(path.read_text())
    return document["headers"], json.dumps(document["value"]).encode(), document


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_example_is_read_back_under_the_key_it_shows(path: Path) -> None:
    headers, body, document = example(path)
    envelope, event = codec.decode(headers, body)
    assert name_of(type(event)) == path.parent.name
    assert event.topic_key() == document["key"]
    assert envelope.tenant == event.tenant_id
    assert json.loads(msgspec.json.encode(event)) == document["value"]


@pytest.mark.parametrize("event", ALL, ids=name_of)
def test_every_event_has_an_example_and_a_topic(event: type[Event]) -> None:
    assert list((HERE / "examples" / name_of(event)).glob("*.json"))
    assert [topic.name for topic in TOPICS.values() if event in topic.events]


def test_every_schema_and_example_folder_belongs_to_an_event() -> None:
    names = {name_of(event) for event in ALL}
    assert {path.stem for path in (HERE / "schemas").glob("*.json")} == names
    assert {path.name for path in (HERE / "examples").iterdir()} == names


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_every_released_schema_accepts_what_is_written_today(release: Path, path: Path) -> None:
    schema_path = release / "schemas" / f"{path.parent.name}.json"
    if not schema_path.exists():
        assert path.parent.name not in {p.stem for p in (release / "schemas").iterdir()}
        return
    jsonschema.validate(json.loads(path.read_text())["value"], json.loads(schema_path.read_text()))


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_todays_readers_take_every_released_example(release: Path) -> None:
    released = sorted((release / "examples").glob("*/*.json"))
    assert released
    for path in released:
        headers, body, _ = example(path)
        codec.decode(headers, body)


def test_a_schema_refuses_what_its_event_may_not_be() -> None:
    """A schema that accepts everything would make the compatibility checks above worthless."""
    schema = schema_of(SaleRecorded)
    document = json.loads(next((HERE / "examples" / "SaleRecorded.v1").glob("*.json")).read_text())["value"]
    del document["order_id"]
    with pytest.raises(jsonschema.ValidationError, match="order_id"):
        jsonschema.validate(document, schema)


def test_unknown_fields_and_values_of_a_later_version_are_read_as_unknown() -> None:
    document = json.loads(next((HERE / "examples" / "SaleRecorded.v1").glob("*.json")).read_text())["value"]
    document["invented_later"] = {"x": 1}
    document["lines"][0]["disposition"] = "donated"
    sale = codec.decode_as(SaleRecorded, json.dumps(document).encode())
    assert sale.lines[0].disposition is Disposition.UNKNOWN
    assert sale.lines[1].disposition is Disposition.RETURNED


def test_a_bad_body_says_where() -> None:
    document = json.loads(next((HERE / "examples" / "SaleRecorded.v1").glob("*.json")).read_text())["value"]
    document["lines"][1]["gross"] = "a lot"
    with pytest.raises(BadEvent) as caught:
        codec.decode_as(SaleRecorded, json.dumps(document).encode())
    assert caught.value.field == "$.lines[1].gross"
    with pytest.raises(BadEvent, match="no body"):
        codec.decode_as(SaleRecorded, None)
    with pytest.raises(BadEvent):
        codec.decode_as(SaleRecorded, b"\xff\xfe")


def test_an_instant_without_zone_is_refused_because_nobody_could_say_when_it_was() -> None:
    document = json.loads(next((HERE / "examples" / "RunSync.v1").glob("*.json")).read_text())["value"]
    document["requested_at"] = "2026-03-08T07:04:11"
    with pytest.raises(BadEvent) as caught:
        codec.decode_as(RunSync, json.dumps(document).encode())
    assert caught.value.field == "$.requested_at"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("ce_id", ""),
        ("ce_specversion", "0.3"),
        ("ce_time", "yesterday"),
        ("ce_time", "2026-01-01T00:00:00"),
        ("ce_tenant", "acme"),
        ("content-type", "application/cloudevents+json"),
    ],
)
def test_a_bad_header_is_named(header: str, value: str) -> None:
    headers, body, _ = example(EXAMPLES[0])
    with pytest.raises(BadEnvelope) as caught:
        codec.decode({**headers, header: value}, body)
    assert caught.value.header == header


def test_an_event_type_of_a_later_version_is_told_apart_from_a_broken_message() -> None:
    headers, body, _ = example(EXAMPLES[0])
    with pytest.raises(UnknownEvent, match="Invented"):
        codec.decode({**headers, "ce_type": "suppli.Invented.v7"}, body)


def test_a_republish_that_names_nothing_readable_says_what_is_wrong() -> None:
    """Else a run would succeed and have said nothing, or break off in the middle."""
    early, late = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC)
    for good in (
        Republish(from_at=early),
        Republish(to_at=late),
        Republish(from_at=early, to_at=late, order_ids=("A",)),
        Republish(order_ids=("A",) * MOST_REPUBLISHED),
    ):
        assert good.problem() is None
    assert "neither" in (Republish().problem() or "")
    assert "ends before" in (Republish(from_at=late, to_at=early).problem() or "")
    assert "1001 orders" in (Republish(order_ids=("A",) * (MOST_REPUBLISHED + 1)).problem() or "")
    assert "characters" in (Republish(order_ids=("A", "")).problem() or "")


def test_derived_ids_never_change_between_releases() -> None:
    """Consumers dedupe by these ids: a change would count every sale twice."""
    assert codec.stable_id("sale", "a", 1) == UUID("0483b89a-3013-5c0c-91a0-d003c14f4182")
    assert codec.stable_id("a", "bc") != codec.stable_id("ab", "c")


def test_headers_survive_the_way_through_kafka() -> None:
    envelope = Envelope(
        id="1",
        source="suppli/x",
        type="t",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        tenant=UUID(int=7),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    assert Envelope.from_headers({name: value.decode() for name, value in envelope.headers()}) == envelope


def test_sales_topics_and_dead_letters_are_laid_out_as_promised() -> None:
    assert TOPICS["suppli.sales.raw.v1"].partitions == 12
    assert TOPICS["suppli.connections.v1"].retention_days is None
    assert TOPICS["suppli.sales.products.v1"].events == (ProductSaleRecorded,)
    for topic in TOPICS.values():
        for consumer in topic.consumers:
            assert consumer.group.startswith(f"{consumer.service}.")
            assert topic.dead_letter(consumer.group) == f"{topic.name}.{consumer.group}.dlq"
        assert set(topic.yields_to) <= {consumer.group for consumer in topic.consumers}
