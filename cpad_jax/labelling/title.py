"""Labels a title: reads videos, cast list, photos and subtitles, and writes an annotation table."""

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

_TABLE, _TRACKS, _REJECTED = 'annotations.jsonl', 'tracks.csv', 'aside.txt'
_SHEETS, _CACHE = 'sheets', 'found'
_LEAST_DELAY = 0.04  # Seconds, one frame: longer delays of the picture are reported.
_MOST_NAMED = 5  # Folders of people outside the cast in a message: VGGFace2 has 9,000.


@dataclasses.dataclass(frozen=True)
class TitleFiles:
    """The input files of a title.

    Attributes:
        title: Id of the movie or show.
        source: 'movie' or 'show'.
        videos: Files and folders.
        cast: CSV file, see `cast.read_cast`.
        exemplars: Folder of photos, see `exemplars.find_photos`.
        subtitles: Folder that holds, for `a/b.mp4`, `a/b.srt`, `a/b.en.sdh.ass` or the like, see
            `subtitle_choice`.
        corrections: CSV file, see `corrections.read_corrections`.
        encoding: Encoding of the subtitles; None to guess it.
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
    """The labels of a title, with statistics of its inputs.

    Attributes:
        labels: All faces with their names.
        videos: Name -> shots and tracks.
        models: Identity models.
        other_folders: Folders of photos of people outside the cast; None without photos.
        cues: Video -> its subtitles; None without subtitles.
        mentions: Number of times that a member of the cast is named in them, or speaks.
        clips: Number of rows of the table.
        rejected: One line for each unusable video, photo, file of subtitles and correction.
    """

    labels: label.Labels
    videos: Mapping[str, appearances.VideoFaces]
    models: tuple[labelling_exemplars.IdentityModel, ...]
    other_folders: tuple[str, ...] | None
    cues: Mapping[str, Sequence[labelling_subtitles.Cue]] | None
    mentions: int
    clips: int
    rejected: tuple[str, ...]


def label_title(
    files: TitleFiles,
    detector: FaceDetector,
    embed: Embed,
    feature: str,
    out: str | os.PathLike[str],
    least_confidence: float = label.LEAST_CONFIDENCE,
) -> LabelledTitle:
    """Labels a title; a repeated run tracks only the faces of new or changed videos.

    Args:
        files: Its input files.
        detector: Finds faces.
        embed: Embeds faces.
        feature: Identifies `detector` and `embed`; caches of other ones are not used.
        out: Folder for `annotations.jsonl` (the table), `tracks.csv` (every face, for corrections),
            `sheets/` (faces by name, for review), `aside.txt` (rejected inputs), `found/` (the
            cache) and the list `written.json`. Results of an earlier run, except `found/`, are
            deleted before the work begins, so that a run that fails leaves none; nothing else is.
        least_confidence: Least confidence of a name, 0 to 1.

    Raises:
        UserError: An input is missing, invalid, or would be overwritten, `out` holds other files
            under the names of results, or it is not writable: then nothing was changed. Or no
            video can be read.
    """
    if not files.title.strip():
        raise UserError(f'title is {files.title!r}, expected the id of a movie or show, e.g. heat')
    if in_utf8(files.title) != files.title:
        raise UserError(
            f'title is {files.title!r}, which is not valid in the encoding of this locale; write '
            'it in other letters, or set LC_ALL=C.UTF-8'
        )
    if files.source not in data_annotations.SOURCES:
        raise UserError(f'source is {files.source!r}, expected one of {data_annotations.SOURCES}')
    if files.encoding is not None:
        encodings.check(files.encoding)
    out = Path(out)
    if files.corrections and files.corrections.resolve() == (out / _TRACKS).resolve():
        raise UserError(
            f'{files.corrections}: this run replaces that file; copy the rows that are wrong '
            'into another one'
        )
    inputs = (files.cast, files.corrections, files.exemplars, files.subtitles, *files.videos)
    _refuse_overwriting(out, filter(None, inputs))
    people = cast_lists.read_cast(files.cast)
    corrections = (
        labelling_corrections.read_corrections(files.corrections, people)
        if files.corrections
        else []
    )
    skipped: list[str] = []
    videos = appearances.find_videos(files.videos, skipped.append)
    cues, read, rejected = _subtitles(files, videos)
    photos, other_folders = (
        labelling_exemplars.find_photos(files.exemplars, people) if files.exemplars else ({}, None)
    )
    _refuse_overwriting(out, [*videos.values(), *read, *itertools.chain(*photos.values())])
    written = results.ResultFolder(out)
    _remove_earlier_results(written, people)
    models, rejected_photos = labelling_exemplars.build_models(
        photos, detector, embed, feature, out / _CACHE
    )
    faces, rejected_videos = appearances.find_faces(videos, detector, embed, feature, out / _CACHE)
    rejected = rejected_photos + rejected_videos + rejected + skipped
    if not faces:
        _write_rejected(written, rejected)
        raise UserError(
            f'{counted(len(videos), "video")}, of which none could be read, see {out / _REJECTED}; '
            f'first: {rejected_videos[0]}'
        )
    mentions = labelling_subtitles.find_mentions(cues or {}, people)
    labels = label.label_tracks(faces, people, models, mentions, corrections, least_confidence)
    rejected += [
        f'{files.corrections}:{correction.line}: {_why_unmatched(correction, videos, faces)}'
        for correction in labels.unmatched
    ]
    table = label.annotate(labels, faces, people, files.title, files.source)
    with written.writing(_TRACKS) as path:
        sheets.write_tracks(path, labels, people)
    for name, sheet in sheets.draw_sheets(labels, people):
        with written.writing(f'{_SHEETS}/{name}') as path:
            sheet.save(path, quality=88)
    _write_rejected(written, rejected)
    with written.writing(_TABLE) as path:
        data_annotations.write(path, table)
    return LabelledTitle(
        labels, faces, tuple(models), None if other_folders is None else tuple(other_folders), cues,
        sum(map(len, mentions.values())), len(table), tuple(rejected),
    )  # fmt: skip


def summary(labelled: LabelledTitle, people: Sequence[cast_lists.CastMember]) -> str:
    """Lines on the shots and the evidence of each person, unnamed faces and rejected inputs."""
    tracks = labelled.labels.tracks
    lines = [
        f'{counted(len(labelled.videos), "video")}, {counted(labelled.clips, "clip")}, '
        f'{counted(len(tracks), "face")} followed, '
        f'{counted(len({t.cluster for t in tracks}), "group")}',
        *_input_summary(labelled, people),
    ]
    for member in people:
        named = [t for t in tracks if t.name and t.name.person_id == member.person_id]
        if named:
            evidence = sorted({t.name.evidence.split(':')[0] for t in named})
            confidence = sum(t.name.confidence for t in named) / len(named)
            clips = counted(len({(t.video, t.shot) for t in named}), 'clip')
            lines.append(
                f'{member.name}: {counted(len(named), "face")} in {clips} '
                f'({", ".join(evidence)}); mean confidence {confidence:.2f}'
            )
    unknown = sum(t.name is None for t in tracks)
    named_ids = {t.name.person_id for t in tracks if t.name}
    missing = [member.name for member in people if member.person_id not in named_ids]
    lines.append(f'unknown: {counted(unknown, "face")}, left out of the table')
    if missing:
        lines.append(f'not found: {", ".join(missing)}')
    if labelled.rejected:
        lines.append(
            f'rejected: {len(labelled.rejected)}, see {_REJECTED}; first: {labelled.rejected[0]}'
        )
    return '\n'.join(map(printable, lines))


def _input_summary(
    labelled: LabelledTitle, people: Sequence[cast_lists.CastMember]
) -> Iterator[str]:
    """Lines on the coverage of photos, subtitles and corrections."""
    if labelled.other_folders is not None:
        known = {member.person_id for member in people} & {m.person_id for m in labelled.models}
        yield f'photos: of {len(known)} of {len(people)} in the cast list'
        if others := labelled.other_folders:
            names = ', '.join(others[:_MOST_NAMED])
            rest = f' and {len(others) - _MOST_NAMED} more' if len(others) > _MOST_NAMED else ''
            yield (
                f'photos of others: {counted(len(others), "folder")} with no name or person_id of '
                f'the cast list: {names}{rest}'
            )
    if labelled.cues is not None:
        cues = counted(sum(map(len, labelled.cues.values())), 'cue')
        yield (
            f'subtitles: of {counted(len(labelled.cues), "video")}, {cues}; a member of the '
            f'cast list is named or speaks {counted(labelled.mentions, "time")}'
        )
    if corrected := labelled.labels.corrected:
        count = len(labelled.labels.tracks)
        line = f'by hand: corrections apply to {corrected} of {counted(count, "face")}'
        if corrected > count / 2:
            line += f', right or wrong; give only the rows of {_TRACKS} that are wrong'
        yield line


def _refuse_overwriting(out: Path, inputs: Iterable[Path]) -> None:
    """Checks that no input is, or lies in, a file or folder that the run writes."""
    files = [out / name for name in (_TABLE, _TRACKS, _REJECTED, results.LIST)]
    folders = [(out / name).resolve() for name in (_SHEETS, _CACHE)]
    for path in inputs:
        resolved = path.resolve()
        if any(resolved.is_relative_to(folder) for folder in folders) or any(
            atomic.same_file(path, file) for file in files
        ):
            raise UserError(
                f'{path}: this run reads this file and would overwrite it; move it, or give '
                'another folder for the results'
            )


def _remove_earlier_results(
    written: results.ResultFolder, people: Sequence[cast_lists.CastMember]
) -> None:
    """Checks that results can be written, then deletes those of an earlier run."""
    out = written.folder
    names = [*sheets.sheet_names(people)]
    names += [path.name for path in (out / _SHEETS).glob(sheets.UNKNOWN_SHEETS)]
    written.check_replaceable(
        [_TABLE, _TRACKS, _REJECTED, *(f'{_SHEETS}/{name}' for name in names)]
    )
    try:
        for folder in (out / _SHEETS, out / _CACHE):
            if os.path.lexists(folder) and not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, f'{folder.name} is not a folder')
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        written.remove()
    except OSError as error:
        raise UserError(
            f'{out}: results cannot be written there ({error.strerror}); give another folder'
        ) from error


def _write_rejected(written: results.ResultFolder, rejected: Iterable[str]) -> None:
    with written.writing(_REJECTED) as path:
        path.write_bytes(''.join(f'{printable(line)}\n' for line in rejected).encode())


def _why_unmatched(
    correction: labelling_corrections.Correction,
    videos: Mapping[str, Path],
    read: Mapping[str, object],
) -> str:
    if correction.video not in map(in_utf8, videos):
        return (
            f'{correction.video!r} is not among the given videos, which have names such as '
            f'{in_utf8(next(iter(videos)))!r}'
        )
    if correction.video not in map(in_utf8, read):
        return f'{correction.video} could not be read'
    return f'no face is there at {correction.time:.2f} s of {correction.video}'


def _subtitles(
    files: TitleFiles, videos: Mapping[str, Path]
) -> tuple[dict[str, list[labelling_subtitles.Cue]] | None, list[Path], list[str]]:
    """Video -> its subtitles, None without a folder; their files; one line for each rejected file.

    Times are those of the video reader, which counts from the first picture; subtitles count from
    the start of the sound or the picture.
    """
    if files.subtitles is None:
        return None, [], []
    candidates_by_video, unmatched, unsupported = subtitle_choice.find(
        files.subtitles, list(videos)
    )
    cues, used, rejected = {}, [], []
    for name, candidates in candidates_by_video.items():
        for file in candidates:
            try:
                read, broken = labelling_subtitles.read_subtitles(file, files.encoding, _report)
            except UserError as error:
                rejected.append(str(error))
                continue
            delay = _video_start(videos[name])
            cues[name] = labelling_subtitles.shifted(read, delay)
            if delay >= _LEAST_DELAY:
                _report(f'{name}: the picture begins {delay:.3f} s after the sound, so do its cues')
            if len(candidates) > 1:
                _report(subtitle_choice.selection_note(name, candidates, file))
            if broken:
                rejected.append(
                    f'{file}: {counted(len(broken), "cue")} without usable times, left out; '
                    f'see line {broken[0]}'
                )
            break
        used += candidates
    for name, others in unsupported.items():
        if name not in cues:
            format_name = subtitle_files.OTHERS[others[0].suffix.lower()]
            rejected.append(str(subtitle_files.unsupported_format(others[0], format_name)))
    rejected += [f'{file}: no given video has this name' for file in unmatched]
    return cues, used, rejected


def _video_start(path: Path) -> float:
    try:
        return video.probe(path).start
    except UserError:  # Reading its frames raises the same error.
        return 0.0


def _report(line: str) -> None:
    say(printable(line), sys.stderr)
