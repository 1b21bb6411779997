"""Generated parts of files that people write: between `# generated: name` and `# /generated`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

_BEGIN, _END = "# generated: ", "# /generated"


def with_parts(path: Path, parts: Mapping[str, Sequence[str]]) -> str:
    """Return a file's text with its generated parts as they must be; what is around them stays.

    Args:
        parts: the lines of each part by its name, which get the indent of the part's first mark. A part may
            occur several times.

    Raises:
        ValueError: a part is nowhere, has no end, or has a name that is not in `parts`.
    """
    lines: list[str] = []
    rest = iter(path.read_text().split("\n"))
    left = set(parts)
    for line in rest:
        lines.append(line)
        indent, mark, name = line.partition(_BEGIN)
        if not mark or indent.strip():
            continue
        if name not in parts:
            raise ValueError(f"{path.name}: nothing is known of a generated part {name!r}")
        left.discard(name)
        lines += [f"{indent}{each}" if each else "" for each in parts[name]]
        end = next((each for each in rest if each.strip() == _END), None)
        if end is None:
            raise ValueError(f"{path.name}: the generated part {name!r} has no end")
        lines.append(end)
    if left:
        raise ValueError(f"{path.name}: the generated parts {sorted(left)} are nowhere")
    return "\n".join(lines)
