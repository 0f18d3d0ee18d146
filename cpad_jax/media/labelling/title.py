"""Labels a title from files to files: videos, cast, photos and subtitles in, a table out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from cpad_jax import atomic
from cpad_jax.errors import UserError
from cpad_jax.media.faces import FaceDetector
from cpad_jax.media.labelling import (
    annotations,
    appearances,
    corrections,
    exemplars,
    label,
    sheets,
    subtitles,
)
from cpad_jax.media.labelling import (
    cast as cast_lists,
)
from cpad_jax.media.tracks import Embed


@dataclasses.dataclass(frozen=True)
class TitleFiles:
    """What is known of a title.

    Attributes:
        title: Id of the movie or show.
        source: 'movie' or 'show'.
        videos: Files and folders.
        cast: CSV file, see `cast.read_cast`.
        exemplars: Folder of photos, see `exemplars.find_photos`.
        subtitles: Folder that holds, for `a/b.mp4`, `a/b.srt` or `a/b.vtt`, or that with a language
            between, as `a/b.en.srt`.
        corrections: CSV file, see `corrections.read_corrections`.
    """

    title: str
    source: str
    videos: tuple[Path, ...]
    cast: Path
    exemplars: Path | None = None
    subtitles: Path | None = None
    corrections: Path | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledTitle:
    """What came out.

    Attributes:
        labels: Every face and who it is taken for.
        videos: Name -> shots and tracks.
        models: What people look like.
        clips: Number of rows of the table.
        aside: Videos, photos, subtitles and corrections that could not be used, and why.
    """

    labels: label.Labels
    videos: Mapping[str, appearances.VideoFaces]
    models: tuple[exemplars.IdentityModel, ...]
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
            `sheets/` (faces by name, for eyes), `aside.txt` and `found/`, what was found in videos
            and photos.
        least_confidence: Names with less are not given, 0 to 1.

    Raises:
        UserError: A file or folder that was named is missing or not as expected, or no video could
            be read.
    """
    if files.source not in annotations.SOURCES:
        raise UserError(f'source is {files.source!r}, expected one of {annotations.SOURCES}')
    out = Path(out)
    people = cast_lists.read_cast(files.cast)
    said_by_hand = (
        corrections.read_corrections(files.corrections, people) if files.corrections else []
    )
    videos = appearances.find_videos(files.videos)
    cues, aside = _subtitles(files.subtitles, videos)
    models = []
    if files.exemplars:
        photos = exemplars.find_photos(files.exemplars, people)
        models, unused = exemplars.build_models(photos, detector, embed, feature, out / 'found')
        aside += unused
    faces, broken = appearances.find_faces(videos, detector, embed, feature, out / 'found')
    if not faces:
        raise UserError(f'none of {len(videos)} videos could be read; first: {broken[0]}')
    labels = label.label_tracks(
        faces, people, models, subtitles.find_mentions(cues, people), said_by_hand, least_confidence
    )
    aside += broken
    aside += [
        f'{files.corrections}:{lost.line}: no face is there at {lost.time:.2f} s of {lost.video}'
        for lost in labels.lost
    ]
    table = label.annotate(labels, faces, people, files.title, files.source)
    annotations.write(out / 'annotations.jsonl', table)
    sheets.write_tracks(out / 'tracks.csv', labels, people)
    sheets.write_sheets(out / 'sheets', labels, people)
    atomic.write_bytes(out / 'aside.txt', ''.join(f'{line}\n' for line in aside).encode())
    return LabelledTitle(labels, faces, tuple(models), len(table), tuple(aside))


def summary(labelled: LabelledTitle, people: Sequence[cast_lists.CastMember]) -> str:
    """Who was found in how many shots, by what evidence, and what was left, as lines of text."""
    lines = [
        f'{len(labelled.videos)} videos, {labelled.clips} clips, {len(labelled.labels.tracks)} '
        f'faces followed, {len({t.cluster for t in labelled.labels.tracks})} groups'
    ]
    for member in people:
        own = [t for t in labelled.labels.tracks if t.name and t.name.person_id == member.person_id]
        if own:
            kinds = sorted({t.name.evidence.split(':')[0] for t in own})
            sure = sum(t.name.confidence for t in own) / len(own)
            lines.append(
                f'{member.name}: {len(own)} faces in {len({(t.video, t.shot) for t in own})} clips '
                f'by {", ".join(kinds)}; mean confidence {sure:.2f}'
            )
    unknown = sum(t.name is None for t in labelled.labels.tracks)
    found = {t.name.person_id for t in labelled.labels.tracks if t.name}
    missing = [member.name for member in people if member.person_id not in found]
    lines.append(f'unknown: {unknown} faces, left out of the table')
    if missing:
        lines.append(f'not found: {", ".join(missing)}')
    if labelled.aside:
        lines.append(f'set aside: {len(labelled.aside)}, see aside.txt; first: {labelled.aside[0]}')
    return '\n'.join(lines)


def _subtitles(
    folder: Path | None, videos: Iterable[str]
) -> tuple[dict[str, list[subtitles.Cue]], list[str]]:
    if folder is None:
        return {}, []
    if not folder.is_dir():
        raise UserError(f'{folder}: there is no such folder of subtitles')
    cues, aside = {}, []
    for video in videos:
        stem = folder / PurePosixPath(video).with_suffix('')
        # Compared as text, because a name may hold what a pattern would take for a wildcard.
        beside = sorted(stem.parent.iterdir()) if stem.parent.is_dir() else []
        fitting = [
            file for file in beside
            if file.suffix.lower() in ('.srt', '.vtt')
            and (file.stem == stem.name or file.stem.rpartition('.')[0] == stem.name)
        ]  # fmt: skip
        if not fitting:
            continue
        # One without a language before one with.
        chosen = min(fitting, key=lambda file: (file.stem != stem.name, file.name))
        try:
            cues[video] = subtitles.read_subtitles(chosen)
        except UserError as error:
            aside.append(str(error))
    if not cues and not aside:
        raise UserError(
            f'{folder}: there are no subtitles for these videos; expected e.g. '
            f'{PurePosixPath(next(iter(videos))).with_suffix(".srt")} in it'
        )
    return cues, aside
