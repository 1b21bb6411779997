"""Which times of modification are fully imported: sorted, disjoint, half-open intervals of microseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[int, int]
"""from <= instant < to, in microseconds since 1970 UTC."""

Spans = tuple[Span, ...]
"""Sorted, disjoint, none empty, none touching another."""


def merge(spans: Iterable[Span]) -> Spans:
    """Return the same instants as sorted, disjoint spans."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def add(spans: Spans, span: Span) -> Spans:
    """Return `spans` with `span` covered too."""
    return merge((*spans, span))


def cut(spans: Spans, hole: Span) -> Spans:
    """Return `spans` without the instants of `hole`."""
    kept: list[Span] = []
    for start, end in spans:
        kept.append((start, min(end, hole[0])))
        kept.append((max(start, hole[1]), end))
    return merge(kept)


def missing(spans: Spans, wanted: Span) -> Spans:
    """Return what of `wanted` is not covered."""
    left: Spans = merge((wanted,))
    for span in spans:
        left = cut(left, span)
    return left


def widen(windows: Spans, *, overlap_us: int, step_us: int, floor_us: int) -> Spans:
    """Return `windows` with each left edge moved back by the overlap, and on to a whole step.

    The overlap reads again what a provider may have written late; the step makes edges that differ by
    little equal, so that locations share calls.

    Args:
        windows: what is missing.
        overlap_us: how far each left edge goes back at least.
        step_us: left edges fall on multiples of this.
        floor_us: nothing before this instant is wanted.
    """
    widened = [
        (min(start, max(floor_us, (start - overlap_us) // step_us * step_us)), end) for start, end in windows
    ]
    return merge(widened)


def page_edge(instants: Sequence[int], following: Sequence[int] | None) -> int | None:
    """Return up to which instant (exclusive) a page proves that everything was read; None = nothing yet.

    A page proves what lies before its last order: further orders of that same instant may follow. An order
    that changed while the page was made may carry a stamp ahead of its place, so the last one counts only as
    far as the following page does not go below it; without that page, the last order proves nothing.

    Args:
        instants: modification instants of the page's orders, in the page's sequence.
        following: those of the next page; None = it could not be read.
    """
    if not instants:
        return None
    if following is None:
        return min(instants[-2:]) if len(instants) > 1 else None
    return min((instants[-1], *following))
