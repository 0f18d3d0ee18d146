"""Long videos as they are searched: frames embedded once, for any segmentation.

Frames are taken at a steady rate by time. Shots are found once for a file. Both are kept in the
feature cache.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import digests, progress
from cpad_jax.features.store import FeatureStore
from cpad_jax.media import images, video
from cpad_jax.media import shots as media_shots
from cpad_jax.models.weights.folder import file_sha256
from cpad_jax.protocols.season.segmentation import Span, frames_of_segments
from cpad_jax.protocols.season.windows import Windows, split_windows

# Frames of a video that are read, embedded and kept together: few, so that batches have any size.
FRAMES = 8
_SHOTS_VERSION = 2  # Raised when `media.shots` would find others, or their file has another form.


class FrameChunks(Sequence):
    """Videos in chunks of `FRAMES` frames, as records of the `clips` schema that are read late.

    Args:
        videos: The files.
        durations: Seconds of each.
        rate: Frames per second, > 0.
        fingerprint: Changes with the videos and the rate.
    """

    def __init__(
        self,
        videos: Sequence[Path],
        durations: Sequence[float],
        rate: float,
        fingerprint: str = '',
    ):
        self._videos, self.fingerprint = videos, fingerprint
        self.times = [frame_times(duration, rate) for duration in durations]
        self._all = [
            (number, start)
            for number, times in enumerate(self.times)
            for start in range(0, len(times), FRAMES)
        ]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number, start = self._all[index]
        times = self.times[number][start : start + FRAMES]
        frames, _ = video.sample_frames(self._videos[number], times=times.tolist())
        return {
            'clip_id': f'{self._videos[number].name} {times[0]:.2f}',
            'frames': [images.encode_jpeg(frame) for frame in frames],
        }


def frame_times(duration: float, rate: float) -> np.ndarray:
    """The middles of the intervals of a video: float64 [max(1, duration · rate, rounded)]."""
    return (np.arange(max(1, round(duration * rate))) + 0.5) / rate


class SeasonFrames:
    """The embedded frames of a season.

    Args:
        videos: The files.
        store: Embeds the frames.
        rate: Frames per second.
    """

    def __init__(self, videos: Sequence[Path], store: FeatureStore, rate: float):
        self._videos, self._directory, self._rate = videos, store.directory, rate
        self._digests = [file_sha256(path) for path in videos]
        self.durations = [video.probe(path).duration for path in videos]
        fingerprint = f'season/{rate}/{"/".join(self._digests)}'
        chunks = FrameChunks(videos, self.durations, rate, fingerprint)
        store = dataclasses.replace(store, frames_per_clip=FRAMES)
        embedded = store.clips(chunks, 'embedding the season')
        flat = embedded.frames[np.arange(FRAMES)[None] < embedded.counts[:, None]]
        lengths = [len(times) for times in chunks.times]
        self._frames = np.split(flat, np.cumsum(lengths)[:-1])
        self._times = chunks.times

    def shots(self) -> list[list[Span]]:
        """The shots of each video, detected or from the cache."""
        shots = []
        bar = progress.bar(
            self._videos, total=len(self._videos), stage='detecting shots', unit='video'
        )
        for path, digest in zip(bar, self._digests, strict=True):
            kept = self._directory / f'shots-{_SHOTS_VERSION}-{digest[:16]}.json'
            shots.append([tuple(span) for span in _kept_shots(kept, path)])
        return shots

    def windows(self, segments: Sequence[Sequence[Span]], seconds: float) -> Windows:
        """The windows of all segments, video after video.

        Args:
            segments: For each video its segments.
            seconds: Length of a window; 0 for whole segments.
        """
        parts = [
            (frames[numbers], times[numbers])
            for frames, times, spans in zip(self._frames, self._times, segments, strict=True)
            for numbers in frames_of_segments(times, spans)
        ]
        size = max(1, round(seconds * self._rate)) if seconds else 0
        return split_windows([frames for frames, _ in parts], [times for _, times in parts], size)


def _kept_shots(kept: Path, video_path: Path) -> list[list[float]]:
    """The shots of a video from a file, which is written where it is missing or damaged."""
    try:
        return digests.read(kept)['shots']
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError) as error:
        progress.say(f'{kept} is damaged ({error}): the shots of {video_path} are detected again')
    shots = [list(span) for span in media_shots.shots(video_path)]
    digests.write(kept, {'shots': shots})
    return shots
