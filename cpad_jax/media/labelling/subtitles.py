"""Subtitles: what is said when, who is named and who speaks."""

from __future__ import annotations

import codecs
import collections
import dataclasses
import html
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from cpad_jax.errors import UserError
from cpad_jax.media.labelling.cast import CastMember

_MOST = 1 << 24  # Bytes; the subtitles of a film are a hundred thousand.
_TIME = r'(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?'
_ARROW = '-->'
_TIMING = re.compile(rf'\s*{_TIME}\s*-+>\s*{_TIME}')
_VOICE = re.compile(r'<v(?:\.[^ >]*)? +([^>]+)>')
_TAG = re.compile(r'<[^<>\n]{0,200}>|\{[^{}\n]{0,200}\}')
# `NAME:` or `- Name:` at the start of a line says who speaks.
_SPEAKER = re.compile(r'^[-–—\s>]*([^\W\d_][\w.’\' -]{0,40}?)\s*:\s+(?=\S)')
_WORD = re.compile(r'[^\W_]+(?:-[^\W_]+)*')
_FORMS_OF_ADDRESS = frozenset(
    'mr mrs ms miss dr doctor sir lady lord captain professor detective officer agent judge uncle '
    'aunt the'.split()
)


@dataclasses.dataclass(frozen=True)
class Cue:
    """Something that is said.

    Attributes:
        start: Seconds.
        end: Seconds, > start.
        lines: Its lines without markup, each with the name of who speaks it, or ''.
    """

    start: float
    end: float
    lines: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Mention:
    """A member of the cast is named, or speaks.

    Attributes:
        start: Seconds.
        end: Seconds.
        person_id: Who.
        speaks: Whether the subtitles say that they speak; otherwise somebody names them.
    """

    start: float
    end: float
    person_id: str
    speaks: bool


def read_subtitles(path: str | os.PathLike[str]) -> tuple[list[Cue], list[int]]:
    """Reads an `.srt` (or WebVTT) file as they are found: any encoding, line ends, numbers or none.

    Args:
        path: The file.

    Returns:
        (cues by start, numbers from 1 of the lines with broken times). What is said at such times
        is left out, and so are cues that say nothing.

    Raises:
        UserError: There is no such file, or no cue in it.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'{path}: there are no such subtitles')
    if path.stat().st_size > _MOST:
        raise UserError(f'{path}: {path.stat().st_size} bytes are no subtitles')
    cues: list[Cue] = []
    broken: list[int] = []
    timing, text, begun = None, [], 0
    lines_and_end = [*_decoded(path.read_bytes()).splitlines(), _ARROW]
    for number, line in enumerate(lines_and_end, 1):
        match = _TIMING.match(line)
        if match is None and _ARROW not in line:
            text.append(line)
            continue
        if timing is not None:
            while text and not text[-1].strip():
                text.pop()
            # The number of the cue that begins here; in some files there is none.
            if text and text[-1].strip().isdecimal():
                text.pop()
            lines = tuple(filter(None, map(_line, text)))
            if timing[1] <= timing[0]:
                broken.append(begun)
            elif lines:
                cues.append(Cue(*timing, lines))
        # What stands under broken times is said at no time, and not by the cue before.
        timing = (
            (_seconds(match.groups()[:4]), _seconds(match.groups()[4:])) if match else (0.0, 0.0)
        )
        text, begun = [], number
    if not cues:
        raise UserError(
            f'{path}: no subtitle was found; expected lines such as 00:00:01,500 --> 00:00:03,000 '
            'with text below them'
        )
    return sorted(cues, key=lambda cue: (cue.start, cue.end)), broken


def find_mentions(
    cues: Mapping[str, Sequence[Cue]], cast: Sequence[CastMember]
) -> dict[str, list[Mention]]:
    """Finds the cast in a title's subtitles, by full, first or last name of person or character.

    A name that two members share, or that the title's subtitles also write small (will, grace),
    says nothing by itself; the full name still does.

    Args:
        cues: Name of a video -> its cues.
        cast: Who may be meant.

    Returns:
        Name of a video -> mentions in the cues' order; who speaks and is named in one has two.
    """
    names = _aliases([cue for of_video in cues.values() for cue in of_video], cast)
    return {
        video: [
            Mention(cue.start, cue.end, *entry)
            for cue in of_video
            for entry in sorted(_named(cue, names))
        ]
        for video, of_video in cues.items()
    }


def _named(cue: Cue, names: Mapping[tuple[str, ...], str]) -> set[tuple[str, bool]]:
    """(person_id, speaks) of those in a cue; of names that overlap, the longer one counts."""
    longest = max((len(name) for name in names), default=0)
    who = set()
    for speaker, text in cue.lines:
        for words, speaks in ((_words(speaker.title()), True), (_words(text), False)):
            place = 0
            while place < len(words):
                for length in range(min(longest, len(words) - place), 0, -1):
                    run = words[place : place + length]
                    name = tuple(_folded(word) for word in run)
                    if name in names and all(word[0].isupper() for word in run):
                        who.add((names[name], speaks))
                        break
                else:
                    length = 1
                place += length
    return who


def _aliases(cues: Sequence[Cue], cast: Sequence[CastMember]) -> dict[tuple[str, ...], str]:
    """Words of a name -> the only member of the cast who is called so."""
    small = {
        _folded(word) for cue in cues for _, text in cue.lines for word in _words(text)
        if word.islower()
    }  # fmt: skip
    owners = collections.defaultdict(set)
    for member in cast:
        for name in filter(None, (member.name, member.character)):
            words = [_folded(word) for word in _words(name)]
            while len(words) > 1 and words[0] in _FORMS_OF_ADDRESS:
                words.pop(0)
            for alias in {tuple(words), tuple(words[:1]), tuple(words[-1:])}:
                common = len(alias) == 1 and (alias[0] in small or len(alias[0]) < 2)
                if alias and not common:
                    owners[alias].add(member.person_id)
    return {alias: next(iter(who)) for alias, who in owners.items() if len(who) == 1}


def _words(text: str) -> list[str]:
    # A possessive s stands by itself, so "Ada's" names Ada.
    return _WORD.findall(text)


def _folded(word: str) -> str:
    letters = unicodedata.normalize('NFKD', word.casefold())
    return ''.join(letter for letter in letters if not unicodedata.combining(letter))


def _line(text: str) -> tuple[str, str] | None:
    voice = _VOICE.search(text)
    text = html.unescape(_TAG.sub('', text)).strip()
    speaker = voice.group(1).strip() if voice else ''
    if not speaker and (match := _SPEAKER.match(text)):
        speaker, text = match.group(1), text[match.end() :]
    text = text.strip(' \t-–—♪#')
    return (speaker, text) if text else None


def _decoded(data: bytes) -> str:
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if data.startswith(mark):
            return data.decode('utf-16', errors='replace')
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError:
        # Every byte is a letter of Latin-1, the encoding of old Western subtitles.
        return data.decode('latin-1')


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or '0' for part in parts)
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds) + float(f'0.{fraction}')
