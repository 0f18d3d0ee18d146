"""Contact sheets of named and unnamed faces, for review."""

from __future__ import annotations

import collections
import csv
import os
import re
from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from cpad_jax import atomic
from cpad_jax.labelling.cast import CastMember
from cpad_jax.labelling.corrections import COLUMNS, UNKNOWN
from cpad_jax.labelling.label import LabelledTrack, Labels
from cpad_jax.media import lettering
from cpad_jax.printable import as_cell, in_utf8

# Pattern for `Path.glob` of the sheets of unnamed groups.
UNKNOWN_SHEETS = f'{UNKNOWN}_[0-9][0-9][0-9][0-9]*.jpg'
_FACE, _GAP, _LINE, _COLUMNS = 96, 8, 13, 8
_TAIL = 8  # Letters at the end of a video's name, which distinguish the episodes of a series.
_MOST_FACES, _MOST_UNKNOWN = 160, 20
_PAPER, _INK, _FAINT = (250, 249, 246), (34, 34, 38), (120, 120, 126)
_COLOURS = _INK, _INK, _FAINT


def write_tracks(path: str | os.PathLike[str], labels: Labels, cast: Sequence[CastMember]) -> None:
    """Writes a row for each face: its position, its name and the evidence.

    Rows begin with the columns of a file of corrections: copied there with another `name`, they
    correct that face, or its whole cluster with `cluster` as `scope`.
    """
    names = {member.person_id: member.name for member in cast}
    with atomic.writing(path) as temporary, temporary.open('w', encoding='utf-8', newline='') as f:
        rows = csv.writer(f)
        rows.writerow([*COLUMNS, 'cluster', 'confidence', 'evidence'])
        for labelled in labels.tracks:
            name, best = labelled.name, int(labelled.track.quality.argmax())
            rows.writerow([
                as_cell(in_utf8(labelled.video)), _time(labelled),
                *(f'{side:.4f}' for side in labelled.track.boxes[best]), 'track',
                as_cell(names[name.person_id]) if name else UNKNOWN, labelled.cluster,
                f'{name.confidence:.3f}' if name else '', as_cell(name.evidence) if name else '',
            ])  # fmt: skip


def sheet_names(cast: Sequence[CastMember]) -> list[str]:
    """The file names of the sheets of a cast, in its order; others match `UNKNOWN_SHEETS`."""
    return [
        f'{re.sub(r"[^A-Za-z0-9]+", "_", member.person_id)[:80]}_{number:04d}.jpg'
        for number, member in enumerate(cast)
    ]


def draw_sheets(labels: Labels, cast: Sequence[CastMember]) -> Iterator[tuple[str, Image.Image]]:
    """Draws a sheet for each named person and for the largest unnamed groups.

    Args:
        labels: From `label_tracks`.
        cast: The cast, with the names.

    Yields:
        (file name, picture): people in the order of the cast, then groups by size. A sheet holds at
        most 160 faces by increasing confidence.
    """
    by_person, unnamed = collections.defaultdict(list), collections.defaultdict(list)
    for labelled in labels.tracks:
        if labelled.name:
            by_person[labelled.name.person_id].append(labelled)
        else:
            unnamed[labelled.cluster].append(labelled)
    for name, member in zip(sheet_names(cast), cast, strict=True):
        if member.person_id in by_person:
            yield name, _draw(member.name, by_person[member.person_id])
    largest = sorted(unnamed.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    for cluster, rows in largest[:_MOST_UNKNOWN]:
        yield f'{UNKNOWN}_{cluster:04d}.jpg', _draw(f'{UNKNOWN}, cluster {cluster}', rows)


def _time(labelled: LabelledTrack) -> str:
    """Seconds of the video with the best view of the face, as in sheets and `tracks.csv`."""
    return f'{labelled.track.times[labelled.track.quality.argmax()]:.3f}'


def _draw(title: str, rows: Sequence[LabelledTrack]) -> Image.Image:
    rows = sorted(rows, key=lambda row: (row.name.confidence if row.name else 0, row.cluster))

    drawn = rows[:_MOST_FACES]
    lines = -(-len(drawn) // _COLUMNS)
    cell = _FACE + 3 * _LINE + _GAP
    sheet = Image.new('RGB', (_GAP + _COLUMNS * (_FACE + _GAP), 40 + lines * cell + _GAP), _PAPER)
    pen, font, large = (
        ImageDraw.Draw(sheet), ImageFont.load_default(11), ImageFont.load_default(16),
    )  # fmt: skip
    count = f': {lettering.counted(len(rows), "face")}'
    heading = (
        lettering.fitted(title, large, sheet.width - 2 * _GAP - large.getlength(count)) + count
    )
    pen.text((_GAP, _GAP), heading, font=large, fill=_INK)
    for number, row in enumerate(drawn):
        x = _GAP + number % _COLUMNS * (_FACE + _GAP)
        y = 40 + number // _COLUMNS * cell
        face = Image.fromarray(row.track.crop).resize((_FACE, _FACE), Image.Resampling.LANCZOS)
        sheet.paste(face, (x, y))
        for line, (words, colour) in enumerate(zip(caption(row, font), _COLOURS, strict=True)):
            pen.text((x, y + _FACE + 1 + line * _LINE), words, font=font, fill=colour)
    return sheet


def caption(row: LabelledTrack, font: ImageFont.FreeTypeFont) -> tuple[str, str, str]:
    """The caption of a face: video and time as in `tracks.csv`, confidence, and cluster."""
    confidence = f'{row.name.confidence:.2f}, ' if row.name else ''
    return (
        lettering.fitted(row.video, font, _FACE, _TAIL), f'{_time(row)} s',
        f'{confidence}cluster {row.cluster}',
    )  # fmt: skip
