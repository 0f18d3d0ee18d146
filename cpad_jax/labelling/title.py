"""Labels a title from files to files: videos, cast, photos and subtitles in, a table out."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cpad_jax import atomic
from cpad_jax.data import annotations as data_annotations
from cpad_jax.errors import UserError
from cpad_jax.labelling import appearances, label, results, sheets, subtitle_choice, subtitle_files
from cpad_jax.labelling import cast as cast_lists
from cpad_jax.labelling import corrections as labelling_corrections
from cpad_jax.labelling import exemplars as labelling_exemplars
from cpad_jax.labelling import subtitles as labelling_subtitles
from cpad_jax.media import video
from cpad_jax.media.faces import FaceDetector
from cpad_jax.media.lettering import counted
from cpad_jax.media.tracks import Embed
from cpad_jax.printable import in_utf8, printable, say
from cpad_jax.text import encodings

_TABLE, _TRACKS, _ASIDE = 'annotations.jsonl', 'tracks.csv', 'aside.txt'
_SHEETS, _FOUND = 'sheets', 'found'
_LATE = 0.04  # Seconds, a frame: what is later is told.
_MOST_NAMED = 5  # Folders of photos of people out of the cast: VGGFace2 has 9,000.


@dataclasses.dataclass(frozen=True)
class TitleFiles:
    """What is known of a title.

    Attributes:
        title: Id of the movie or show.
        source: 'movie' or 'show'.
        videos: Files and folders.
        cast: CSV file, see `cast.read_cast`.
        exemplars: Folder of photos, see `exemplars.find_photos`.
        subtitles: Folder that holds, for `a/b.mp4`, `a/b.srt`, `a/b.en.sdh.ass` or the like, see
            `subtitle_choice`.
        corrections: CSV file, see `corrections.read_corrections`.
        encoding: Of the subtitles, where it should not be guessed.
    """

    title: str
    source: str
    videos: tuple[Path, ...]
    cast: Path
    exemplars: Path | None = None
    subtitles: Path | None = None
    corrections: Path | None = None
    encoding: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledTitle:
    """What came out.

    Attributes:
        labels: Every face and who it is taken for.
        videos: Name -> shots and tracks.
        models: What people look like.
        strangers: Folders of photos that fit nobody of the cast; None where no photos were given.
        cues: Video -> its subtitles; None where none were given.
        mentions: How often somebody of the cast is named in them, or speaks.
        clips: Number of rows of the table.
        aside: Videos, photos, subtitles and corrections that could not be used, and why.
    """

    labels: label.Labels
    videos: Mapping[str, appearances.VideoFaces]
    models: tuple[labelling_exemplars.IdentityModel, ...]
    strangers: tuple[str, ...] | None
    cues: Mapping[str, Sequence[labelling_subtitles.Cue]] | None
    mentions: int
    clips: int
    aside: tuple[str, ...]


def label_title(
    files: TitleFiles,
    detector: FaceDetector,
    embed: Embed,
    feature: str,
    out: str | os.PathLike[str],
    least_confidence: float = label.LEAST_CONFIDENCE,
) -> LabelledTitle:
    """Labels a title; run again, it follows only the faces of videos that are new or changed.

    Args:
        files: What is known of it.
        detector: Finds faces.
        embed: Gives faces their features.
        feature: Says what `detector` and `embed` are, with whatever changes when they would.
        out: Folder for `annotations.jsonl` (the table), `tracks.csv` (every face, for corrections),
            `sheets/` (faces by name, for eyes), `aside.txt`, `found/`, what was found in videos
            and photos, and the list `written.json`. All that an earlier run wrote but `found/` is
            removed before the work begins, so that a run that fails leaves none; nothing else is.
        least_confidence: Names with less are not given, 0 to 1.

    Raises:
        UserError: A file or folder that was named is missing or not as expected, or would be
            overwritten, in `out` stand other files than runs wrote where this one writes, or it
            cannot be written to: then nothing was changed. Or no video could be read.
    """
    if not files.title.strip():
        raise UserError(f'title is {files.title!r}, expected the id of a movie or show, e.g. heat')
    if in_utf8(files.title) != files.title:
        raise UserError(
            f'title is {files.title!r}, which is no text in the encoding of this locale; write it '
            'in other letters, or set LC_ALL=C.UTF-8'
        )
    if files.source not in data_annotations.SOURCES:
        raise UserError(f'source is {files.source!r}, expected one of {data_annotations.SOURCES}')
    if files.encoding is not None:
        encodings.check(files.encoding)
    out = Path(out)
    if files.corrections and files.corrections.resolve() == (out / _TRACKS).resolve():
        raise UserError(
            f'{files.corrections}: this run writes that file anew; copy the rows that are wrong '
            'into another one'
        )
    named = (files.cast, files.corrections, files.exemplars, files.subtitles, *files.videos)
    _keep_inputs(out, filter(None, named))
    people = cast_lists.read_cast(files.cast)
    said_by_hand = (
        labelling_corrections.read_corrections(files.corrections, people)
        if files.corrections
        else []
    )
    passed_over: list[str] = []
    videos = appearances.find_videos(files.videos, passed_over.append)
    cues, read, aside = _subtitles(files, videos)
    photos, strangers = (
        labelling_exemplars.find_photos(files.exemplars, people) if files.exemplars else ({}, None)
    )
    _keep_inputs(out, [*videos.values(), *read, *itertools.chain(*photos.values())])
    written = results.Results(out)
    _make_way(written, people)
    models, unused = labelling_exemplars.build_models(
        photos, detector, embed, feature, out / _FOUND
    )
    faces, broken = appearances.find_faces(videos, detector, embed, feature, out / _FOUND)
    aside = unused + broken + aside + passed_over
    if not faces:
        _write_aside(written, aside)
        raise UserError(
            f'{counted(len(videos), "video")}, of which none could be read, see {out / _ASIDE}; '
            f'first: {broken[0]}'
        )
    mentions = labelling_subtitles.find_mentions(cues or {}, people)
    labels = label.label_tracks(faces, people, models, mentions, said_by_hand, least_confidence)
    aside += [
        f'{files.corrections}:{lost.line}: {_why_lost(lost, videos, faces)}' for lost in labels.lost
    ]
    table = label.annotate(labels, faces, people, files.title, files.source)
    with written.writing(_TRACKS) as path:
        sheets.write_tracks(path, labels, people)
    for name, sheet in sheets.draw_sheets(labels, people):
        with written.writing(f'{_SHEETS}/{name}') as path:
            sheet.save(path, quality=88)
    _write_aside(written, aside)
    with written.writing(_TABLE) as path:
        data_annotations.write(path, table)
    return LabelledTitle(
        labels, faces, tuple(models), None if strangers is None else tuple(strangers), cues,
        sum(map(len, mentions.values())), len(table), tuple(aside),
    )  # fmt: skip


def summary(labelled: LabelledTitle, people: Sequence[cast_lists.CastMember]) -> str:
    """Who was found in how many shots, by what evidence, and what was left, as lines of text."""
    tracks = labelled.labels.tracks
    lines = [
        f'{counted(len(labelled.videos), "video")}, {counted(labelled.clips, "clip")}, '
        f'{counted(len(tracks), "face")} followed, '
        f'{counted(len({t.cluster for t in tracks}), "group")}',
        *_what_was_given(labelled, people),
    ]
    for member in people:
        own = [t for t in tracks if t.name and t.name.person_id == member.person_id]
        if own:
            kinds = sorted({t.name.evidence.split(':')[0] for t in own})
            sure = sum(t.name.confidence for t in own) / len(own)
            clips = counted(len({(t.video, t.shot) for t in own}), 'clip')
            lines.append(
                f'{member.name}: {counted(len(own), "face")} in {clips} ({", ".join(kinds)}); '
                f'mean confidence {sure:.2f}'
            )
    unknown = sum(t.name is None for t in tracks)
    found = {t.name.person_id for t in tracks if t.name}
    missing = [member.name for member in people if member.person_id not in found]
    lines.append(f'unknown: {counted(unknown, "face")}, left out of the table')
    if missing:
        lines.append(f'not found: {", ".join(missing)}')
    if labelled.aside:
        lines.append(f'set aside: {len(labelled.aside)}, see {_ASIDE}; first: {labelled.aside[0]}')
    return '\n'.join(map(printable, lines))


def _what_was_given(
    labelled: LabelledTitle, people: Sequence[cast_lists.CastMember]
) -> Iterator[str]:
    """Lines that say how far photos, subtitles and corrections went."""
    if labelled.strangers is not None:
        known = {member.person_id for member in people} & {m.person_id for m in labelled.models}
        yield f'photos: of {len(known)} of {len(people)} in the cast list'
        if others := labelled.strangers:
            names = ', '.join(others[:_MOST_NAMED])
            rest = f' and {len(others) - _MOST_NAMED} more' if len(others) > _MOST_NAMED else ''
            yield (
                f'photos of others: {counted(len(others), "folder")} with no name or person_id of '
                f'the cast list: {names}{rest}'
            )
    if labelled.cues is not None:
        cues = counted(sum(map(len, labelled.cues.values())), 'cue')
        yield (
            f'subtitles: of {counted(len(labelled.cues), "video")}, {cues}; somebody of the cast '
            f'list is named or speaks {counted(labelled.mentions, "time")}'
        )
    if by_hand := labelled.labels.by_hand:
        count = len(labelled.labels.tracks)
        line = f'by hand: corrections settle {by_hand} of {counted(count, "face")}'
        if by_hand > count / 2:
            line += f', right or wrong; only those rows of {_TRACKS} that are wrong should be given'
        yield line


def _keep_inputs(out: Path, given: Iterable[Path]) -> None:
    """Makes sure that nothing which was given is, or lies in, what the run writes."""
    files = [out / name for name in (_TABLE, _TRACKS, _ASIDE, results.LIST)]
    folders = [(out / name).resolve() for name in (_SHEETS, _FOUND)]
    for path in given:
        place = path.resolve()
        if any(place.is_relative_to(folder) for folder in folders) or any(
            atomic.same_file(path, file) for file in files
        ):
            raise UserError(
                f'{path}: this run reads that and would write over it; move it, or give another '
                'folder for the results'
            )


def _make_way(written: results.Results, people: Sequence[cast_lists.CastMember]) -> None:
    """Makes sure that results can be written, then takes away those of an earlier run."""
    out = written.folder
    names = [*sheets.sheet_names(people)]
    names += [path.name for path in (out / _SHEETS).glob(sheets.UNKNOWN_SHEETS)]
    written.refuse_others([_TABLE, _TRACKS, _ASIDE, *(f'{_SHEETS}/{name}' for name in names)])
    try:
        for part in (out / _SHEETS, out / _FOUND):
            if os.path.lexists(part) and not part.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, f'{part.name} is no folder')
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        written.remove()
    except OSError as error:
        raise UserError(
            f'{out}: results cannot be written there ({error.strerror}); give another folder'
        ) from error


def _write_aside(written: results.Results, aside: Iterable[str]) -> None:
    with written.writing(_ASIDE) as path:
        path.write_bytes(''.join(f'{printable(line)}\n' for line in aside).encode())


def _why_lost(
    lost: labelling_corrections.Correction, videos: Mapping[str, Path], read: Mapping[str, object]
) -> str:
    if lost.video not in map(in_utf8, videos):
        return (
            f'{lost.video!r} is not among the videos that were given, which are called as e.g. '
            f'{in_utf8(next(iter(videos)))!r}'
        )
    if lost.video not in map(in_utf8, read):
        return f'{lost.video} could not be read'
    return f'no face is there at {lost.time:.2f} s of {lost.video}'


def _subtitles(
    files: TitleFiles, videos: Mapping[str, Path]
) -> tuple[dict[str, list[labelling_subtitles.Cue]] | None, list[Path], list[str]]:
    """Video -> its subtitles, None without a folder; their files; what could not be used, and why.

    Times are those of the reader, which counts from the first picture; subtitles count from where
    sound or picture begins.
    """
    if files.subtitles is None:
        return None, [], []
    found, strange, unreadable = subtitle_choice.find(files.subtitles, list(videos))
    cues, used, aside = {}, [], []
    for name, candidates in found.items():
        for file in candidates:
            try:
                read, broken = labelling_subtitles.read_subtitles(file, files.encoding, _note)
            except UserError as error:
                aside.append(str(error))
                continue
            late = _picture_start(videos[name])
            cues[name] = labelling_subtitles.shifted(read, late)
            if late >= _LATE:
                _note(f'{name}: the picture begins {late:.3f} s after the sound, so do its cues')
            if len(candidates) > 1:
                _note(subtitle_choice.chosen_of(name, candidates, file))
            if broken:
                aside.append(
                    f'{file}: {counted(len(broken), "cue")} without usable times, left out; '
                    f'see line {broken[0]}'
                )
            break
        used += candidates
    for name, others in unreadable.items():
        if name not in cues:
            kind = subtitle_files.OTHERS[others[0].suffix.lower()]
            aside.append(str(subtitle_files.refused(others[0], kind)))
    aside += [f'{file}: no video that was given is called so' for file in strange]
    return cues, used, aside


def _picture_start(path: Path) -> float:
    try:
        return video.probe(path).start
    except UserError:  # Whoever reads its frames says why.
        return 0.0


def _note(line: str) -> None:
    say(printable(line), sys.stderr)
