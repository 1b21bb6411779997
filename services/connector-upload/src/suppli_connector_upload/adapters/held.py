"""Which orders a till holds from its files, and which file says each: one row an order.

What there is one of for each order goes to the database as JSON, as in the kit: psycopg adapts lists value by
value in Python.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_connector_kit.adapters.hold import Hold
from suppli_connector_kit.domain.decisions import Changed, Known, Recorded
from suppli_connector_kit.engine.ports import Report, RunCancelled
from suppli_contracts.events.sales import Disposition, OrderState
from suppli_contracts.uploads import HeldTotals
from suppli_service_kit.database import Database

from suppli_connector_upload.domain.covering import Days
from suppli_connector_upload.domain.outcomes import RowError
from suppli_connector_upload.domain.records import Counts

COUNTED = frozenset({Disposition.SOLD, Disposition.COMPED, Disposition.RETURNED})

_NAMED = "order_id = any(array(select json_array_elements_text(cast(:orders as json))))"
_KNOWN = sa.text(f"""
    select order_id, content_hash, source_version from held_orders
    where connection_id = :connection and {_NAMED}
""")
_HOLD = sa.text("""
    insert into held_orders (connection_id, tenant_id, upload_id, order_id, content_hash, source_version,
        location_id, currency, business_date, lines, quantity, net, gone)
    select :connection, :tenant, :upload, order_id, content_hash, source_version, location_id, currency,
        business_date, lines, quantity, net, gone
    from json_to_recordset(cast(:orders as json))
        as t (order_id text, content_hash text, source_version bigint, location_id text, currency text,
            business_date date, lines int, quantity numeric, net bigint, gone boolean)
    on conflict (connection_id, order_id) do update
    set upload_id = excluded.upload_id, content_hash = excluded.content_hash,
        source_version = excluded.source_version, location_id = excluded.location_id,
        currency = excluded.currency, business_date = excluded.business_date, lines = excluded.lines,
        quantity = excluded.quantity, net = excluded.net, gone = excluded.gone
    where held_orders.source_version <= excluded.source_version
""")
_OWN = sa.text(f"""
    update held_orders set upload_id = :upload
    where connection_id = :connection and {_NAMED} and upload_id <> :upload
""")
_OWNED = sa.text(f"""
    select order_id from held_orders where connection_id = :connection and {_NAMED} and upload_id = :owner
""")
_COLUMNS = "order_id, location_id, currency, content_hash, source_version, business_date"
_OTHERS = sa.text(f"""
    select {_COLUMNS} from held_orders
    where connection_id = :connection and business_date between :first and :last and upload_id <> :upload
    and not gone and order_id > :after order by order_id limit :most
""")
_OF = sa.text(f"""
    select {_COLUMNS} from held_orders
    where connection_id = :connection and business_date between :first and :last and upload_id = :owner
    and order_id > :after order by order_id limit :most
""")
_BY_DAY = sa.text("""
    select business_date, count(*) as orders, sum(quantity) as quantity, sum(net) as net from held_orders
    where connection_id = :connection and business_date between :first and :last and not gone
    group by business_date
""")
_ERRORS = sa.text("""
    insert into upload_errors (upload_id, tenant_id, number, line, column_name, value, reason)
    select :upload, :tenant, number, line, column_name, value, reason
    from json_to_recordset(cast(:errors as json))
        as t (number int, line bigint, column_name text, value text, reason text)
    on conflict do nothing
""")
_READ_ERRORS = sa.text("""
    select number, line, column_name, value, reason from upload_errors
    where upload_id = :upload and number > :after order by number limit :most
""")
IN_FLIGHT = 2_000
"""Orders that may be published and not recorded when a run breaks off: a page on its way, one behind it."""
_PROGRESS = sa.text(f"""
    update uploads set sales_done = coalesce(:done, sales_done), counts = :counts,
        reach = greatest(reach, coalesce(:done, 0) + {IN_FLIGHT})
    where upload_id = :upload
""")
# What it stands at is not known: whatever is said of it next differs, and is said.
_CLAIM = sa.text("""
    insert into held_orders (connection_id, tenant_id, upload_id, order_id, content_hash, source_version,
        location_id, currency, business_date, lines, quantity, net)
    select :connection, :tenant, :upload, order_id, '', source_version, location_id, currency, business_date,
        0, 0, 0
    from json_to_recordset(cast(:orders as json))
        as t (order_id text, source_version bigint, location_id text, currency text, business_date date)
    on conflict (connection_id, order_id) do update set upload_id = excluded.upload_id, content_hash = ''
    where held_orders.source_version < excluded.source_version
""")


class HeldOrder(msgspec.Struct, frozen=True, gc=False):
    """An order as it is held: enough to end it at zero."""

    recorded: Recorded
    business_date: date

    def ended(self, version_us: int) -> Changed | None:
        """Return the order without lines and money, as said by the action of that version; None where it is
        said already.
        """
        gone = self.recorded.gone()
        return None if gone is None else replace(gone, source_version=version_us)


class Claim(msgspec.Struct, frozen=True, gc=False):
    """An order that a broken-off import may have said, with the version that it would have."""

    order_id: str
    source_version: int
    location_id: str
    currency: str
    business_date: date


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """What is recorded in one transaction.

    Attributes:
        changed: what was published, each of a business date in `dates`.
        kept: orders that the file says as they were said before: now it is this file that says them.
        errors: by number, which is the same whenever the file is read again.
        done: how many of the file's sales are recorded by now; None = it has not moved on.
    """

    changed: Sequence[Changed] = ()
    kept: Collection[str] = ()
    dates: Mapping[str, date] = field(default_factory=dict)
    errors: Mapping[int, RowError] = field(default_factory=dict)
    done: int | None = None


class HeldBooks:
    """Reads and writes what a till holds, under the lease of one run, for one action of one file."""

    def __init__(
        self, database: Database, hold: Hold, *, connection_id: UUID, tenant_id: UUID, upload_id: UUID
    ) -> None:
        """Prepare; `upload_id` is the file that says what is recorded."""
        self._database, self._hold, self._tenant = database, hold, tenant_id
        self._ids: dict[str, Any] = {
            "connection": connection_id,
            "tenant": tenant_id,
            "upload": upload_id,
        }

    async def known(self, order_ids: Sequence[str]) -> Mapping[str, Known]:
        """Return what was recorded of these orders."""
        rows = await self._read(_KNOWN, orders=_json(order_ids))
        return {row.order_id: Known(row.content_hash, row.source_version) for row in rows}

    async def owned(self, order_ids: Sequence[str], owner: UUID) -> set[str]:
        """Return those of these orders that the file `owner` says."""
        rows = await self._read(_OWNED, orders=_json(order_ids), owner=owner)
        return {row.order_id for row in rows}

    async def others(self, days: Days, after: str, most: int) -> list[HeldOrder]:
        """Return orders of these days that other files say and that are not ended, by id."""
        rows = await self._read(_OTHERS, first=days.first, last=days.last, after=after, most=most)
        return [_held(row) for row in rows]

    async def of(self, owner: UUID, days: Days, after: str, most: int) -> list[HeldOrder]:
        """Return orders of these days that the file `owner` says, also ended ones, by id."""
        rows = await self._read(_OF, owner=owner, first=days.first, last=days.last, after=after, most=most)
        return [_held(row) for row in rows]

    async def record(
        self, entry: HeldEntry, report: Report, counts: Counts, *, upload_id: UUID, owner: UUID | None = None
    ) -> None:
        """Record what was published, and how far the action on `upload_id` is.

        Args:
            owner: the file that says these orders from now on; by default the books' own.

        Raises:
            LeaseLost: nothing is recorded.
            RunCancelled: it is recorded, and the run is to stop.
        """
        ids = self._ids if owner is None else self._ids | {"upload": owner}
        async with self._hold.fenced() as connection:
            if entry.changed:
                await connection.execute(_HOLD, ids | {"orders": _rows(entry)})
            if entry.kept:
                await connection.execute(_OWN, ids | {"orders": _json(list(entry.kept))})
            if entry.errors:
                await connection.execute(_ERRORS, ids | {"errors": _errors(entry)})
            await self._progress(connection, upload_id, entry.done, counts)
            cancelled = await self._hold.advance(connection, report)
        if cancelled:
            raise RunCancelled

    async def claim(self, orders: Sequence[Claim]) -> None:
        """Record that the file may have said these orders, without anybody knowing; raises `LeaseLost`."""
        async with self._hold.fenced() as connection:
            await connection.execute(_CLAIM, self._ids | {"orders": _json(orders)})

    async def _progress(
        self, connection: AsyncConnection, upload_id: UUID, done: int | None, counts: Counts
    ) -> None:
        values = {"upload": upload_id, "done": done, "counts": msgspec.json.encode(counts)}
        await connection.execute(_PROGRESS, values)

    async def _read(self, statement: sa.TextClause, **values: Any) -> Sequence[sa.Row[Any]]:
        async with self._database.transaction([self._tenant]) as connection:
            return (await connection.execute(statement, self._ids | values)).all()


async def held_by_day(
    database: Database, tenant_id: UUID, connection_id: UUID, days: Days
) -> dict[date, HeldTotals]:
    """Return what a till holds of business dates."""
    async with database.transaction([tenant_id]) as connection:
        asked = {"connection": connection_id, "first": days.first, "last": days.last}
        rows = (await connection.execute(_BY_DAY, asked)).all()
    return {
        row.business_date: HeldTotals(
            orders=row.orders, quantity=str(Decimal(row.quantity).normalize()), net=int(row.net)
        )
        for row in rows
    }


async def read_errors(
    database: Database, tenant_id: UUID, upload_id: UUID, *, after: int, most: int
) -> Sequence[sa.Row[Any]]:
    """Return the row errors of an import behind the number `after`."""
    async with database.transaction([tenant_id]) as connection:
        asked = {"upload": upload_id, "after": after, "most": most}
        return (await connection.execute(_READ_ERRORS, asked)).all()


class _OrderRow(msgspec.Struct, frozen=True, gc=False):
    order_id: str
    content_hash: str
    source_version: int
    location_id: str
    currency: str
    business_date: date
    lines: int
    quantity: Decimal
    net: int
    gone: bool


def _rows(entry: HeldEntry) -> str:
    rows = {}
    for change in entry.changed:  # an order twice in a statement could not be upserted
        sale = change.sale
        quantity, net = Decimal(0), 0
        for line in sale.lines:
            if line.disposition in COUNTED:
                quantity += Decimal(line.quantity)
                net += line.net
        rows[sale.order_id] = _OrderRow(
            sale.order_id,
            change.content_hash,
            change.source_version,
            sale.location_id,
            sale.currency,
            entry.dates[sale.order_id],
            len(sale.lines),
            quantity,
            net,
            sale.state is OrderState.DELETED,
        )
    return _json(list(rows.values()))


def _errors(entry: HeldEntry) -> str:
    return _json(
        [
            {
                "number": number,
                "line": error.line,
                "column_name": error.column or "",
                "value": error.value,
                "reason": error.reason,
            }
            for number, error in entry.errors.items()
        ]
    )


def _held(row: sa.Row[Any]) -> HeldOrder:
    recorded = Recorded(row.order_id, row.location_id, row.currency, row.content_hash, row.source_version)
    return HeldOrder(recorded, row.business_date)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
