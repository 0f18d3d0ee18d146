"""Identity models: what the people of a cast look like, from photos of them."""

from __future__ import annotations

import collections
import csv
import dataclasses
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cpad_jax import atomic, progress
from cpad_jax.errors import UserError
from cpad_jax.media import images
from cpad_jax.media.faces import FaceDetector
from cpad_jax.media.labelling.cast import CastMember, plain
from cpad_jax.media.tracks import Embed

_PICTURES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')
# Where the folders of people lie: by themselves, as VGGFace2, or as VGGFace has them.
_PARTS = ('', 'train', 'test', 'images')
_LEAST_AGREEING = 0.5
_MOST_PHOTOS = 60
_MOST_OTHERS, _OTHER_PHOTOS = 200, 12
_OTHER = 'other:'  # Before the folder of somebody out of the cast.


@dataclasses.dataclass(frozen=True, eq=False)
class IdentityModel:
    """What somebody looks like.

    Attributes:
        person_id: Who.
        features: float32 [K, F], rows of length 1: the photos that agree, K >= 1.
        photos: How many there were.
    """

    person_id: str
    features: np.ndarray
    photos: int

    @property
    def feature(self) -> np.ndarray:
        """float32 [F] of length 1: their mean direction."""
        mean = self.features.mean(0)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)


def find_photos(
    directory: str | os.PathLike[str], cast: Iterable[CastMember]
) -> dict[str, list[Path]]:
    """Finds photos of the cast, and of other people, who show what tells people apart.

    Args:
        directory: Holds a folder per person, called by name or `person_id`, at once or in
            `train`, `test` (VGGFace2) or `images` (VGGFace). An `identity_meta.csv` as VGGFace2's
            says which name an id stands for.
        cast: Whom to look for. Somebody without a folder is not among the keys.

    Returns:
        person_id -> picture files, sorted, at most 60, evenly spread; and `other:FOLDER` -> at most
        12 for 200 folders of people out of the cast.

    Raises:
        UserError: There is no such folder, or no picture in it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f'{directory}: there is no such folder of exemplar photos')
    called = _vggface2_names(directory / 'identity_meta.csv')
    wanted = {}
    for member in cast:
        for key in (member.name, member.person_id):
            wanted[plain(key)] = member.person_id
    own, others = collections.defaultdict(list), []
    for part in _PARTS:
        folder = directory / part
        for person in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not person.is_dir() or (not part and person.name in _PARTS):
                continue
            who = wanted.get(plain(person.name)) or wanted.get(called.get(person.name, ''))
            if who:
                own[who] += _pictures(person)
            else:
                others.append(person)
    found = {who: _spread(files, _MOST_PHOTOS) for who, files in own.items() if files}
    for person in _spread(others, _MOST_OTHERS):
        if files := _pictures(person):
            found[f'{_OTHER}{person.relative_to(directory)}'] = _spread(files, _OTHER_PHOTOS)
    if not found:
        raise UserError(
            f'{directory}: no photo was found; expected {directory}/PERSON/PHOTO.jpg, with PERSON '
            'a name or person_id of the cast list'
        )
    return found


def build_models(
    photos: Mapping[str, Sequence[Path]],
    detector: FaceDetector,
    embed: Embed,
    feature: str,
    kept: str | os.PathLike[str],
) -> tuple[list[IdentityModel], list[str]]:
    """Looks at the photos and keeps, for each person, those that show one and the same face.

    Photos out of an image search show other people too. The largest face of each photo counts, and
    faces far from the person's middle one are dropped.

    Args:
        photos: person_id -> files.
        detector: Finds faces.
        embed: Gives a face its feature.
        feature: Says what `detector` and `embed` are, with whatever changes when they would.
        kept: An `.npz` file to keep what was found in, and to take it from if it is there and no
            photo has changed.

    Returns:
        (models of those with a usable photo, what was set aside and why: one line each).
    """
    files = [(who, file) for who, of in photos.items() for file in of]
    stats = [(file, file.stat()) for _, file in files]
    listing = [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in stats]
    key = hashlib.sha256(json.dumps([feature, listing]).encode()).hexdigest()
    features, aside = _read(Path(kept), key) or ({}, [])
    if not features and not aside:
        with progress.bar(total=len(files), stage='looking at exemplars', unit='photo') as bar:
            for number, (_, file) in enumerate(files):
                try:
                    image = images.read_image(file)
                    if faces := detector.detect(image):
                        features[number] = np.asarray(embed(image, faces[:1])[0], np.float32)
                    else:
                        aside.append(f'{file}: no face was found')
                except UserError as error:
                    aside.append(str(error))
                bar.update()
        _write(Path(kept), key, features, aside)
    models = []
    by_person = collections.defaultdict(list)
    for number, row in features.items():
        by_person[files[number][0]].append(row)
    for who, rows in by_person.items():
        stacked = np.stack(rows)
        models.append(IdentityModel(who, stacked[agreeing(stacked)], len(photos[who])))
    return models, aside


def _read(path: Path, key: str) -> tuple[dict[int, np.ndarray], list[str]] | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept['key']) != key:
                return None
            rows = zip(kept['numbers'].tolist(), kept['features'], strict=True)
            return dict(rows), [str(line) for line in kept['aside']]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _write(path: Path, key: str, features: dict[int, np.ndarray], aside: list[str]) -> None:
    with atomic.writing(path) as temporary, temporary.open('wb') as file:
        np.savez_compressed(
            file, key=np.array(key), numbers=np.array([*features], np.int64),
            features=np.array([*features.values()], np.float32), aside=np.array(aside, np.str_),
        )  # fmt: skip


def _pictures(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in _PICTURES and f.is_file())


def _spread(entries: Sequence, most: int) -> list:
    """At most so many of them, evenly spread."""
    step = max(1.0, len(entries) / most)
    return [entries[int(i * step)] for i in range(min(len(entries), most))]


def agreeing(features: np.ndarray) -> np.ndarray:
    """Which photos show the person whom most of them show.

    Args:
        features: float32 [K, F], rows of length 1.

    Returns:
        bool [K]: those at least half as like the middle photo as photos of it commonly are. The
        middle one is the one most like the rest in the median; with one or two photos all stay.
    """
    if len(features) < 3:
        return np.ones(len(features), bool)
    alike = features @ features.T
    np.fill_diagonal(alike, np.nan)
    middle = int(np.nanmedian(alike, axis=1).argmax())
    to_middle = alike[middle].copy()
    to_middle[middle] = 1.0
    common = np.median(to_middle)
    return to_middle >= _LEAST_AGREEING * common if common > 0 else to_middle >= common


def _vggface2_names(path: Path) -> dict[str, str]:
    """Id -> name as compared, of an `identity_meta.csv`; of its many flaws only commas matter."""
    if not path.is_file():
        return {}
    names = {}
    with path.open(encoding='utf-8-sig', errors='replace', newline='') as file:
        for row in csv.reader(file, skipinitialspace=True, quoting=csv.QUOTE_NONE):
            if len(row) < 5:
                continue
            # `n000002, "A_Fine_Frenzy",315,1, f,`: what stands between the id and the last three.
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            names[cells[0]] = plain(' '.join(cells[1:-3]).replace('"', ''))
    return names
