"""The table of settings that a service's README shows, made from the settings themselves."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

HEADER = "| variable | type | default | meaning |\n| --- | --- | --- | --- |"


def settings_table(model: type[BaseSettings]) -> str:
    """Return a Markdown table of every variable that `model` reads: name, type, default, meaning."""
    return "\n".join([HEADER, *(f"| {' | '.join(row)} |" for row in _rows(model))])


def _rows(model: type[BaseSettings]) -> Iterator[tuple[str, str, str, str]]:
    prefix = str(model.model_config.get("env_prefix", ""))
    for name, field in model.model_fields.items():
        nested = _nested(field)
        if nested is not None:
            yield from _rows(nested)
            continue
        variable = _alias(field) or f"{prefix}{name}".upper()
        yield f"`{variable}`", _type(field.annotation), _default(field), field.description or ""


def _nested(field: FieldInfo) -> type[BaseSettings] | None:
    from pydantic_settings import BaseSettings

    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseSettings) else None


def _alias(field: FieldInfo) -> str | None:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return alias if isinstance(alias, str) else None


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    parts = [part for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) not in (None, list, dict, tuple, set, frozenset) and parts:
        return " or ".join(_type(part) for part in parts)
    return {"SecretStr": "secret", "Path": "path", "str": "text", "int": "integer", "float": "number"}.get(
        getattr(annotation, "__name__", ""), getattr(annotation, "__name__", str(annotation))
    )


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required" if field.default_factory is None else "computed"
    if field.default is None:
        return "none"
    return f"`{getattr(field.default, 'value', field.default)}`"
