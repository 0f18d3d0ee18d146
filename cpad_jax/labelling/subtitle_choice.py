"""Which subtitles belong to which video, by the names of their files.

Players call them `film.srt`, `film.en.srt`, `film.pt-BR.sdh.srt`, `film.mkv.srt`: the video's name,
and after it words that say language and kind.
"""

from __future__ import annotations

import collections
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from cpad_jax.errors import UserError
from cpad_jax.labelling import subtitle_files
from cpad_jax.media import video as media_video

# Words by kind, best first. Those for the hard of hearing say who speaks.
_HEARING = frozenset(['sdh', 'cc', 'hi', 'shd', 'captions'])
_PART = 2
_PLAIN = frozenset(['full', 'default', 'dialogue', 'dialog', 'normal', 'original', 'utf8', 'utf-8'])
# Only what is foreign or written in the picture, or what is said about the film, not in it.
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
        videos: Names of the videos, relative to theirs.

    Returns:
        (video -> files that can be read, best first; files of no video; video -> files of formats
        that cannot be read).

    Raises:
        UserError: There is no such folder, or not a file in it that belongs to a video.
    """
    if not folder.is_dir():
        raise UserError(f'{folder}: there is no such folder of subtitles')
    fitting, unreadable = collections.defaultdict(list), collections.defaultdict(list)
    strange = []
    for file in sorted(path for path in folder.rglob('[!.]*') if path.is_file()):
        ending = file.suffix.lower()
        if ending not in subtitle_files.ENDINGS and ending not in subtitle_files.OTHERS:
            continue
        name = PurePosixPath(file.relative_to(folder).as_posix()).with_suffix('').as_posix()
        ranked = [(rank, video) for video in videos if (rank := _rank(name, video)) is not None]
        if not ranked:
            strange.append(file)
            continue
        rank, owner = min(ranked)
        if ending in subtitle_files.ENDINGS:
            # Of equal ones that in the better known format, then by name.
            order = (rank, subtitle_files.ENDINGS.index(ending), file.name)
            fitting[owner].append((order, file))
        else:
            unreadable[owner].append(file)
    readable = {owner: [file for _, file in sorted(of)] for owner, of in sorted(fitting.items())}
    if not readable and unreadable:
        file = next(iter(unreadable.values()))[0]
        raise subtitle_files.refused(file, subtitle_files.OTHERS[file.suffix.lower()])
    if not readable:
        wanted = PurePosixPath(videos[0]).with_suffix('.srt')
        raise UserError(
            f'{folder}: there are no subtitles for these videos; expected e.g. {wanted} in it'
        )
    return readable, strange, dict(unreadable)


def _rank(name: str, of_video: str) -> tuple[int, int, bool] | None:
    """How well subtitles go with a video, least first; None if they are not its.

    Args:
        name: Of the subtitles, without the format's ending.
        of_video: As `a/b.mp4`.
    """
    stem = PurePosixPath(of_video).with_suffix('').as_posix()
    for whole in (of_video, stem):
        if _same(name, whole):
            return (0, 0, name not in (of_video, stem))
    # The dots at which the video's name may end.
    words, rest = [], name
    while '.' in PurePosixPath(rest).name:
        rest, _, word = rest.rpartition('.')
        words.append(word.casefold())
        if _same(rest, stem) or _same(rest, of_video):
            kinds = [_kind(word) for word in words]
            if None in kinds:
                return None
            # Of film.en.forced.sdh only a part is there, for whomever it is written.
            kind = max(kinds) if max(kinds) >= _PART else min(kinds)
            return (1 + kind, len(words), rest not in (stem, of_video))
    return None


def _same(name: str, other: str) -> bool:
    first, second = (unicodedata.normalize('NFC', text).casefold() for text in (name, other))
    return first == second


def _kind(word: str) -> int | None:
    """What a word after the video's name means: 0 to 3, best first; None for no such word."""
    word = word.strip(' ()[]_-')
    for kind, known in ((0, _HEARING), (1, _PLAIN), (_PART, _PARTIAL), (_PART + 1, _BESIDE)):
        if word in known:
            return kind
    pieces = word.replace('_', '-').split('-')
    if word in _LANGUAGES or f'.{word}' in media_video.ENDINGS:
        return 1
    # As pt-BR, zh-Hant-TW, es-419: a language of two or three letters, then script and region.
    is_tag = 2 <= len(pieces[0]) <= 3 and pieces[0].isascii() and pieces[0].isalpha()
    return 1 if is_tag and all(p.isalnum() and 2 <= len(p) <= 4 for p in pieces[1:]) else None


def chosen_of(video_name: str, files: Iterable[Path], chosen: Path) -> str:
    """What to say where a video has several."""
    others = [file.name for file in files if file != chosen]
    more = f' and {len(others) - 3} more' if len(others) > 3 else ''
    return f'{video_name}: subtitles {chosen.name} are taken, not {", ".join(others[:3])}{more}'
