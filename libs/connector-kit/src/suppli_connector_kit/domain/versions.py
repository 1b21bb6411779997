"""How two sightings of one order compare: (source_version, observed), the greater wins."""

from __future__ import annotations

_PAGE_BITS = 24
MAX_PAGES = 1 << _PAGE_BITS


def observed(fence: int, page: int) -> int:
    """Return the second half of a sale's version.

    A fenced-out holder has the lower fence and loses every tie; within one fence later pages win.

    Args:
        fence: the lease's number, growing with every claim.
        page: sequence of the page within that fence.

    Raises:
        OverflowError: more pages than one lease can count.
    """
    if not 0 <= page < MAX_PAGES:
        raise OverflowError("a lease counts at most 2^24 pages")
    return fence << _PAGE_BITS | page


def is_stale(source_version: int, known_version: int) -> bool:
    """Return whether a sighting is older than what was recorded: nobody would take it."""
    return source_version < known_version
