"""Long videos as they are searched: frames embedded once, from which any cutting makes its pieces.

Frames are taken at a steady rate by time. Shots are found once for a file. Both are kept in the
feature cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import digests, progress
from cpad_jax.features import store
from cpad_jax.media import images, video
from cpad_jax.media import shots as media_shots
from cpad_jax.models.weights.folder import file_sha256
from cpad_jax.protocols.season.segmentation import Span, frames_of_segments
from cpad_jax.protocols.season.windows import Windows, split_windows

# Frames of a video that are read, embedded and kept together: few, so that batches have any size.
FRAMES = 8
_SHOTS_VERSION = 2  # Raised when `media.shots` would find others, or their file has another form.


class FrameChunks(Sequence):
    """Videos in stretches of `FRAMES` frames, as records of the `clips` schema that are read late.

    Args:
        videos: The files.
        durations: Seconds of each.
        rate: Frames per second, > 0.
    """

    def __init__(self, videos: Sequence[Path], durations: Sequence[float], rate: float):
        self._videos = videos
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
        frames, _ = video.sample_frames(self._videos[number], times=times)
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
        clip: A `CLIPModel`.
        directory: Of the feature cache.
        rate: Frames per second.
        batch_size: Frames at once, a multiple of `FRAMES` times the number of devices.
        dtype: As in `store.clip_features`.
    """

    def __init__(
        self,
        videos: Sequence[Path],
        clip: Any,
        directory: Path,
        *,
        rate: float,
        batch_size: int,
        dtype: str,
    ):
        self._videos, self._directory, self._rate = videos, directory, rate
        self._digests = [file_sha256(path) for path in videos]
        self.durations = [video.probe(path).duration for path in videos]
        stretches = FrameChunks(videos, self.durations, rate)
        found = store.clip_features(
            stretches, f'season/{rate}/{"/".join(self._digests)}', clip, directory,
            frames_per_clip=FRAMES, batch_size=store.at_once(batch_size, FRAMES),
            dtype=dtype, stage='embedding the season',
        )  # fmt: skip
        flat = found.frames[np.arange(FRAMES)[None] < found.counts[:, None]]
        lengths = [len(times) for times in stretches.times]
        self._frames = np.split(flat, np.cumsum(lengths)[:-1])
        self._times = stretches.times

    def shots(self) -> list[list[Span]]:
        """The shots of each video, found or from the cache."""
        found = []
        bar = progress.bar(
            self._videos, total=len(self._videos), stage='finding shots', unit='video'
        )
        for path, digest in zip(bar, self._digests, strict=True):
            kept = self._directory / f'shots-{_SHOTS_VERSION}-{digest[:16]}.json'
            found.append([tuple(span) for span in _kept_shots(kept, path)])
        return found

    def moments(self, pieces: Sequence[Sequence[Span]], seconds: float) -> Windows:
        """The moments of all pieces, video after video.

        Args:
            pieces: For each video its pieces.
            seconds: Length of a moment; 0 for whole pieces.
        """
        own = [
            (frames[numbers], times[numbers])
            for frames, times, spans in zip(self._frames, self._times, pieces, strict=True)
            for numbers in frames_of_segments(times, spans)
        ]
        size = max(1, round(seconds * self._rate)) if seconds else 0
        return split_windows([frames for frames, _ in own], [times for _, times in own], size)


def _kept_shots(kept: Path, video_path: Path) -> list[Sequence[float]]:
    """The shots of a video from a file, which is written where it is missing or damaged."""
    try:
        return digests.read(kept)['shots']
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError) as error:
        progress.say(f'{kept} is damaged ({error}): the shots of {video_path} are found anew')
    found = [list(span) for span in media_shots.shots(video_path)]
    digests.write(kept, {'shots': found})
    return found
