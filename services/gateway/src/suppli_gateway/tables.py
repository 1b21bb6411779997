"""The gateway's tables as queries see them; the migrations make them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()


def _at(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True))


connections = Table(
    "connections",
    metadata,
    Column("connection_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("provider", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("account_id", Text),
    Column("account_name", Text),
    Column("schedule", JSONB, nullable=False),
    Column("start_date", Date),
    _at("started_at"),
    Column("first_day", Date),
    Column("locations", JSONB, nullable=False),
    Column("way", JSONB, nullable=False),
    Column("reauth_reason", Text),
    _at("reauth_at"),
    _at("works_until"),
    _at("authorized_at"),
    _at("created_at"),
    _at("changed_at"),
    _at("disconnected_at"),
    Column("erase", Boolean, nullable=False),
    _at("deleted_at"),
)

connection_status = Table(
    "connection_status",
    metadata,
    Column("connection_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    _at("next_due_at"),
    Column("next_due_revision", BigInteger, nullable=False),
    Column("coverage", JSONB, nullable=False),
    _at("coverage_at"),
)

connection_errors = Table(
    "connection_errors",
    metadata,
    Column("connection_id", Uuid, primary_key=True),
    Column("cause", Text, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    _at("at"),
    Column("error_class", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("run_id", Uuid),
)

oauth_states = Table(
    "oauth_states",
    metadata,
    Column("state_hash", LargeBinary, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("session_hash", LargeBinary, nullable=False),
    Column("subject", Text, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("exchange_id", Uuid, nullable=False),
    Column("provider", Text, nullable=False),
    Column("environment", Text, nullable=False),
    _at("created_at"),
    _at("expires_at"),
    _at("used_at"),
    Column("outcome", Text),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    _at("requested_at"),
    _at("started_at"),
    _at("finished_at"),
    _at("next_attempt_at"),
    _at("updated_at"),
    Column("progress", JSONB),
    Column("counts", JSONB, nullable=False),
    Column("error", JSONB),
    Column("waits_for", Text),
    Column("republish", JSONB),
    Column("nothing_found", JSONB),
    Column("change", BigInteger, nullable=False),
)

sales_days = Table(
    "sales_days",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("location_id", Text, primary_key=True),
    Column("business_date", Date, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("statement", JSONB, nullable=False),
)

item_states = Table(
    "item_states",
    metadata,
    Column("item_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

products = Table(
    "products",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("product_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("sku", Text),
    Column("barcode", Text),
    Column("unit", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    _at("changed_at"),
)

locations = Table(
    "locations",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("location_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("timezone", Text),
    Column("restock_unknown", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    _at("changed_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("key_hash", LargeBinary, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    _at("created_at"),
    _at("locked_until"),
    Column("answer", LargeBinary),
)

service_keys = Table(
    "service_keys",
    metadata,
    Column("key_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    _at("created_at"),
    Column("created_by", Text, nullable=False),
    _at("expires_at"),
    _at("last_used_at"),
    _at("revoked_at"),
    Column("revoked_by", Text),
)

due = Table(
    "due",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    _at("due_at"),
    Column("failures", Integer, nullable=False),
)
