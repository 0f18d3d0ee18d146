"""Assigns subtitle files to videos by their names.

Media players expect `film.srt`, `film.en.srt`, `film.pt-BR.sdh.srt`, `film.mkv.srt`: the video's
name, followed by words for language and kind.
"""

from __future__ import annotations

import collections
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from cpad_jax.errors import UserError
from cpad_jax.labelling import subtitle_files
from cpad_jax.media import video as media_video

# Words by kind, best first. Subtitles for the hard of hearing name the speakers.
_HEARING = frozenset(['sdh', 'cc', 'hi', 'shd', 'captions'])
_PART = 2
_PLAIN = frozenset(['full', 'default', 'dialogue', 'dialog', 'normal', 'original', 'utf8', 'utf-8'])
# Subtitles of foreign or written text only, and texts about the film rather than its dialogue.
_PARTIAL = frozenset(['forced', 'foreign', 'signs', 'songs', 'karaoke', 'lyrics'])
_BESIDE = frozenset(['commentary', 'comments', 'director', 'trivia', 'description', 'ad'])
_LANGUAGES = frozenset(
    'arabic bengali bulgarian castellano catalan chinese croatian czech danish dansk deutsch dutch '
    'english espanol español estonian finnish francais français french german greek hebrew hindi '
    'hungarian icelandic indonesian italian italiano japanese korean latino latvian lithuanian '
    'magyar malay nederlands norsk norwegian persian polish polski portuguese português portugues '
    'romanian russian serbian slovak slovenian spanish suomi svenska swedish tamil telugu thai '
    'turkish türkçe ukrainian urdu vietnamese simplified traditional brazilian русский українська '
    'العربية עברית 中文 日本語 한국어 ไทย'.split()
)


def find(
    folder: Path, videos: Sequence[str]
) -> tuple[dict[str, list[Path]], list[Path], dict[str, list[Path]]]:
    """Finds the subtitles of videos in a folder and those below it.

    Args:
        folder: Holds, for the video `a/b.mp4`, files such as `a/b.srt` or `a/b.en.sdh.ass`.
        videos: Names of the videos, relative to their folder.

    Returns:
        (video -> files in supported formats, best first; files of no video; video -> files in
        unsupported formats).

    Raises:
        UserError: The folder is missing, or no file in it belongs to a video.
    """
    if not folder.is_dir():
        raise UserError(f'{folder}: there is no such folder of subtitles')
    supported, unsupported = collections.defaultdict(list), collections.defaultdict(list)
    unmatched = []
    for file in sorted(path for path in folder.rglob('[!.]*') if path.is_file()):
        ending = file.suffix.lower()
        if ending not in subtitle_files.ENDINGS and ending not in subtitle_files.OTHERS:
            continue
        name = PurePosixPath(file.relative_to(folder).as_posix()).with_suffix('').as_posix()
        ranked = [(rank, video) for video in videos if (rank := _rank(name, video)) is not None]
        if not ranked:
            unmatched.append(file)
            continue
        rank, video = min(ranked)
        if ending in subtitle_files.ENDINGS:
            # Ties go to the more common format, then to the first name.
            order = (rank, subtitle_files.ENDINGS.index(ending), file.name)
            supported[video].append((order, file))
        else:
            unsupported[video].append(file)
    choices = {
        video: [file for _, file in sorted(files)] for video, files in sorted(supported.items())
    }
    if not choices and unsupported:
        file = next(iter(unsupported.values()))[0]
        raise subtitle_files.unsupported_format(file, subtitle_files.OTHERS[file.suffix.lower()])
    if not choices:
        example = PurePosixPath(videos[0]).with_suffix('.srt')
        raise UserError(
            f'{folder}: there are no subtitles for these videos; expected e.g. {example} in it'
        )
    return choices, unmatched, dict(unsupported)


def _rank(name: str, video: str) -> tuple[int, int, bool] | None:
    """Sort key of subtitles for a video, best first; None if they belong to another video.

    Args:
        name: Name of the subtitles, without the format's ending.
        video: Name of the video, such as `a/b.mp4`.
    """
    stem = PurePosixPath(video).with_suffix('').as_posix()
    for candidate in (video, stem):
        if _same(name, candidate):
            return (0, 0, name not in (video, stem))
    # The video's name may end at any dot.
    words, rest = [], name
    while '.' in PurePosixPath(rest).name:
        rest, _, word = rest.rpartition('.')
        words.append(word.casefold())
        if _same(rest, stem) or _same(rest, video):
            classes = [_word_class(word) for word in words]
            if None in classes:
                return None
            # film.en.forced.sdh holds a part of the dialogue only, whoever it is for.
            worst = max(classes) if max(classes) >= _PART else min(classes)
            return (1 + worst, len(words), rest not in (stem, video))
    return None


def _same(name: str, other: str) -> bool:
    first, second = (unicodedata.normalize('NFC', text).casefold() for text in (name, other))
    return first == second


def _word_class(word: str) -> int | None:
    """Class of a word after the video's name: 0 to 3, best first; None for other words."""
    word = word.strip(' ()[]_-')
    for number, words in ((0, _HEARING), (1, _PLAIN), (_PART, _PARTIAL), (_PART + 1, _BESIDE)):
        if word in words:
            return number
    subtags = word.replace('_', '-').split('-')
    if word in _LANGUAGES or f'.{word}' in media_video.ENDINGS:
        return 1
    # As pt-BR, zh-Hant-TW, es-419: a language of two or three letters, then script and region.
    is_tag = 2 <= len(subtags[0]) <= 3 and subtags[0].isascii() and subtags[0].isalpha()
    return 1 if is_tag and all(p.isalnum() and 2 <= len(p) <= 4 for p in subtags[1:]) else None


def selection_note(video_name: str, files: Iterable[Path], chosen: Path) -> str:
    """The note on the choice between several subtitles of a video."""
    others = [file.name for file in files if file != chosen]
    more = f' and {len(others) - 3} more' if len(others) > 3 else ''
    return f'{video_name}: subtitles {chosen.name} are used, not {", ".join(others[:3])}{more}'
