"""Bytes of a message as text, whatever is said about them."""

import re
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

import cchardet

_SAMPLE_BYTES: Final = 64 * 1024  # what a guess looks at
# One wrong byte in so many characters is damage; more of them is another charset.
_DAMAGE_RARE: Final = 50
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._:+-]{0,39}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_META: Final = re.compile(
    rb"""<meta\s[^>]{0,200}?charset\s*+=\s*+["']?+([A-Za-z0-9._:-]{1,40})""", re.I
)
_META_BYTES: Final = 4096

# What a message may ask for. Python knows more: some are slow by construction (punycode, idna),
# some are no charsets at all (unicode_escape, undefined).
_CODECS: Final = frozenset(
    """
    ascii big5 big5hkscs cp1125 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258
    cp437 cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857 cp858 cp860 cp861 cp862 cp863 cp864
    cp865 cp866 cp869 cp874 cp932 cp949 cp950 euc_jis_2004 euc_jisx0213 euc_jp euc_kr gb18030
    gb2312 gbk hz iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext
    iso2022_kr iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16 iso8859_2
    iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9 johab koi8_r koi8_t
    koi8_u kz1048 latin_1 mac_croatian mac_cyrillic mac_greek mac_iceland mac_latin2 mac_roman
    mac_romanian mac_turkish ptcp154 shift_jis shift_jis_2004 shift_jisx0213 tis_620 utf_16
    utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_7 utf_8
    """.split()
)
# Names that mail uses and Python does not know.
_OTHER_NAMES: Final = {
    "gb_2312": "gb2312",
    "iso_8859_8_e": "iso8859_8",
    "iso_8859_8_i": "iso8859_8",
    "unicode_1_1_utf_7": "utf_7",
    "utf8mb4": "utf_8",
    "windows_874": "cp874",
    "windows_949": "cp949",
    "x_euc_jp": "euc_jp",
    "x_gbk": "gbk",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_mac_roman": "mac_roman",
    "x_sjis": "cp932",
    "x_windows_949": "cp949",
    "x_windows_950": "cp950",
}
# Senders name the smaller charset and use the larger one (WHATWG Encoding Standard, 4.2).
_LARGER: Final = {
    "big5": "big5hkscs",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso2022_jp": "iso2022_jp_ext",
    "iso8859_11": "cp874",
    "iso8859_9": "cp1254",
    "latin_1": "cp1252",
    "shift_jis": "cp932",
    "tis_620": "cp874",
}


@lru_cache(maxsize=512)
def codec_of(charset: str) -> str | None:
    """Python's codec for a charset as a message names it; None when it has none."""
    name = charset.strip().lower()
    if not _NAME.fullmatch(name):
        return None
    name = re.sub(r"[-.:+ ]", "_", name)
    name = _OTHER_NAMES.get(name) or aliases.get(name, name)
    return _LARGER.get(name, name) if name in _CODECS else None


def decode_text(data: bytes, charset: str = "") -> str:
    """``data`` in the declared ``charset``; guessed when that is empty, unknown or plainly wrong.

    Never raises. What cannot be decoded becomes U+FFFD. Line ends and NULs are left as they are.
    """
    codec = codec_of(charset) if charset else None
    if codec is None or codec == "ascii":
        return _guessed(data)
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        text = data.decode(codec, "replace")
        if text.count("\ufffd") * _DAMAGE_RARE > len(text):
            return _guessed(data, otherwise=codec)
    # UTF-7 alone can spell half a character, which no database and no page would take.
    return _SURROGATE.sub("\ufffd", text) if codec == "utf_7" else text


def charset_of_html(data: bytes) -> str:
    """What the document says of itself (``<meta charset>``), or an empty string."""
    found = _META.search(data[:_META_BYTES])
    return found[1].decode("ascii") if found else ""


def _guessed(data: bytes, otherwise: str = "cp1252") -> str:
    """UTF-8 if it is that, for no other charset looks like it; else the likeliest."""
    # ISO-2022-JP is made of ASCII characters, and known by its escapes alone.
    if b"\x1b$" not in data:
        try:
            return data.decode("utf_8")
        except UnicodeDecodeError:
            pass
    # What is ASCII says nothing, and there may be much of it before the first letter that does.
    start = _first_odd(data)
    likely = cchardet.detect(data[start : start + _SAMPLE_BYTES])["encoding"]
    codec = (codec_of(likely) if likely else None) or otherwise
    return data.decode(codec, "replace")


def _first_odd(data: bytes) -> int:
    found = re.search(rb"[^\x00-\x1a\x1c-\x7f]", data)
    return max(found.start() - 512, 0) if found else 0
