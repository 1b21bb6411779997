"""Ids that are unique within an order, although a provider's sometimes are not."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Ids:
    """Hands out each id once: one that a provider repeats (identical lines) gets `~2`, `~3` behind it."""

    taken: dict[str, int] = field(default_factory=dict)

    def take(self, uid: str | None, fallback: str) -> str:
        """Return `uid`, or `fallback` where there is none, in a form not taken before."""
        wanted = uid or fallback
        count = self.taken.get(wanted, 0) + 1
        self.taken[wanted] = count
        return wanted if count == 1 else self.take(f"{wanted}~{count}", fallback)
