"""Face tracks of all videos of a title, computed once and cached in a folder."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from cpad_jax import progress
from cpad_jax.errors import UserError
from cpad_jax.labelling import array_cache, subtitle_files
from cpad_jax.media import file_kinds, listing
from cpad_jax.media import shots as media_shots
from cpad_jax.media import video as media_video
from cpad_jax.media.faces import FaceDetector
from cpad_jax.media.tracks import Embed, FaceTrack, track_faces
from cpad_jax.printable import in_utf8

# Sampled frames per second: a person who turns or walks moves less than a face in between.
RATE = 5.0
_FORMAT = 1  # Of the cache files.


@dataclasses.dataclass(frozen=True, eq=False)
class VideoFaces:
    """The shots of a video, (start, end) in seconds, and the face tracks of each."""

    shots: tuple[tuple[float, float], ...]
    tracks: tuple[tuple[FaceTrack, ...], ...]


def find_videos(
    paths: Iterable[str | os.PathLike[str]], report: Callable[[str], None] = lambda line: None
) -> dict[str, Path]:
    """Lists videos by their names in the annotation table.

    Args:
        paths: Video files, and folders that are searched recursively; see `listing`.
        report: Called with one line per folder that names the skipped files.

    Returns:
        Path relative to the given folder, or the file's name -> file; sorted by it. Hidden
        files are not among them.

    Raises:
        UserError: No video was found, or the clips of two videos would have the same name.
    """
    videos: dict[str, Path] = {}
    by_stem: dict[str, Path] = {}
    skipped: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            listed = listing.list_files(path, file_kinds.VIDEO)
            if summary := listed.summary(path, but=subtitle_files.ENDINGS):
                skipped.append(summary)
            named = {file.relative_to(path).as_posix(): file for file in listed.files}
        elif path.is_file():
            named = {path.name: path}
        else:
            raise UserError(f'{path}: there is no such video, nor folder of videos')
        for name, file in named.items():
            stem = clip_stem(name)
            if stem in by_stem:
                raise UserError(
                    f'{file}: its clips would be called {stem} as those of {by_stem[stem]}; '
                    'give the folder above both, or rename one'
                )
            videos[name] = by_stem[stem] = file
    if not videos:
        raise UserError('; '.join(['no video was found', *skipped]))
    for line in skipped:
        report(line)
    return dict(sorted(videos.items()))


def clip_stem(video: str) -> str:
    """Stem of the clip ids of a video: `a_b` for `a/b.mp4`."""
    return in_utf8(PurePosixPath(video).with_suffix('').as_posix().replace('/', '_'))


def find_faces(
    videos: Mapping[str, Path],
    detector: FaceDetector,
    embed: Embed,
    feature: str,
    folder: str | os.PathLike[str],
) -> tuple[dict[str, VideoFaces], list[str]]:
    """Tracks the faces of all videos, and caches the tracks.

    Args:
        videos: Name -> file.
        detector: Finds faces.
        embed: Embeds faces.
        feature: Identifies `detector` and `embed`; caches of other ones are not used.
        folder: Folder of the cache. A video that has changed is processed again.

    Returns:
        (name -> faces, one line for each rejected video with the reason).
    """
    faces, rejected = {}, []
    with progress.bar(total=len(videos), stage='following faces', unit='video') as bar:
        for name, path in videos.items():
            try:
                faces[name] = _cached_faces(name, path, detector, embed, feature, Path(folder))
            except UserError as error:
                rejected.append(str(error))
            bar.update()
    return faces, rejected


def _cached_faces(
    name: str, path: Path, detector: FaceDetector, embed: Embed, feature: str, folder: Path
) -> VideoFaces:
    stat = path.stat()
    key = json.dumps([_FORMAT, name, stat.st_size, stat.st_mtime_ns, feature, RATE])
    cache = array_cache.cache_path(folder, name)
    arrays = array_cache.read(cache, key)
    faces = None if arrays is None else _unpack(arrays)
    if faces is None:
        faces = _track_video(path, detector, embed)
        array_cache.write(cache, key, _pack(faces))
    return faces


def _track_video(path: Path, detector: FaceDetector, embed: Embed) -> VideoFaces:
    shots = tuple(media_shots.shots(path))
    starts = [start for start, _ in shots]
    # In the middles of intervals, so that a video's last time is before its end.
    times = (np.arange(max(1, round(shots[-1][1] * RATE))) + 0.5) / RATE
    frames = media_video.iterate_frames(path, times.tolist())
    tracks: dict[int, tuple[FaceTrack, ...]] = {}
    # A frame belongs to the shot in which it begins.
    by_shot = itertools.groupby(
        _without_repeats(frames),
        lambda entry: int(np.searchsorted(starts, entry[1] + 1e-3, 'right')) - 1,
    )
    for number, shot_frames in by_shot:
        tracks[number] = tuple(track_faces(shot_frames, detector, embed))
    return VideoFaces(shots, tuple(tracks.get(number, ()) for number in range(len(shots))))


def _without_repeats(
    frames: Iterable[tuple[np.ndarray, float]],
) -> Iterable[tuple[np.ndarray, float]]:
    """Drops repeated frames, which occur in videos of a lower frame rate than `RATE`."""
    last = -1.0
    for frame, time in frames:
        if time > last:
            yield frame, time
            last = time


def _pack(faces: VideoFaces) -> dict[str, np.ndarray]:
    flat = [track for shot_tracks in faces.tracks for track in shot_tracks]
    arrays = {
        'shots': np.asarray(faces.shots, np.float64).reshape(-1, 2),
        'counts': np.array([len(shot_tracks) for shot_tracks in faces.tracks], np.int64),
        'lengths': np.array([len(track.times) for track in flat], np.int64),
    }
    if flat:
        arrays |= {
            'times': np.concatenate([track.times for track in flat]),
            'boxes': np.concatenate([track.boxes for track in flat]),
            'quality': np.concatenate([track.quality for track in flat]),
            'features': np.stack([track.feature for track in flat]),
            'crops': np.stack([track.crop for track in flat]),
        }
    return arrays


def _unpack(arrays: Mapping[str, np.ndarray]) -> VideoFaces | None:
    """The faces, or None if the arrays are inconsistent."""
    try:
        lengths, tracks = arrays['lengths'], iter(())
        if len(lengths):
            ends = np.cumsum(lengths)[:-1]
            tracks = itertools.starmap(FaceTrack, zip(
                np.split(arrays['times'], ends), np.split(arrays['boxes'], ends),
                np.split(arrays['quality'], ends), arrays['features'], arrays['crops'],
                strict=True,
            ))  # fmt: skip
        return VideoFaces(
            tuple((float(start), float(end)) for start, end in arrays['shots']),
            tuple(tuple(itertools.islice(tracks, int(count))) for count in arrays['counts']),
        )
    except (ValueError, KeyError):
        return None
