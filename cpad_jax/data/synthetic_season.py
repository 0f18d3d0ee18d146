"""Films a drawn season: an `.mp4` file for each episode, and a table of who does what in it.

The table is an annotation table (`media.labelling.annotations`) with a row for each shot, so that a
season which somebody recorded and annotated is read in the same way.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cpad_jax import atomic, progress, strict_json, workers
from cpad_jax.data import annotations as data_annotations
from cpad_jax.data import built_dataset
from cpad_jax.data.annotations import ClipAnnotation, PersonAnnotation
from cpad_jax.errors import UserError
from cpad_jax.media import video
from cpad_jax.synthetic import people, render
from cpad_jax.synthetic.colour_grading import TitleStyle
from cpad_jax.synthetic.places import Stage, draw_place
from cpad_jax.synthetic.season import Season, SeasonSpec, ShotPlan
from cpad_jax.synthetic.shots import HEIGHT, WIDTH, SeenFace, Shot
from cpad_jax.text.prompts import ACTIONS

TABLE, VIDEOS = 'annotations.jsonl', 'videos'
_DESCRIPTION = 'season.json'
_EVERY = 3  # Frames of a shot from one box of a face to the next.


class Studio:
    """Films the episodes of one season.

    Args:
        season: The season.
        folder: For `<episode>.mp4` and, written after it, `<episode>.jsonl`, its part of the table;
            an episode that has both is not filmed again.
    """

    def __init__(self, season: Season, folder: Path):
        self.season, self.folder = season, folder
        self._style = TitleStyle.draw(np.random.default_rng(season.style_seed))
        self._artist = render.head_artist(season.world, 'clips')
        self._stage = functools.cache(self._paint)

    def _paint(self, number: int) -> Stage:
        rng = np.random.default_rng(self.season.stage_seed(number))
        place = self.season.sets[number]
        return draw_place(place, rng, render.STAGE_HEIGHT, render.STAGE_WIDTH, self._style)

    def film(self, number: int) -> None:
        """Films episode `number`, unless it is there."""
        episode = self.season.episodes[number]
        path = self.folder / f'{episode.episode_id}.mp4'
        table = path.with_suffix('.jsonl')
        # The table is written after the video, so that it vouches for it.
        if table.is_file() and path.is_file():
            return
        rows: list[ClipAnnotation] = []
        video.write_frames(path, self._frames(number, rows), render.FPS, (HEIGHT, WIDTH))
        data_annotations.write(table, rows)

    def _frames(self, number: int, rows: list[ClipAnnotation]) -> Iterator[np.ndarray]:
        """An episode's frames one by one; what is true of each shot goes into `rows`."""
        begins = 0
        for shot in self.season.episodes[number].shots:
            faces: list[list[SeenFace]] = []
            for frame, seen in self._take(shot):
                faces.append(seen)
                yield frame
            ends = begins + len(faces)
            rows.append(self._truth(number, len(rows), shot, faces, begins, ends))
            begins = ends

    def _take(self, plan: ShotPlan) -> Iterator[tuple[np.ndarray, list[SeenFace]]]:
        rng = np.random.default_rng((self.season.spec.seed, 9, plan.seed))
        place = self.season.sets[plan.set]
        shot = Shot(self._stage(plan.set), place, plan.performers, rng, self._artist)
        if plan.approached >= 0:
            shot.approach(plan.approached, float(rng.uniform(*render.NEAR)))
        return render.film_shot(shot, self._style, rng, plan.seconds)

    def _truth(
        self,
        number: int,
        shot_number: int,
        plan: ShotPlan,
        faces: list[list[SeenFace]],
        begins: int,
        ends: int,
    ) -> ClipAnnotation:
        tracks = render.face_tracks(faces)
        # Of a shot that moves close to somebody the others are left out when they are never seen.
        there = [index for index, track in enumerate(tracks) if len(track.times)]
        numbers = {index: place for place, index in enumerate(there)}
        episode = self.season.episodes[number].episode_id
        return ClipAnnotation(
            clip_id=f'{episode}_{shot_number + 1:04d}',
            title=self.season.title,
            source='show',
            video=f'{episode}.mp4',
            start=begins / render.FPS,
            end=ends / render.FPS,
            place=self.season.sets[plan.set],
            people=tuple(
                _annotated(plan, index, tracks[index], numbers.get(plan.performers[index].target))
                for index in there
            ),
        )


def _annotated(
    plan: ShotPlan, index: int, track: render.FaceTrack, target: int | None
) -> PersonAnnotation:
    performer = plan.performers[index]
    person = people.person(performer.person)
    # The first and the last moment say from when to when somebody is seen.
    kept = sorted({*range(0, len(track.times), _EVERY), len(track.times) - 1})
    return PersonAnnotation(
        person_id=person.person_id,
        name=person.name,
        evidence=('drawn so',),
        actions=tuple(ACTIONS[action] for action in performer.actions),
        target=-1 if target is None else target,
        times=tuple(round(float(track.times[i]), 3) for i in kept),
        boxes=tuple(tuple(round(float(v), 4) for v in track.boxes[i]) for i in kept),
    )


@dataclasses.dataclass(frozen=True)
class SeasonPaths:
    """Where a season is: the folder of its videos, and the table of who is in them."""

    videos: Path
    table: Path


def ensure_season(
    folder: str | os.PathLike[str], spec: SeasonSpec, processes: int | None = None
) -> SeasonPaths:
    """Films a season, or uses what is there of it.

    Args:
        folder: Holds this season and nothing else; `season.json` in it says which. Episodes that
            were finished before an interruption are used.
        spec: The season.
        processes: How many to use; None for one per CPU core, 1 for this one.

    Raises:
        UserError: Another season is there, the folder cannot be written to, `faces_dir` has too
            few faces, or a process was killed.
    """
    folder = Path(folder)
    paths = SeasonPaths(folder / VIDEOS, folder / TABLE)
    if paths.table.is_file():
        _claim(folder, spec)
        return paths
    built_dataset.check_writable(folder)
    with built_dataset.drawn_alone(folder):
        _claim(folder, spec)
        return _film(paths, spec, processes)


def _film(paths: SeasonPaths, spec: SeasonSpec, processes: int | None) -> SeasonPaths:
    season = Season(spec)
    render.check_faces(season.world)
    made = workers.in_order(
        _make, range(spec.episodes), processes, _begin, (spec, str(paths.videos)),
        doing='films episodes',
    )  # fmt: skip
    for _ in progress.bar(made, total=spec.episodes, stage='filming the season', unit='episode'):
        pass
    rows = [
        row
        for episode in season.episodes
        for row in data_annotations.read(paths.videos / f'{episode.episode_id}.jsonl')
    ]
    data_annotations.write(paths.table, rows)
    return paths


def _claim(folder: Path, spec: SeasonSpec) -> None:
    """Writes down which season a folder holds, before anything else is in it."""
    path = folder / _DESCRIPTION
    if path.is_file():
        try:
            found = strict_json.read(path)['fingerprint']
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f'{path}: this is not the description of a drawn season; delete {folder}, or give '
                'another folder'
            ) from error
        if found != spec.fingerprint():
            raise UserError(
                f'{folder}: another season is there, see {path}; give another folder for this one, '
                'config.eval.season.dir, or delete that one'
            )
        return
    built_dataset.check_writable(folder)
    value = {'fingerprint': spec.fingerprint(), 'spec': dataclasses.asdict(spec)}
    atomic.write_json(path, value)


_studio: Studio | None = None


def _begin(spec: SeasonSpec, videos: str) -> None:
    global _studio
    _studio = Studio(Season(spec), Path(videos))


def _make(number: int) -> int:
    _studio.film(number)
    return number
