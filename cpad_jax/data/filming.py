"""Films a drawn world in many processes: clips become video files, and both become records.

The workers load neither TensorFlow nor JAX, and what they make depends on the world alone: any
number of processes gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import digests, progress, workers
from cpad_jax.data.records import ClipRecord, IdentityRecord
from cpad_jax.media import images, video
from cpad_jax.synthetic import people, render
from cpad_jax.synthetic.world import ClipPlan, PhotoPlan, World, WorldSpec

# Frames per second that a record holds of a clip; the video file holds all.
FRAME_RATE = 4.0

# Few enough plans that a bar moves and no process waits long for the last, enough that handing them
# over costs nothing.
_CLIPS_AT_ONCE, _PHOTOS_AT_ONCE = 2, 16


class Studio:
    """Turns one world's plans into records."""

    def __init__(self, spec: WorldSpec, videos: Path):
        """Plans the world.

        Args:
            spec: The world.
            videos: Folder for `<title>/<clip_id>.mp4`. Beside each video lies a `.json` with the
                tracks of the faces; a clip that has both is not filmed again.
        """
        self.world = World(spec)
        self.videos = videos
        self._identities = {person.index: i for i, person in enumerate(self.world.people)}

    def photo(self, plan: PhotoPlan) -> IdentityRecord:
        """Takes a photo."""
        taken = render.render_photo(self.world, plan)
        return IdentityRecord(
            image=images.encode_jpeg(taken.image),
            image_id=plan.image_id,
            identity=self._identities[plan.person],
            name=people.person(plan.person).name,
            bbox=np.asarray(taken.bbox, np.float32),
            landmarks=np.asarray(taken.landmarks, np.float32),
            source=plan.source,
        )

    def clip(self, plan: ClipPlan) -> ClipRecord:
        """Films a clip into a video file, and takes the record's frames out of that file."""
        title = self.world.titles[plan.title]
        path = self.videos / title.title_id / f'{plan.clip_id}.mp4'
        tracks = self._filmed(plan, path)
        frames, times = video.sample_frames(path, rate=FRAME_RATE)
        return ClipRecord(
            clip_id=plan.clip_id,
            source=title.source,
            title=title.title_id,
            frames=[images.encode_jpeg(frame) for frame in frames],
            times=times,
            actions=sorted({action for p in plan.performers for action in p.actions}),
            place=plan.place,
            people=[
                {
                    'person_id': people.person(performer.person).person_id,
                    'name': people.person(performer.person).name,
                    'identity': self._identities[performer.person],
                    'actions': sorted(performer.actions),
                    'target': performer.target,
                    'tracks': {
                        'times': np.asarray(track['times'], np.float32),
                        'boxes': np.asarray(track['boxes'], np.float32).reshape(-1, 4),
                    },
                }
                for performer, track in zip(plan.performers, tracks, strict=True)
            ],
        )

    def _filmed(self, plan: ClipPlan, path: Path) -> list[dict[str, Any]]:
        """Makes the video file where it is missing; gives the face tracks of its performers."""
        truth = path.with_suffix('.json')
        # Written after the video, it vouches for it; where either is damaged, both are made anew.
        with contextlib.suppress(OSError, ValueError, KeyError):
            kept = digests.read(truth)
            if kept['video'] == _sha256(path):
                return kept['tracks']
        clip = render.render_clip(self.world, plan)
        video.write_video(path, clip.frames, clip.fps)
        tracks = [
            {'times': t.times.tolist(), 'boxes': t.boxes.tolist(), 'yaws': t.yaws.tolist()}
            for t in clip.tracks
        ]
        digests.write(truth, {'video': _sha256(path), 'tracks': tracks})
        return tracks


def _sha256(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def film(
    spec: WorldSpec, videos: str | os.PathLike[str], split: str, processes: int | None = None
) -> Iterator[ClipRecord | IdentityRecord]:
    """Makes the records of a split, in the world's order, with a progress bar.

    Args:
        spec: The world.
        videos: Folder for the video files.
        split: 'test' for the clips, 'train' or 'references' for photos.
        processes: How many to use; None for one per CPU core, 1 for this one.

    Yields:
        Records; at most a few dozen are held at a time.

    Raises:
        UserError: The world cannot be filmed, or a process was killed.
    """
    world = World(spec)
    plans = world.clips if split == 'test' else world.photos(split)
    stage, unit = {
        'test': ('filming clips', 'clip'),
        'train': ('taking training photos', 'photo'),
        'references': ('taking reference photos', 'photo'),
    }[split]
    at_once = _CLIPS_AT_ONCE if split == 'test' else _PHOTOS_AT_ONCE
    batches = [list(plans[i : i + at_once]) for i in range(0, len(plans), at_once)]
    made = workers.in_order(
        _make, batches, processes, _begin, (spec, str(videos)), doing='films clips'
    )
    with progress.bar(total=len(plans), stage=stage, unit=unit) as bar:
        for records in made:
            yield from records
            bar.update(len(records))


_studio: Studio | None = None


def _begin(spec: WorldSpec, videos: str) -> None:
    global _studio
    _studio = Studio(spec, Path(videos))


def _make(plans: list[ClipPlan | PhotoPlan]) -> list[ClipRecord | IdentityRecord]:
    return [
        _studio.clip(plan) if isinstance(plan, ClipPlan) else _studio.photo(plan) for plan in plans
    ]
