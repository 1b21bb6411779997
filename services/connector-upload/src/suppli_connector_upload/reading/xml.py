"""XML in a stream, from somebody whom we do not know: parts are read once, in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO
from xml.parsers import expat

from suppli_connector_upload.domain.files import FileRefused
from suppli_connector_upload.reading.limits import MIB

_CHUNK = 1 << 16
_LONGEST_TOKEN = 4 * MIB
_DEEPEST = 64
Start = Callable[[str, dict[str, str]], None]
Text = Callable[[str], None]


def local(name: str) -> str:
    """Return an element's or attribute's name without the prefix of its name space."""
    return name.rpartition(":")[2] if ":" in name else name


def walk(stream: IO[bytes], start: Start, text: Text, end: Text) -> Iterator[None]:
    """Read XML and call back; yields after each chunk, so that what was gathered can be taken.

    Entities of the document's own, which could burst, need a document type: XML with one is refused.

    Raises:
        FileRefused: it is no XML, has a document type, or something in it has no end.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = fed = 0

    def enter(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise FileRefused("damaged", "The workbook's XML is nested deeper than Excel nests it.")
        start(name, attributes)

    def leave(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    parser.StartElementHandler = enter
    parser.EndElementHandler = leave
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        while chunk := stream.read(_CHUNK):
            parser.Parse(chunk, False)
            fed += len(chunk)
            if fed - parser.CurrentByteIndex > _LONGEST_TOKEN:
                raise FileRefused("damaged", "Something in the workbook's XML has no end.")
            yield
        parser.Parse(b"", True)
        yield
    except expat.ExpatError as error:
        raise FileRefused(
            "damaged", "The workbook's XML is damaged: open it in Excel and save it again."
        ) from error


def _refuse(*_: object) -> None:
    raise FileRefused("damaged", "The workbook's XML has a document type, which Excel never writes.")
