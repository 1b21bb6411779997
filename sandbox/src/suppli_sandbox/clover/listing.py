"""Lists as Clover gives them: filters, order, paging, and the envelope with its effective address."""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from suppli_sandbox.clover.calls import Call
from suppli_sandbox.clover.errors import bad_request
from suppli_sandbox.clover.world import Merchant
from suppli_sandbox.serving import Reply
from suppli_sandbox.times import DAY

Json = dict[str, Any]

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
_DAY_MS = DAY // 1000
_FILTER = re.compile(r"\s*([A-Za-z.]+)\s*(>=|<=|!=|=|>|<)\s*(.*)", re.DOTALL)
_IN = re.compile(r"\s*([A-Za-z.]+)\s+in\s*\(\s*(.*?)\s*\)\s*", re.IGNORECASE | re.DOTALL)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition; `values` has several for `in`."""

    field: str
    sign: str
    values: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        """Whether a field's value passes; a missing value passes nothing but `!=`."""
        if value is None:
            return self.sign == "!="
        if self.sign == "in":
            return str(value) in self.values
        compare = _OPERATORS[self.sign]
        if isinstance(value, bool):
            return compare(str(value).lower(), self.values[0].lower())
        if isinstance(value, int):
            return compare(value, _number(self.field, self.values[0]))
        return compare(str(value), self.values[0])


def _number(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f"Invalid value for filter field {field}: {text}") from error


def read_filters(texts: Iterable[str], allowed: Sequence[str]) -> list[Filter]:
    """Read the `filter` parameters. Raises 400 for what is no condition or names a field not allowed."""
    filters = []
    for text in texts:
        match = _IN.fullmatch(text)
        if match:
            values = tuple(part.strip().strip("'\"") for part in match[2].split(","))
            found = Filter(match[1], "in", values)
        else:
            match = _FILTER.fullmatch(text)
            if match is None:
                raise bad_request(f"Invalid filter: {text}")
            found = Filter(match[1], match[2], (match[3].strip("'\""),))
        if found.field not in allowed:
            raise bad_request(f"Invalid filter field: {found.field}")
        filters.append(found)
    return filters


@dataclass(frozen=True, slots=True)
class Span:
    """The times of one field that a list covers, in milliseconds, both ends inclusive; None is open."""

    field: str
    low: int | None
    high: int | None


def span_of(filters: Sequence[Filter], field: str) -> Span:
    """Return what the conditions on a time say together."""
    low: int | None = None
    high: int | None = None
    for each in filters:
        if each.field != field or each.sign in ("in", "!="):
            continue
        value = _number(field, each.values[0])
        if each.sign in (">", ">=", "="):
            at = value + (each.sign == ">")
            low = at if low is None else max(low, at)
        if each.sign in ("<", "<=", "="):
            at = value - (each.sign == "<")
            high = at if high is None else min(high, at)
    return Span(field, low, high)


def clamped(span: Span, merchant: Merchant, now_ms: int) -> Span:
    """Return the most recent days of a span that is longer than Clover answers: nobody is told."""
    if not merchant.clamp_days or span.field not in merchant.clamped_fields:
        return span
    high = now_ms if span.high is None else min(span.high, now_ms)
    earliest = high - merchant.clamp_days * _DAY_MS
    return Span(span.field, max(earliest, span.low or 0), span.high)


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list is wanted."""

    limit: int
    offset: int

    def of(self, elements: Sequence[Any]) -> Sequence[Any]:
        """Return that part."""
        return elements[self.offset : self.offset + self.limit]


def read_paging(call: Call, merchant: Merchant) -> Paging:
    """Read limit and offset. Raises 400 for what is no number, or too large where that is refused."""
    limit = _whole(call, "limit", DEFAULT_LIMIT)
    if limit > MAX_LIMIT and merchant.over_limit == "refuse":
        raise bad_request(f"limit must not be greater than {MAX_LIMIT}")
    return Paging(min(limit, MAX_LIMIT), _whole(call, "offset", 0))


def _whole(call: Call, name: str, default: int) -> int:
    text = call.first(name)
    if text is None:
        return default
    if not text.isdigit():
        raise bad_request(f"{name} must be a whole number")
    return int(text)


def read_expand(call: Call, merchant: Merchant, known: frozenset[str]) -> frozenset[str]:
    """Read the expanded fields; unknown ones are passed over. Raises 400 where too many are refused."""
    names = [name.strip() for text in call.all("expand") for name in text.split(",") if name.strip()]
    if merchant.most_expands and len(names) > merchant.most_expands:
        raise bad_request(f"At most {merchant.most_expands} fields can be expanded")
    return frozenset(name for name in names if name in known)


def read_order(call: Call, fields: Sequence[str]) -> list[tuple[str, bool]]:
    """Read `orderBy` as (field, descending). Raises 400 for a field that cannot be ordered by."""
    keys = []
    for text in (part for value in call.all("orderBy") for part in value.split(",")):
        name, _, direction = text.strip().partition(" ")
        if name not in fields or direction.strip().upper() not in ("", "ASC", "DESC"):
            raise bad_request(f"Invalid orderBy: {text}")
        keys.append((name, direction.strip().upper() == "DESC"))
    return keys


def ordered(elements: list[Json], keys: Sequence[tuple[str, bool]]) -> list[Json]:
    """Return elements sorted by several fields; what lacks a field comes first."""
    for name, descending in reversed(keys):
        elements = _sorted(elements, name, descending=descending)
    return elements


def _sorted(elements: list[Json], name: str, *, descending: bool) -> list[Json]:
    return sorted(elements, key=lambda each: _key(each.get(name)), reverse=descending)


def _key(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def page(call: Call, elements: Iterable[bytes], paging: Paging, allowed: Sequence[str] = ()) -> Reply:
    """Return the envelope: elements, and the address with what was effective; nothing says if more follow."""
    parts = [f"filter={quote(text)}" for text in call.all("filter")]
    href = f"{call.url}?{'&'.join([*parts, f'limit={paging.limit}', f'offset={paging.offset}'])}"
    body = b'{"elements":[' + b",".join(elements) + b'],"href":' + msgspec.json.encode(href) + b"}"
    headers = {"X-Clover-Allowed-Filter-Fields": ", ".join(allowed)} if allowed else {}
    return Reply(body, headers=headers)
