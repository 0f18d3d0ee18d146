"""Reads subtitles from files: SubRip, WebVTT and SubStation Alpha, in any encoding.

Files are read as they are found, by what is in them. Nothing here searches with a pattern whose
work grows faster than the text.
"""

from __future__ import annotations

import dataclasses
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from cpad_jax.errors import UserError
from cpad_jax.text import encodings

# Endings that are read, and those of other formats.
ENDINGS = ('.srt', '.vtt', '.ass', '.ssa')
OTHERS = {
    '.sub': 'MicroDVD or VobSub', '.idx': 'VobSub', '.sup': 'PGS pictures', '.smi': 'SAMI',
    '.sami': 'SAMI', '.ttml': 'TTML', '.dfxp': 'TTML', '.itt': 'TTML', '.stl': 'EBU STL',
    '.scc': 'Scenarist captions', '.sbv': 'YouTube SBV', '.lrc': 'lyrics', '.usf': 'USF',
    '.mks': 'Matroska subtitles', '.pjs': 'Phoenix', '.mpl': 'MPL2', '.mpl2': 'MPL2',
    '.jss': 'JACOsub', '.rt': 'RealText', '.psb': 'PowerDivX', '.ssf': 'SSF', '.cap': 'Cheetah',
    '.aqt': 'AQTitle', '.vsf': 'VSF', '.sst': 'Sonic scripts',
}  # fmt: skip
# What other formats begin with, in small letters.
_BEGINNINGS = {
    '<sami': 'SAMI', '<tt ': 'TTML', '<tt:tt': 'TTML', '<?xml': 'XML', '{1}{': 'MicroDVD',
    '{0}{': 'MicroDVD', '# vobsub': 'VobSub',
}  # fmt: skip
_MAGIC = {b'PG': 'PGS', b'\0\0\1\xba': 'VobSub'}
_MOST = 1 << 24  # Bytes; the subtitles of a film are a hundred thousand.
_TIME = r'(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?'
_ARROW = '-->'
_TIMING = re.compile(rf'\s*{_TIME}\s*-+>\s*{_TIME}')
_MOMENT = re.compile(_TIME)
_LONGEST_TAG, _LONGEST_SPEAKER = 200, 41
_BRACKETS = {'(': ')', '[': ']', '（': '）', '［': '］', '【': '】'}
_DASHES = ' \t-–—>'
_EVENTS = ('start', 'end', 'text')  # Columns of SubStation Alpha that it cannot do without.


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


def read_subtitles(
    path: str | os.PathLike[str],
    encoding: str | None = None,
    note: Callable[[str], None] | None = None,
) -> tuple[list[Cue], list[int]]:
    """Reads a file as they are found: any encoding, line ends, numbers or none.

    Args:
        path: The file.
        encoding: What it is encoded in, where somebody knows.
        note: Is told, in a line, which encoding was taken where that is not UTF-8.

    Returns:
        (cues by start, numbers from 1 of the lines with broken times). What is said at such times
        is left out, and so are cues that say nothing.

    Raises:
        UserError: There is no such file, it is of another format, or no cue is in it.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'{path}: there are no such subtitles')
    if path.suffix.lower() in OTHERS:
        raise refused(path, OTHERS[path.suffix.lower()])
    if path.stat().st_size > _MOST:
        raise UserError(f'{path}: {path.stat().st_size} bytes are no subtitles')
    data = path.read_bytes()
    for magic, name in _MAGIC.items():
        if data.startswith(magic) and b'\0' in data[:16]:
            raise refused(path, name)
    decoded = encodings.decode(data, encoding)
    text = decoded.text
    if note and (decoded.encoding != 'utf-8' or decoded.lost):
        lost = f', {decoded.lost} characters are lost' if decoded.lost else ''
        why = 'as was said' if encoding else 'give --encoding if that is wrong'
        note(f'{path}: read as {decoded.encoding}{lost}; {why}')
    head = text[:4096].lstrip('\ufeff \t\r\n').lower()
    for beginning, name in _BEGINNINGS.items():
        if head.startswith(beginning):
            raise refused(path, name)
    if head.startswith('[script info]') or '\n[events]' in text.lower():
        cues, broken = _substation(text)
    else:
        cues, broken = _timed(text, blocks=head.startswith('webvtt'))
    if not cues:
        raise UserError(
            f'{path}: no subtitle was found; expected lines such as 00:00:01,500 --> 00:00:03,000 '
            'with text below them'
        )
    return sorted(cues, key=lambda cue: (cue.start, cue.end)), broken


def refused(path: Path, name: str) -> UserError:
    """What to say of a file of another format."""
    return UserError(
        f'{path}: subtitles in this format ({name}) cannot be read; expected '
        f'{", ".join(ENDINGS)}: convert it, e.g. with ffmpeg or Subtitle Edit'
    )


def _timed(text: str, blocks: bool) -> tuple[list[Cue], list[int]]:
    """Cues of SubRip or WebVTT, and lines of broken times; `blocks` end with an empty line."""
    cues: list[Cue] = []
    broken: list[int] = []
    timing, said, begun = None, [], 0
    for number, line in enumerate([*text.splitlines(), _ARROW], 1):
        match = _TIMING.match(line)
        if match is None and _ARROW not in line:
            said.append(line)
            continue
        if timing is not None:
            while said and not said[-1].strip():
                said.pop()
            # The number of the cue that begins here; in some files there is none.
            if said and said[-1].strip().isdecimal():
                said.pop()
            if blocks and '' in (stripped := [line.strip() for line in said]):
                said = said[: stripped.index('')]
            lines = _spoken('\n'.join(said))
            if timing[1] <= timing[0]:
                broken.append(begun)
            elif lines:
                cues.append(Cue(*timing, lines))
        # What stands under broken times is said at no time, and not by the cue before.
        timing = (
            (_seconds(match.groups()[:4]), _seconds(match.groups()[4:])) if match else (0.0, 0.0)
        )
        said, begun = [], number
    return cues, broken


def _substation(text: str) -> tuple[list[Cue], list[int]]:
    """Cues of SubStation Alpha, whose speakers have a column, and lines of broken times."""
    cues: list[Cue] = []
    broken: list[int] = []
    columns = ['layer', 'start', 'end', 'style', 'name', 'marginl', 'marginr', 'marginv', 'effect',
               'text']  # fmt: skip
    events = False
    for number, line in enumerate(text.splitlines(), 1):
        kind, _, rest = line.strip().partition(':')
        if kind.startswith('['):
            events = line.strip().lower() == '[events]'
        elif events and kind.lower() == 'format':
            named = [column.strip().lower() for column in rest.split(',')]
            columns = named if set(_EVENTS) <= set(named) else columns
        elif events and kind.lower() == 'dialogue':
            cells = rest.split(',', len(columns) - 1)
            row = dict(zip(columns, map(str.strip, cells), strict=False))
            times = [_MOMENT.fullmatch(row.get(column, '')) for column in ('start', 'end')]
            start, end = (_seconds(time.groups()) if time else 0.0 for time in times)
            if end <= start:
                broken.append(number)
            elif lines := _spoken(_without_drawings(row.get('text', ''))):
                speaker = row.get('name') or row.get('actor') or ''
                lines = tuple((own or speaker, words) for own, words in lines)
                cues.append(Cue(start, end, lines))
    return cues, broken


def _without_drawings(text: str) -> str:
    r"""Words of SubStation Alpha: between braces are commands, of which \p1 begins a drawing."""
    kept, place, drawing = [], 0, False
    while place < len(text):
        start = text.find('{', place)
        end = text.find('}', start) if start >= 0 else -1
        stop = start if end >= 0 else len(text)
        if not drawing:
            kept.append(text[place:stop])
        if end < 0:
            break
        for command in text[start + 1 : end].split('\\'):
            if command[:1] == 'p' and command[1:2].isdecimal():
                drawing = command[1] != '0'
        place = end + 1
    return ''.join(kept).replace('\\N', '\n').replace('\\n', '\n').replace('\\h', ' ')


def _spoken(text: str) -> tuple[tuple[str, str], ...]:
    """(who speaks or '', what) for each line of a cue that says something."""
    lines = []
    for speaker, part in _voices(text):
        for line in part.split('\n'):
            who, words = (speaker, line) if speaker else _speaker(line)
            words = words.strip(' \t-–—♪♫#')
            if words:
                lines.append((who, words))
    return tuple(lines)


def _voices(text: str) -> list[tuple[str, str]]:
    """(speaker or '', text) between WebVTT's `<v NAME>`, without any tags and entities."""
    parts, speaker, kept, place = [], '', [], 0
    while place < len(text):
        start = text.find('<', place)
        end = text.find('>', start, start + _LONGEST_TAG) if start >= 0 else -1
        inside = text[start + 1 : max(end, 0)]
        if start < 0 or end < 0 or '<' in inside or '\n' in inside:
            stop = len(text) if start < 0 else start + 1
            kept.append(text[place:stop])
            place = stop
            continue
        kept.append(text[place:start])
        place = end + 1
        tag, _, name = inside.partition(' ')
        if tag.split('.')[0].lower() in ('v', '/v'):
            parts.append((speaker, ''.join(kept)))
            speaker, kept = name.strip() if tag[0] != '/' else '', []
    parts.append((speaker, ''.join(kept)))
    return [(_clean(who), _clean(part)) for who, part in parts]


def _clean(text: str) -> str:
    """Without commands in braces, entities, and characters that only turn the order of letters."""
    kept, place = [], 0
    while (start := text.find('{', place)) >= 0:
        end = text.find('}', start, start + _LONGEST_TAG)
        stop = start if end >= 0 and '\n' not in text[start:end] else start + 1
        kept.append(text[place:stop])
        place = end + 1 if stop == start else stop
    text = encodings.without_entities(''.join([*kept, text[place:]]))
    return ''.join(
        letter for letter in text
        if letter in '\u200c\u200d' or unicodedata.category(letter) != 'Cf'
    )  # fmt: skip


def _speaker(line: str) -> tuple[str, str]:
    """(who speaks, what) of `NAME: …`, `- Name: …`, `[NAME] …` or `（名前）…`; else ('', line)."""
    text = line.lstrip(_DASHES)
    if (closing := _BRACKETS.get(text[:1])) and (
        (end := text.find(closing, 1, _LONGEST_SPEAKER + 2)) > 0
    ):
        name, rest = text[1:end].strip(), text[end + 1 :].lstrip(' :：')
        if _is_name(name) and not name[0].islower() and rest.strip():
            return name, rest
    ends = [at for at in map(text[: _LONGEST_SPEAKER + 22].find, ':：') if at > 0]
    if not ends:
        return '', line
    name, colon, rest = text[: min(ends)].rstrip(), text[min(ends)], text[min(ends) + 1 :]
    if name.endswith((')', ']')) and (start := max(name.rfind('('), name.rfind('['))) > 0:
        name = name[:start].rstrip()  # `ANNA (off screen): …`
    if not _is_name(name) or not rest.strip():
        return '', line
    # Scripts with capitals put a space after the colon; the time 10:30 and addresses have none.
    cased = name[-1].isdecimal() or name[-1].lower() != name[-1].upper()
    return ('', line) if colon == ':' and cased and not rest[0].isspace() else (name, rest)


def _is_name(text: str) -> bool:
    return (
        0 < len(text) <= _LONGEST_SPEAKER
        and text[0].isalpha()
        and all(c in " .’'‘`´-–·・_&#" or unicodedata.category(c)[0] in 'LMN' for c in text)
    )


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or '0' for part in parts)
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds) + float(f'0.{fraction}')
