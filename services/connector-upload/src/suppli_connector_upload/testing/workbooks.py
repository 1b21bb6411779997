"""Makes workbooks for tests: as Excel writes them, and as nobody should."""

from __future__ import annotations

import zipfile
from pathlib import Path

SPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
KEYS = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
STYLES = (
    f'<styleSheet {SPACE}><numFmts count="1"><numFmt numFmtId="164" formatCode="m/d/yy\\ h:mm;@"/></numFmts>'
    '<cellStyleXfs><xf numFmtId="22"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/>'
    '<xf numFmtId="14"/><xf numFmtId="20"/></cellXfs></styleSheet>'
)


def sheet(rows: str) -> str:
    """Return a sheet of these rows."""
    return f"<worksheet {SPACE}><sheetData>{rows}</sheetData></worksheet>"


def parts(
    *sheets: str, texts: tuple[str, ...] = (), workbook: str = "", styles: str = STYLES
) -> dict[str, str]:
    """Return the parts of a workbook with sheets `Sheet1`, `Sheet2` and so on."""
    named = "".join(
        f'<sheet name="Sheet{n}" sheetId="{n}" r:id="rId{n}"/>' for n in range(1, len(sheets) + 1)
    )
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
    targets = "".join(
        f'<Relationship Id="rId{n}" Type="{kind}" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    found = {
        "xl/workbook.xml": f"<workbook {SPACE} {KEYS}>{workbook}<sheets>{named}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f"<Relationships>{targets}</Relationships>",
        "xl/styles.xml": styles,
        "xl/sharedStrings.xml": f"<sst {SPACE}>{''.join(texts)}</sst>",
    }
    return found | {f"xl/worksheets/sheet{n}.xml": content for n, content in enumerate(sheets, start=1)}


def written(path: Path, content: dict[str, str] | dict[str, bytes]) -> Path:
    """Write the parts of a package."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in content.items():
            package.writestr(name, part)
    return path
