"""Small files as people attach them, made without any library: PDF, PNG, XLSX and CSV."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape

Row = Sequence[str | int | float]
Colour = tuple[int, int, int]

_GOODS = {
    "en": (
        "Notebook A5, dotted",
        "Notebook A6, plain",
        "Gift paper Meadow, roll",
        "Gift paper Cranes, roll",
        "Envelopes C5, lined, 25",
        "Envelopes C6, grey, 50",
        "Ribbon, red, 50 m",
        "Paper flags, 20",
        "Drawing pad A3",
    ),
    "ru": (
        "Блокнот А5 в точку",
        "Блокнот А6 без линовки",
        "Бумага «Луг», рулон",
        "Бумага «Журавли», рулон",
        "Конверты С5, 25 шт.",
        "Конверты С6, серые, 50 шт.",
        "Лента красная, 50 м",
        "Альбом для рисования А3",
    ),
}
_HEADS = {
    "en": ("Item", "Pieces", "Price", "Sum"),
    "ru": ("Товар", "Кол-во", "Цена", "Сумма"),
}
_PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((253, 240, 213), (244, 162, 97), (42, 157, 143), (38, 110, 100), (38, 70, 83)),
    ((226, 240, 250), (255, 209, 102), (131, 180, 140), (88, 140, 110), (50, 90, 90)),
    ((255, 228, 214), (231, 111, 81), (200, 150, 160), (150, 110, 140), (90, 75, 110)),
)


@dataclass(frozen=True)
class File:
    """An attachment; ``content_type`` is a pair such as ("application", "pdf")."""

    name: str
    content_type: tuple[str, str]
    content: bytes


def make(kind: str, name: str, seed: int, language: str) -> File:
    """``kind`` is pdf, png, xlsx or csv. The same arguments make the same bytes."""
    rows = _table(seed, language)
    if kind == "pdf":
        return File(
            name, ("application", "pdf"), pdf(name.removesuffix(".pdf"), _table(seed, "en"))
        )
    if kind == "png":
        return File(name, ("image", "png"), picture(480, 300, seed))
    if kind == "xlsx":
        sheet = "vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        return File(name, ("application", sheet), xlsx(rows))
    if kind == "csv":
        return File(name, ("text", "csv"), csv(rows))
    raise ValueError(kind)


def _table(seed: int, language: str) -> list[Row]:
    chance = random.Random(seed)  # noqa: S311 - a story, not a secret
    goods = chance.sample(_GOODS[language], chance.randint(4, 7))
    rows: list[Row] = [_HEADS[language]]
    for item in goods:
        pieces, price = chance.randint(2, 60), chance.randint(12, 180) / 10
        rows.append((item, pieces, price, round(pieces * price, 2)))
    return rows


def csv(rows: Sequence[Row]) -> bytes:
    """With semicolons and a mark of UTF-8, as spreadsheets write it here."""
    lines = (";".join(str(cell) for cell in row) for row in rows)
    return ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()


# ---- PDF ---------------------------------------------------------------------------------------


def pdf(title: str, rows: Sequence[Row]) -> bytes:
    """One page of A4 with a title and a table (ISO 32000-1, 7.5)."""
    latin = title.encode("latin-1", "replace").decode("latin-1")
    drawn = [_text_at(60, 770, 20, "The Paper Firm"), _text_at(60, 735, 13, latin)]
    drawn.append("0.6 w 60 722 m 535 722 l S")
    for number, row in enumerate(rows):
        height = 695 - 20 * number
        for place, cell in zip((60, 330, 400, 480), row, strict=True):
            shown = f"{cell:.2f}" if isinstance(cell, float) else str(cell)
            drawn.append(_text_at(place, height, 11, shown))
    total = sum(cell for row in rows for cell in row[-1:] if isinstance(cell, float))
    drawn.append(_text_at(400, 685 - 20 * len(rows), 12, f"Total   {total:.2f}"))
    return _pdf_file("\n".join(drawn).encode("latin-1", "replace"))


def _text_at(x: int, y: int, size: int, text: str) -> str:
    safe = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /F1 {size} Tf {x} {y} Td ({safe}) Tj ET"


def _pdf_file(page: bytes) -> bytes:
    sheet = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>"
    )
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        sheet,
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(page), page),
        font,
    )
    made = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    start, count = len(made), len(objects) + 1
    made += b"xref\n0 %d\n0000000000 65535 f \n" % count
    for place in places:
        made += b"%010d 00000 n \n" % place
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start)
    return bytes(made)


# ---- PNG ---------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def picture(width: int, height: int, seed: int) -> bytes:
    """A sun over hills that look cut from paper."""
    chance = random.Random(seed)  # noqa: S311 - a story, not a secret
    sky, sun, *hills = _PALETTES[seed % len(_PALETTES)]
    radius = height // 6
    middle = chance.randint(width // 4, width * 3 // 4), height // 3
    # The sky with the sun, row by row; then the hills, back to front.
    rows = [bytearray(bytes(sky) * width) for _ in range(height)]
    for y in range(middle[1] - radius, middle[1] + radius):
        half = int((radius**2 - (y - middle[1]) ** 2) ** 0.5)
        rows[y][3 * (middle[0] - half) : 3 * (middle[0] + half)] = bytes(sun) * (2 * half)
    for number, hill in enumerate(hills):
        ridge = _ridge(width, height * (5 + number * 2) // 10, height // 9, chance)
        for x, top in enumerate(ridge):
            for y in range(top, height):
                rows[y][3 * x : 3 * x + 3] = bytes(hill)
    return _png(width, height, rows)


def _ridge(width: int, base: int, swing: int, chance: random.Random) -> list[int]:
    """A soft line through random heights, without ``math.sin``, which differs between machines."""
    step = width // 5
    points = [base + chance.randint(-swing, swing) for _ in range(width // step + 3)]
    line = []
    for x in range(width):
        index, rest = divmod(x, step)
        share = rest * rest * (3 * step - 2 * rest)  # smoothstep, in whole numbers
        line.append(points[index] + (points[index + 1] - points[index]) * share // step**3)
    return line


def _png(width: int, height: int, rows: Sequence[bytes | bytearray]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


# ---- XLSX --------------------------------------------------------------------------------------

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FILES = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="1" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    "</Relationships>",
}


def xlsx(rows: Sequence[Row]) -> bytes:
    """A workbook with one sheet (ECMA-376, part 1)."""
    sheet = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    files = _FILES | {
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>{sheet}</sheetData>'
        "</worksheet>"
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as book:
        for name, text in files.items():
            about = zipfile.ZipInfo(name)  # dated 1980: the same bytes every time
            about.compress_type = zipfile.ZIP_DEFLATED
            book.writestr(about, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + text)
    return made.getvalue()


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f"<c><v>{value}</v></c>"
