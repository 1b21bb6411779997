"""The catalog of one merchant: top-level objects, their nested ones by id, and deletions kept as such."""

from collections.abc import Iterator
from typing import Any

from suppli_sandbox.times import format_us, parse_us

Json = dict[str, Any]

# Where an object type keeps its nested objects: (data key, list key).
_NESTED = {"ITEM": ("item_data", "variations"), "MODIFIER_LIST": ("modifier_list_data", "modifiers")}
# Where a nested object names the object that it belongs to: (data key, id key).
_HOME = {
    "ITEM_VARIATION": ("item_variation_data", "item_id"),
    "MODIFIER": ("modifier_data", "modifier_list_id"),
}


def nested_of(obj: Json) -> list[Json]:
    """Return the objects embedded in an object: variations of an item, modifiers of a list."""
    data_key, list_key = _NESTED.get(obj["type"], ("", ""))
    found: list[Json] = obj.get(data_key, {}).get(list_key, [])
    return found


class CatalogBook:
    """Catalog objects by id. A deleted object stays, marked, as incremental readers need it."""

    def __init__(self) -> None:
        self._top: dict[str, Json] = {}
        self._parent: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._top)

    def __iter__(self) -> Iterator[Json]:
        return iter(self._top.values())

    def put(self, obj: Json, now_us: int) -> Json:
        """Add or replace an object; it and what it embeds get version and `updated_at` of now.

        What an earlier state embedded and this one does not is deleted. A variation or modifier goes to the
        object that it names, whose own `updated_at` stays. Raises KeyError without type or id.
        """
        home = self._home(obj)
        if home is not None:
            return self._put_nested(home, obj, now_us)
        earlier = self._top.get(obj["id"])
        kept = {child["id"] for child in nested_of(obj)}
        for child in nested_of(earlier) if earlier else []:
            if child["id"] not in kept and self._parent.get(child["id"]) == obj["id"]:
                self._top[child["id"]] = _stamped({**child, "is_deleted": True}, now_us)
                del self._parent[child["id"]]
        for child in nested_of(obj):
            child.update(_stamped(child, now_us))
            self._parent[child["id"]] = obj["id"]
            self._top.pop(child["id"], None)
        self._top[obj["id"]] = _stamped(obj, now_us)
        return self._top[obj["id"]]

    def delete(self, object_id: str, now_us: int) -> bool:
        """Mark an object and what it embeds as deleted; False when it is not there."""
        obj = self.get(object_id)
        if obj is None:
            return False
        parent = self._parent.get(object_id)
        if parent is not None:
            return self._delete_nested(self._top[parent], object_id, now_us)
        for child in nested_of(obj):
            child.update(_stamped(child, now_us), is_deleted=True)
        self._top[object_id] = {**_stamped(obj, now_us), "is_deleted": True}
        return True

    def get(self, object_id: str) -> Json | None:
        """Return a top-level or nested object, also a deleted one."""
        top = self._top.get(object_id)
        if top is not None:
            return top
        parent = self._top.get(self._parent.get(object_id, ""))
        return next((o for o in nested_of(parent) if o["id"] == object_id), None) if parent else None

    def parent(self, object_id: str) -> Json | None:
        """Return the object that embeds this one."""
        return self._top.get(self._parent.get(object_id, ""))

    def select(
        self, types: frozenset[str], *, deleted: bool = False, after_us: int | None = None
    ) -> list[Json]:
        """Return objects of these types, by id; those deleted or older than `after_us` only on request."""
        nested = (child for obj in self._top.values() for child in nested_of(obj) if child["type"] in types)
        found = [*(obj for obj in self._top.values() if obj["type"] in types), *nested]
        kept = [
            obj
            for obj in found
            if (deleted or not obj["is_deleted"])
            and (after_us is None or parse_us(obj["updated_at"]) > after_us)
        ]
        return sorted(kept, key=lambda obj: str(obj["id"]))

    def _home(self, obj: Json) -> Json | None:
        data_key, id_key = _HOME.get(obj["type"], ("", ""))
        return self._top.get(obj.get(data_key, {}).get(id_key, ""))

    def _put_nested(self, parent: Json, obj: Json, now_us: int) -> Json:
        data_key, list_key = _NESTED[parent["type"]]
        child = _stamped(obj, now_us)
        rest = [other for other in nested_of(parent) if other["id"] != child["id"]]
        parent[data_key] = {**parent[data_key], list_key: [*rest, child]}
        self._parent[child["id"]] = parent["id"]
        self._top.pop(child["id"], None)
        return child

    def _delete_nested(self, parent: Json, object_id: str, now_us: int) -> bool:
        data_key, list_key = _NESTED[parent["type"]]
        rest = [child for child in nested_of(parent) if child["id"] != object_id]
        self.put({**parent, data_key: {**parent[data_key], list_key: rest}}, now_us)
        return True


def _stamped(obj: Json, now_us: int) -> Json:
    stamps = {"version": now_us // 1000, "updated_at": format_us(now_us // 1000 * 1000)}
    return {"is_deleted": False, "present_at_all_locations": True, **obj, **stamps}
