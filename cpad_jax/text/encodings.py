"""The text of files that do not say how they are encoded, such as subtitles.

UTF-8 and UTF-16 show themselves. Of older encodings, the one wins under which most of what is not
ASCII are letters of one language, in the order of frequency and with the capitals that it has.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import html
import itertools
import unicodedata

from cpad_jax.errors import UserError

_BOMS = (
    (codecs.BOM_UTF8, 'utf-8-sig'),
    (codecs.BOM_UTF32_LE, 'utf-32'),  # Begins as that of UTF-16 does.
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)
_MOST_LOOKED_AT = 20_000  # Bytes of the lines that are not ASCII.
_LOST = '\ufffd'
_LEAST_SCORE = 0.4
_FALLBACK = 'cp1252'

_CYRILLIC = 'оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёіїєґўјљњџђћ'
_GREEK = 'αοιετσνηυρπκμλςωδγχθφβξζψάέήίόύώϊϋ'
_FRENCH, _SPANISH, _PORTUGUESE = 'éèàêçùâîôûëïüœæÿ', 'áéíóúñüº', 'ãáàâçéêíõóôúü'
_CZECH, _SLOVAK = 'áčďéěíňóřšťúůýž', 'áäčďéíĺľňóôŕšťúýž'
# Languages by encoding; of equal ones the first is taken. Letters by frequency where it is known.
_LETTERS = (
    *(('cp1252', letters) for letters in (
        'äöüß', _FRENCH, _SPANISH, _PORTUGUESE, 'àèéìòùíóî', 'åäöé', 'æøåé', 'ëïéèöüáóíê',
        'àçèéíïòóúü', 'áéíóúýþæðö',
    )),
    *(('cp1250', letters) for letters in (
        'ąćęłńóśźż', _CZECH, _SLOVAK, 'áéíóöőúüű', 'ăâîşţ', 'čćđšž',
    )),
    ('cp1254', 'ışğüçöâîû'),
    ('cp1257', 'ąčęėįšųūž'), ('cp1257', 'āčēģīķļņšūž'), ('cp1257', 'äõöüšž'),
    *(('iso8859_2', letters) for letters in ('ąćęłńóśźż', _CZECH, _SLOVAK, 'áéíóöőúüű', 'čćđšž')),
    ('iso8859_15', _FRENCH + 'šž'),
    *((old, letters) for old in ('cp850', 'mac_roman') for letters in (
        'äöüß', _FRENCH, _SPANISH, _PORTUGUESE, 'åäö', 'æøå',
    )),
    *((encoding, _CYRILLIC) for encoding in ('cp1251', 'koi8_r', 'koi8_u', 'iso8859_5', 'cp866')),
    ('cp1253', _GREEK), ('iso8859_7', _GREEK),
    ('cp1255', 'יוהלאמתרשבנדםעחקפגטסזכןךצףץ'),
    ('cp1256', 'اليمنوتربةعدسفهكقأحجشطصخإىذضزثءآغئظؤپچژگک'),
    ('cp874', 'านรอกเงมยลวดทสตะปบคหแจพชขใไโผถซณธฟฉศภฐษฝญำิีืุู็่้๊๋ั์ึ'),
)  # fmt: skip
# Encodings of several bytes a letter: lead bytes of the characters in everyday use, of which each
# has some thousands, and a script that text in that language is full of.
_WIDE = (
    ('euc_kr', 0xB0, 0xC8, '가', '힣', 0.9),
    ('cp932', 0x88, 0x98, 'ぁ', 'ヿ', 0.2),
    ('euc_jp', 0xB0, 0xCF, 'ぁ', 'ヿ', 0.2),
    ('gb18030', 0xB0, 0xD7, '一', '鿿', 0.5),
    ('big5', 0xA4, 0xC6, '一', '鿿', 0.5),
)
_COMMON, _RARE, _RAREST = 8, 16, 24  # Letters by frequency.


@dataclasses.dataclass(frozen=True)
class Decoded:
    """The text of a file.

    Attributes:
        text: Without a byte order mark; bytes that stand for nothing are U+FFFD.
        encoding: By its usual name, e.g. 'utf-8' or 'cp1251'.
        lost: How many characters are U+FFFD.
    """

    text: str
    encoding: str
    lost: int


def decode(data: bytes, encoding: str | None = None) -> Decoded:
    """Decodes text of any encoding; never fails, for a wrong letter is better than no text.

    Args:
        data: The file.
        encoding: What it is, where somebody knows, as `check` takes it.
    """
    if encoding is not None:
        return _decoded(data, check(encoding))
    if encoding := unicode_of(data):
        return _decoded(data, encoding)
    try:
        return Decoded(data.decode('utf-8'), 'utf-8', 0)
    except UnicodeDecodeError:
        mostly = _decoded(data, 'utf-8')
    whole = sum(letter >= '\x80' for letter in mostly.text) - mostly.lost
    places = sum(1 for a, b in itertools.pairwise(f' {mostly.text}') if b == _LOST != a)
    if places <= max(1, whole // 5) and whole >= places:
        return mostly
    return _decoded(data, _likeliest(data))


def unicode_of(data: bytes) -> str | None:
    """The encoding of a byte order mark, or UTF-16 without one; None for neither."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding
    return _utf16_without_mark(data)


def without_entities(text: str) -> str:
    """`&amp;` and the like as the characters they stand for; what stands for none stays."""
    try:
        return html.unescape(text)
    except ValueError:  # A number of more digits than Python reads.
        return text


def check(encoding: str) -> str:
    """The name of an encoding of text.

    Raises:
        UserError: There is none of that name.
    """
    for name in (encoding, encoding.lower().replace('-', '').replace('windows', 'cp')):
        with contextlib.suppress(LookupError, ValueError):
            b'a'.decode(name)  # Some codecs are not of text.
            return codecs.lookup(name).name
    raise UserError(
        f'encoding {encoding[:40]!r} is unknown; expected e.g. utf-8, cp1251, koi8-r, gbk'
    )


def _decoded(data: bytes, encoding: str) -> Decoded:
    text = data.decode(encoding, errors='replace').removeprefix('\ufeff')
    return Decoded(text, encoding.removesuffix('-sig'), text.count(_LOST))


def _utf16_without_mark(data: bytes) -> str | None:
    """Times and spaces have a byte 0 of two, at the same place in all of them."""
    head = data[: 1 << 16]
    half = max(len(head) // 2, 1)
    even, odd = head[::2].count(0) / half, head[1::2].count(0) / half
    if max(even, odd) < 0.2 or min(even, odd) > 0.05:
        return None
    return 'utf-16-le' if odd > even else 'utf-16-be'


def _likeliest(data: bytes) -> str:
    lines = [line for line in data.splitlines() if not line.isascii()]
    sample = b'\n'.join(lines)[:_MOST_LOOKED_AT]
    scores = {_FALLBACK: _LEAST_SCORE}
    for encoding, letters in _LETTERS:
        score = _score(sample.decode(encoding, errors='replace'), letters)
        scores[encoding] = max(scores.get(encoding, 0.0), score)
    for encoding, first, last, start, end, least in _WIDE:
        scores[encoding] = _wide_score(sample, encoding, (first, last), (start, end), least)
    return max(scores, key=scores.get)


def _score(text: str, letters: str) -> float:
    """How far a text is one of a language, about 1 if it is: by its letters, and its capitals."""
    total, count, before = 0.0, 0, ' '
    latin = letters[0] < 'Ͱ'
    for letter in text:
        if letter >= '\x80' and not _is_neutral(letter):
            count += 1
            place = letters.find(letter.lower())
            if place < 0:
                total -= 1
            elif latin or place < _COMMON:
                total += 1
            else:
                total += 0.8 if place < _RARE else 0.6 if place < _RAREST else 0.3
            # Neither capitals within a word nor two scripts in one.
            if (letter.isupper() and before.islower()) or (not latin and _is_ascii_letter(before)):
                total -= 1
        before = letter
    lines = [line.lstrip(' -–"«„“') for line in text.splitlines()]
    starts = [line[0] for line in lines if line and line[0] >= '\x80']
    if len(starts) > 2 and all(letter.islower() for letter in starts):
        total -= 0.3 * count  # Sentences of scripts with capitals begin with one.
    return total / count if count else 0.0


def _is_ascii_letter(letter: str) -> bool:
    return letter.isascii() and letter.isalpha()


def _wide_score(
    sample: bytes, encoding: str, common: tuple[int, int], script: tuple[str, str], least: float
) -> float:
    total = count = of_script = 0
    for letter in sample.decode(encoding, errors='replace'):
        if letter < '\x80' or _is_neutral(letter) or unicodedata.category(letter)[0] == 'P':
            continue
        count += 1
        of_script += script[0] <= letter <= script[1]
        lead = letter.encode(encoding, errors='ignore')[:1]
        is_common = bool(lead) and common[0] <= lead[0] <= common[1]
        total += 1 if is_common or 'ぁ' <= letter <= 'ヿ' else -1 if letter == _LOST else 0
    return total / count if count and of_script >= least * count else 0.0


def _is_neutral(letter: str) -> bool:
    """Whether texts of every language have it: quotes, dashes, notes, spaces."""
    return letter in '’‘‚“”„«»‹›–—…•·°♪¿¡\u00a0€©®™´§½¼'
