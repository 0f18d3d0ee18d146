"""Names of people: when two spellings are one name, and where a text names somebody.

Everything that compares names compares `key(name)`: capitals, accents, kinds of apostrophes, dashes
and spaces, punctuation and the Unicode form (NFC, NFD) make no difference.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar('T')

# Letters that Unicode does not take apart, and what they are written as without their accents;
# Arabic letters that keyboards confuse.
_BASE_LETTERS = str.maketrans({
    'ø': 'o', 'ł': 'l', 'đ': 'd', 'ð': 'd', 'ħ': 'h', 'ŧ': 't', 'æ': 'ae', 'œ': 'oe', 'þ': 'th',
    'ı': 'i', 'ی': 'ي', 'ى': 'ي', 'ک': 'ك', 'ـ': None,
})  # fmt: skip
# Among them letters by category, which stand for an apostrophe.
_APOSTROPHES = frozenset("'’‘‛′`´ʼʻʹˈ＇׳")
_DASHES = frozenset('-‐‑‒–—―−﹣－־')
# Combining classes of marks that are accents, Hebrew points or Arabic vowel signs. The others are
# letters in all but name: vowels of Thai, the virama of Devanagari, the dakuten of kana.
_ACCENTS = frozenset([1, *range(10, 36), *range(200, 241)])
# Blocks of scripts that put no spaces between words.
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x30FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
_HANGUL = (0xAC00, 0xD7A3)
_LONGEST_WORD = 1000
# What Korean writes right after a name.
_PARTICLES = frozenset(
    '은 는 이 가 을 를 의 에 에게 와 과 도 만 야 아 여 씨 님 군 양 랑 이랑 한테 께 께서 로 으로 '
    '부터 까지 처럼 보다 라고 이라고 이다 입니다 이야 이는 이가 이를 '
    '씨는 씨가 씨를 씨의 님은 님이 님을 님의'.split()
)


@dataclasses.dataclass(frozen=True)
class Word:
    """A run of letters and figures in a text.

    Attributes:
        start: Index of its first character in the text.
        end: Index after its last.
        text: As it is written.
        folded: As it is compared.
        joint: The apostrophe or dash that joins it to the word before, as `'` or `-`; '' for none.
    """

    start: int
    end: int
    text: str
    folded: str
    joint: str

    @property
    def may_name(self) -> bool:
        """Whether it begins as names do: with a capital, in scripts that have them."""
        return not self.text[0].islower()


def key(name: str) -> str:
    """A name as it is compared: folded words with one space between; '' without any letter."""
    return ' '.join(word.folded for word in words(name))


def same(first: str, second: str) -> bool:
    """Whether two spellings are one name."""
    return key(first) == key(second)


def words(text: str) -> list[Word]:
    """The words of a text, taken apart at spaces, punctuation, apostrophes, dashes and `_`."""
    found: list[Word] = []
    start = None
    for place, character in enumerate(text + ' '):
        if _in_word(character):
            start = place if start is None else start
        elif start is not None:
            piece = text[start:place]
            if folded := _folded(piece):
                found.append(Word(start, place, piece, folded, _joint(text, found, start)))
            start = None
    return found


def find(text: str, names: Mapping[tuple[str, ...], T]) -> list[tuple[list[Word], T]]:
    """Finds names in a text, in whole words; of those that overlap the longer one counts.

    Words that a dash joins are one: 'Jo-Anna' does not hold 'Anna'. An apostrophe ends a name
    ("Anna's") and may stand before one after a small word ("d'Anna", but not "D'Anna"). In scripts
    without spaces a name may stand anywhere in a word, and Korean particles may follow it.

    Args:
        text: Any.
        names: Folded words of a name -> what to return for it.

    Returns:
        (the words that hold the name, what `names` has for it) in the text's order.
    """
    text_words = words(text)
    longest = max(map(len, names), default=0)
    loose = [name for name in names if _is_unspaced(name[-1][-1]) or _is_hangul(name[-1][-1])]
    found, place = [], 0
    while place < len(text_words):
        for length in range(min(longest, len(text_words) - place), 0, -1):
            run = tuple(word.folded for word in text_words[place : place + length])
            if run in names and _is_whole(text_words, place, place + length):
                found.append((text_words[place : place + length], names[run]))
                place += length
                break
        else:
            here = [name for name in loose if _stands_at(text_words, place, name)]
            longer = [' '.join(name) for name in here]
            for name, spelt in zip(here, longer, strict=True):
                if not any(spelt != other and spelt in other for other in longer):
                    found.append((text_words[place : place + len(name)], names[name]))
            place += 1
    return found


def contains(text: str, name: str) -> bool:
    """Whether a text names somebody, in whole words."""
    wanted = tuple(word.folded for word in words(name))
    return bool(wanted) and bool(find(text, {wanted: name}))


def parts(name: str) -> list[tuple[str, ...]]:
    """Folded words of a name, together where a dash or an apostrophe joins them."""
    found: list[tuple[str, ...]] = []
    for word in words(name):
        if word.joint:
            found[-1] += (word.folded,)
        else:
            found.append((word.folded,))
    return found


def given_name(folded: str) -> str:
    """What follows the family name in a Chinese or Korean name of three letters; '' in others."""
    letters = all(_is_hangul(letter) or '\u3400' <= letter <= '\u9fff' for letter in folded)
    return folded[1:] if len(folded) == 3 and letters else ''


def without_before(text: str, name: str, marker: str) -> str:
    """Leaves a name out wherever it stands right before a marker, as whole words.

    Args:
        text: Any.
        name: Whom to leave out.
        marker: For instance '[TOK]'; capitals count.

    Returns:
        The text; the marker stands where the name began.
    """
    name_words = words(name)
    wanted = tuple(word.folded for word in name_words)
    if not wanted:
        return text
    opening, closing = name[: name_words[0].start], name[name_words[-1].end :].strip()
    parts = text.split(marker)
    for number, part in enumerate(parts[:-1]):
        found = words(part)
        start = _start_of_last(found, wanted)
        if start is not None and part[found[-1].end :].strip() in {'', '.', closing}:
            part = part[:start]
            # Quotes or brackets that the name begins with.
            parts[number] = part.removesuffix(opening) if opening.strip() else part
    return marker.join(parts)


class NameIndex:
    """Finds names in a list: the very spelling first, then one that is compared as equal."""

    def __init__(self, names: Iterable[str]):
        """Takes the names; of several that are equal the first one counts."""
        self._exact: dict[str, int] = {}
        self._equal: dict[str, int] = {}
        for number, name in enumerate(names):
            self._exact.setdefault(unicodedata.normalize('NFC', name), number)
            if folded := key(name):
                self._equal.setdefault(folded, number)

    def find(self, name: str) -> int | None:
        """The place of a name in the list, or None."""
        exact = self._exact.get(unicodedata.normalize('NFC', name))
        return self._equal.get(key(name)) if exact is None else exact

    def near(self, name: str) -> list[str]:
        """At most three names that are spelt most like one that is not in the list."""
        spelt = {key(known): known for known in reversed(self._exact)}
        close = difflib.get_close_matches(key(name), spelt, n=3, cutoff=0.6)
        return [spelt[folded] for folded in close]

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None


def _stands_at(text_words: list[Word], place: int, name: tuple[str, ...]) -> bool:
    here = tuple(word.folded for word in text_words[place : place + len(name)])
    if len(here) < len(name):
        return False
    if here != name:
        particle = here[-1].startswith(name[-1]) and here[-1][len(name[-1]) :] in _PARTICLES
        if here[:-1] != name[:-1] or not (
            (particle and _is_hangul(name[-1][-1])) or _holds(here[-1], name)
        ):
            return False
    return _is_whole(text_words, place, place + len(name))


def _is_whole(text_words: list[Word], start: int, end: int) -> bool:
    """Whether no dash or apostrophe makes words a part of a longer one."""
    joint = text_words[start].joint
    if joint == '-' or (joint == "'" and not text_words[start - 1].text.islower()):
        return False
    return end == len(text_words) or text_words[end].joint != '-'


def _start_of_last(text_words: list[Word], name: tuple[str, ...]) -> int | None:
    """Index in the text at which a name begins that its last words are, or None."""
    place = len(text_words) - len(name)
    if place < 0 or not _is_whole(text_words, place, len(text_words)):
        return None
    here = tuple(word.folded for word in text_words[place:])
    if here == name:
        return text_words[place].start
    last = text_words[-1]
    if len(name) == 1 and _holds(last.folded, name) and last.folded.endswith(name[0]):
        lengths = range(1, min(len(last.text), 4 * len(name[0])))
        return next((last.end - n for n in lengths if _folded(last.text[-n:]) == name[0]), None)
    return None


def _holds(word: str, name: tuple[str, ...]) -> bool:
    """Whether a word of a script without spaces between words holds a name."""
    if len(name) > 1 or len(name[0]) < 2 or not all(map(_is_unspaced, name[0])):
        return False
    after = word.partition(name[0])[2][:1]
    # A vowel that is written as a mark would be a part of the name.
    return name[0] in word and unicodedata.category(after or ' ')[0] != 'M'


def _is_hangul(character: str) -> bool:
    return _HANGUL[0] <= ord(character) <= _HANGUL[1]


def _is_unspaced(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _UNSPACED)


def _in_word(character: str) -> bool:
    if character.isascii():
        return character.isalnum()
    if character in _APOSTROPHES:
        return False
    category = unicodedata.category(character)
    # Format characters, such as a zero-width joiner, are inside of words and not compared.
    return category[0] in 'LMN' or category == 'Cf'


def _joint(text: str, found: list[Word], start: int) -> str:
    """What joins a word to the one before: a single apostrophe or dash."""
    if not found or found[-1].end != start - 1:
        return ''
    between = text[start - 1]
    return "'" if between in _APOSTROPHES else '-' if between in _DASHES else ''


@functools.lru_cache(maxsize=1 << 14)
def _folded(piece: str) -> str:
    if piece.isascii():
        return piece.lower()
    piece = piece[:_LONGEST_WORD]  # Putting marks in order takes the square of their number.
    letters = unicodedata.normalize('NFKD', piece).casefold()
    letters = unicodedata.normalize('NFKD', letters).translate(_BASE_LETTERS)
    kept = (letter for letter in letters if unicodedata.combining(letter) not in _ACCENTS)
    kept = (letter for letter in kept if unicodedata.category(letter)[0] in 'LMN')
    return unicodedata.normalize('NFC', ''.join(kept))
