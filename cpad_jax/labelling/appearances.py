"""Finds every face track of every video of a title, once: what was found is kept in a folder."""

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
from cpad_jax.labelling import kept, subtitle_files
from cpad_jax.media import file_kinds, listing
from cpad_jax.media import shots as media_shots
from cpad_jax.media import video as media_video
from cpad_jax.media.faces import FaceDetector
from cpad_jax.media.tracks import Embed, FaceTrack, track_faces
from cpad_jax.printable import in_utf8

# Frames per second that are looked at: somebody who turns or walks moves less than a face between.
RATE = 5.0
_FORMAT = 1  # Of the kept files.


@dataclasses.dataclass(frozen=True, eq=False)
class VideoFaces:
    """The shots of a video, (start, end) in seconds, and the face tracks of each."""

    shots: tuple[tuple[float, float], ...]
    tracks: tuple[tuple[FaceTrack, ...], ...]


def find_videos(
    paths: Iterable[str | os.PathLike[str]], tell: Callable[[str], None] = lambda line: None
) -> dict[str, Path]:
    """Lists videos by the name that the annotation table gives them.

    Args:
        paths: Video files, and folders that are searched with all that is in them; see `listing`.
        tell: Is told, in a line per folder, what was passed over there.

    Returns:
        Path relative to the given folder, or the file's name -> file; sorted by it. Hidden
        files are not among them.

    Raises:
        UserError: There is nothing there, or the clips of two videos would bear one name.
    """
    found: dict[str, Path] = {}
    by_stem: dict[str, Path] = {}
    passed_over: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            listed = listing.list_files(path, file_kinds.VIDEO)
            if said := listed.summary(path, but=subtitle_files.ENDINGS):
                passed_over.append(said)
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
            found[name] = by_stem[stem] = file
    if not found:
        raise UserError('; '.join(['no video was found', *passed_over]))
    for line in passed_over:
        tell(line)
    return dict(sorted(found.items()))


def clip_stem(video: str) -> str:
    """What the clips of `a/b.mp4` are called: `a_b`."""
    return in_utf8(PurePosixPath(video).with_suffix('').as_posix().replace('/', '_'))


def find_faces(
    videos: Mapping[str, Path],
    detector: FaceDetector,
    embed: Embed,
    feature: str,
    folder: str | os.PathLike[str],
) -> tuple[dict[str, VideoFaces], list[str]]:
    """Follows the faces of all videos, and keeps what was found for the next time.

    Args:
        videos: Name -> file.
        detector: Finds faces.
        embed: Gives a face its feature.
        feature: Says what `detector` and `embed` are, with whatever changes when they would.
        folder: Where to keep what was found. A video that has changed is looked at anew.

    Returns:
        (name -> faces, what was set aside and why: one line each).
    """
    found, aside = {}, []
    with progress.bar(total=len(videos), stage='following faces', unit='video') as bar:
        for name, path in videos.items():
            try:
                found[name] = _kept_or_found(name, path, detector, embed, feature, Path(folder))
            except UserError as error:
                aside.append(str(error))
            bar.update()
    return found, aside


def _kept_or_found(
    name: str, path: Path, detector: FaceDetector, embed: Embed, feature: str, folder: Path
) -> VideoFaces:
    stat = path.stat()
    key = json.dumps([_FORMAT, name, stat.st_size, stat.st_mtime_ns, feature, RATE])
    place = kept.place(folder, name)
    arrays = kept.read(place, key)
    faces = None if arrays is None else _unpack(arrays)
    if faces is None:
        faces = _follow(path, detector, embed)
        kept.write(place, key, _pack(faces))
    return faces


def _follow(path: Path, detector: FaceDetector, embed: Embed) -> VideoFaces:
    parts = tuple(media_shots.shots(path))
    starts = [start for start, _ in parts]
    # In the middles of intervals, so that a video's last time is before its end.
    times = (np.arange(max(1, round(parts[-1][1] * RATE))) + 0.5) / RATE
    frames = media_video.iterate_frames(path, times.tolist())
    tracks: dict[int, tuple[FaceTrack, ...]] = {}
    # A frame belongs to the shot in which it begins.
    in_shots = itertools.groupby(
        _once(frames), lambda entry: int(np.searchsorted(starts, entry[1] + 1e-3, 'right')) - 1
    )
    for number, of_shot in in_shots:
        tracks[number] = tuple(track_faces(of_shot, detector, embed))
    return VideoFaces(parts, tuple(tracks.get(number, ()) for number in range(len(parts))))


def _once(frames: Iterable[tuple[np.ndarray, float]]) -> Iterable[tuple[np.ndarray, float]]:
    """Leaves out frames that come again, as they do where a video has fewer than are asked for."""
    last = -1.0
    for frame, time in frames:
        if time > last:
            yield frame, time
            last = time


def _pack(faces: VideoFaces) -> dict[str, np.ndarray]:
    flat = [track for of_shot in faces.tracks for track in of_shot]
    arrays = {
        'shots': np.asarray(faces.shots, np.float64).reshape(-1, 2),
        'counts': np.array([len(of_shot) for of_shot in faces.tracks], np.int64),
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
    """The faces, or None where the arrays do not go together."""
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
