"""Which products an unmapped item might be: by SKU, by barcode, by likeness of names."""

from __future__ import annotations

from collections.abc import Iterable

from rapidfuzz import fuzz, process, utils
from suppli_contracts.events.mapping import Suggestion

from suppli_mapping.domain.mappings import Product

MOST = 5
_LEAST_LIKENESS = 70.0


class Suggester:
    """A tenant's products, prepared for being asked about many items."""

    def __init__(self, products: Iterable[Product]) -> None:
        alive = [product for product in products if not product.deleted and product.replaced_by is None]
        self._products = {product.product_id: product for product in alive}
        self._by_sku = _grouped((product.sku, product.product_id) for product in alive)
        self._by_barcode = _grouped((product.barcode, product.product_id) for product in alive)
        self._names = {
            product.product_id: utils.default_process(product.name) for product in alive if product.name
        }

    def suggest(
        self,
        *,
        sku: str | None = None,
        barcode: str | None = None,
        name: str | None = None,
        variation_name: str | None = None,
    ) -> tuple[Suggestion, ...]:
        """Return at most five products, best first: equal SKU, equal barcode, then like names."""
        found: dict[str, Suggestion] = {}
        for by, value, index, score in (
            ("sku", sku, self._by_sku, 1.0),
            ("barcode", barcode, self._by_barcode, 0.99),
        ):
            for product_id in index.get(_folded(value), ()):
                found.setdefault(product_id, self._suggestion(product_id, score, by))
        for product_id, score in self._alike(name, variation_name):
            found.setdefault(product_id, self._suggestion(product_id, round(score / 100 * 0.98, 3), "name"))
        ranked = sorted(found.values(), key=lambda suggestion: (-suggestion.score, suggestion.product_id))
        return tuple(ranked[:MOST])

    def _alike(self, name: str | None, variation_name: str | None) -> list[tuple[str, float]]:
        best: dict[str, float] = {}
        full = " ".join(text for text in (name, variation_name) if text)
        for text in {utils.default_process(name or ""), utils.default_process(full)}:
            if not text:
                continue
            hits = process.extract(
                text, self._names, scorer=fuzz.token_sort_ratio, limit=MOST, score_cutoff=_LEAST_LIKENESS
            )
            for _, score, product_id in hits:
                best[product_id] = max(best.get(product_id, 0.0), score)
        return list(best.items())

    def _suggestion(self, product_id: str, score: float, by: str) -> Suggestion:
        return Suggestion(product_id=product_id, name=self._products[product_id].name, score=score, by=by)


def _grouped(pairs: Iterable[tuple[str | None, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for value, product_id in pairs:
        if key := _folded(value):
            groups.setdefault(key, []).append(product_id)
    return groups


def _folded(value: str | None) -> str:
    return (value or "").strip().casefold()
