"""Reads subtitles from files: SubRip, WebVTT and SubStation Alpha, in any encoding.

Formats are recognised by content. No regular expression here takes more than linear time.
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

# Endings of supported formats, and those of others.
ENDINGS = ('.srt', '.vtt', '.ass', '.ssa')
OTHERS = {
    '.sub': 'MicroDVD or VobSub', '.idx': 'VobSub', '.sup': 'PGS pictures', '.smi': 'SAMI',
    '.sami': 'SAMI', '.ttml': 'TTML', '.dfxp': 'TTML', '.itt': 'TTML', '.stl': 'EBU STL',
    '.scc': 'Scenarist captions', '.sbv': 'YouTube SBV', '.lrc': 'lyrics', '.usf': 'USF',
    '.mks': 'Matroska subtitles', '.pjs': 'Phoenix', '.mpl': 'MPL2', '.mpl2': 'MPL2',
    '.jss': 'JACOsub', '.rt': 'RealText', '.psb': 'PowerDivX', '.ssf': 'SSF', '.cap': 'Cheetah',
    '.aqt': 'AQTitle', '.vsf': 'VSF', '.sst': 'Sonic scripts',
}  # fmt: skip
# Beginnings of other formats, in lower case.
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
_EVENTS = ('start', 'end', 'text')  # Required columns of SubStation Alpha.


@dataclasses.dataclass(frozen=True)
class Cue:
    """One subtitle.

    Attributes:
        start: Seconds.
        end: Seconds, > start.
        lines: (speaker or '', text) of each line, without markup.
    """

    start: float
    end: float
    lines: tuple[tuple[str, str], ...]


def read_subtitles(
    path: str | os.PathLike[str],
    encoding: str | None = None,
    report: Callable[[str], None] | None = None,
) -> tuple[list[Cue], list[int]]:
    """Reads a file of subtitles in any encoding, with any line ends, with or without numbers.

    Args:
        path: The file.
        encoding: Its encoding, if known.
        report: Called with one line that names the encoding if that is not UTF-8.

    Returns:
        (cues by start, numbers from 1 of the lines with invalid times). Cues with such times and
        empty cues are left out.

    Raises:
        UserError: The file is missing, has another format, or holds no cue.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'{path}: there are no such subtitles')
    if path.suffix.lower() in OTHERS:
        raise unsupported_format(path, OTHERS[path.suffix.lower()])
    if path.stat().st_size > _MOST:
        raise UserError(f'{path}: {path.stat().st_size} bytes are no subtitles')
    data = path.read_bytes()
    for magic, name in _MAGIC.items():
        if data.startswith(magic) and b'\0' in data[:16]:
            raise unsupported_format(path, name)
    decoded = encodings.decode(data, encoding)
    text = decoded.text
    if report and (decoded.encoding != 'utf-8' or decoded.lost):
        lost = f', {decoded.lost} characters are lost' if decoded.lost else ''
        advice = 'as given by --encoding' if encoding else 'give --encoding if that is wrong'
        report(f'{path}: read as {decoded.encoding}{lost}; {advice}')
    head = text[:4096].lstrip('\ufeff \t\r\n').lower()
    for beginning, name in _BEGINNINGS.items():
        if head.startswith(beginning):
            raise unsupported_format(path, name)
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


def unsupported_format(path: Path, name: str) -> UserError:
    """The error for a file of another format."""
    return UserError(
        f'{path}: subtitles in this format ({name}) cannot be read; expected '
        f'{", ".join(ENDINGS)}: convert it, e.g. with ffmpeg or Subtitle Edit'
    )


def _timed(text: str, blocks: bool) -> tuple[list[Cue], list[int]]:
    """Cues of SubRip or WebVTT, and lines with invalid times; `blocks` end with an empty line."""
    cues: list[Cue] = []
    broken: list[int] = []
    timing, texts, begun = None, [], 0
    for number, line in enumerate([*text.splitlines(), _ARROW], 1):
        match = _TIMING.match(line)
        if match is None and _ARROW not in line:
            texts.append(line)
            continue
        if timing is not None:
            while texts and not texts[-1].strip():
                texts.pop()
            # The number of the next cue, which some files omit.
            if texts and texts[-1].strip().isdecimal():
                texts.pop()
            if blocks and '' in (stripped := [line.strip() for line in texts]):
                texts = texts[: stripped.index('')]
            lines = _cue_lines('\n'.join(texts))
            if timing[1] <= timing[0]:
                broken.append(begun)
            elif lines:
                cues.append(Cue(*timing, lines))
        # Text below invalid times belongs to no cue, nor to the one before.
        timing = (
            (_seconds(match.groups()[:4]), _seconds(match.groups()[4:])) if match else (0.0, 0.0)
        )
        texts, begun = [], number
    return cues, broken


def _substation(text: str) -> tuple[list[Cue], list[int]]:
    """Cues of SubStation Alpha, which has a column of speakers, and lines with invalid times."""
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
            elif lines := _cue_lines(_without_drawings(row.get('text', ''))):
                speaker = row.get('name') or row.get('actor') or ''
                lines = tuple((name or speaker, words) for name, words in lines)
                cues.append(Cue(start, end, lines))
    return cues, broken


def _without_drawings(text: str) -> str:
    r"""Text of SubStation Alpha without commands in braces and the drawings that \p1 begins."""
    kept, position, drawing = [], 0, False
    while position < len(text):
        start = text.find('{', position)
        end = text.find('}', start) if start >= 0 else -1
        stop = start if end >= 0 else len(text)
        if not drawing:
            kept.append(text[position:stop])
        if end < 0:
            break
        for command in text[start + 1 : end].split('\\'):
            if command[:1] == 'p' and command[1:2].isdecimal():
                drawing = command[1] != '0'
        position = end + 1
    return ''.join(kept).replace('\\N', '\n').replace('\\n', '\n').replace('\\h', ' ')


def _cue_lines(text: str) -> tuple[tuple[str, str], ...]:
    """(speaker or '', text) for each line of a cue that is not empty."""
    lines = []
    for speaker, part in _voice_spans(text):
        for line in part.split('\n'):
            name, words = (speaker, line) if speaker else _speaker(line)
            words = words.strip(' \t-–—♪♫#')
            if words:
                lines.append((name, words))
    return tuple(lines)


def _voice_spans(text: str) -> list[tuple[str, str]]:
    """(speaker or '', text) between WebVTT's `<v NAME>`, without any tags and entities."""
    parts, speaker, kept, position = [], '', [], 0
    while position < len(text):
        start = text.find('<', position)
        end = text.find('>', start, start + _LONGEST_TAG) if start >= 0 else -1
        inside = text[start + 1 : max(end, 0)]
        if start < 0 or end < 0 or '<' in inside or '\n' in inside:
            stop = len(text) if start < 0 else start + 1
            kept.append(text[position:stop])
            position = stop
            continue
        kept.append(text[position:start])
        position = end + 1
        tag, _, name = inside.partition(' ')
        if tag.split('.')[0].lower() in ('v', '/v'):
            parts.append((speaker, ''.join(kept)))
            speaker, kept = name.strip() if tag[0] != '/' else '', []
    parts.append((speaker, ''.join(kept)))
    return [(_clean(name), _clean(part)) for name, part in parts]


def _clean(text: str) -> str:
    """Removes commands in braces, entities, and bidirectional control characters."""
    kept, position = [], 0
    while (start := text.find('{', position)) >= 0:
        end = text.find('}', start, start + _LONGEST_TAG)
        stop = start if end >= 0 and '\n' not in text[start:end] else start + 1
        kept.append(text[position:stop])
        position = end + 1 if stop == start else stop
    text = encodings.without_entities(''.join([*kept, text[position:]]))
    return ''.join(
        letter for letter in text
        if letter in '\u200c\u200d' or unicodedata.category(letter) != 'Cf'
    )  # fmt: skip


def _speaker(line: str) -> tuple[str, str]:
    """(speaker, text) of `NAME: …`, `- Name: …`, `[NAME] …` or `（名前）…`; else ('', line)."""
    text = line.lstrip(_DASHES)
    if (closing := _BRACKETS.get(text[:1])) and (
        (end := text.find(closing, 1, _LONGEST_SPEAKER + 2)) > 0
    ):
        name, rest = text[1:end].strip(), text[end + 1 :].lstrip(' :：')
        if _is_name(name) and not name[0].islower() and rest.strip():
            return name, rest
    colons = [index for index in map(text[: _LONGEST_SPEAKER + 22].find, ':：') if index > 0]
    if not colons:
        return '', line
    name, colon, rest = text[: min(colons)].rstrip(), text[min(colons)], text[min(colons) + 1 :]
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
