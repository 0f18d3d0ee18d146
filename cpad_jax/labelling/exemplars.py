"""Identity models: what the people of a cast look like, from photos of them."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cpad_jax import progress
from cpad_jax.errors import UserError
from cpad_jax.labelling import kept
from cpad_jax.labelling.cast import CastMember
from cpad_jax.media import file_kinds, images
from cpad_jax.media import listing as media_listing
from cpad_jax.media.face_turns import upright_faces
from cpad_jax.media.faces import FaceDetector, without_passers_by
from cpad_jax.media.tracks import Embed
from cpad_jax.text import person_names

# Where the folders of people lie: by themselves, as VGGFace2, or as VGGFace has them.
_PARTS = ('', 'train', 'test', 'images')
_LEAST_AGREEING = 0.5
_MOST_PHOTOS = 60
_MOST_OTHERS, _OTHER_PHOTOS = 200, 12
_FORMAT = 3  # Of the kept files.
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
) -> tuple[dict[str, list[Path]], list[str]]:
    """Finds photos of the cast, and of other people, who show what tells people apart.

    Args:
        directory: Holds a folder per person, called by name or `person_id`, at once or in
            `train`, `test` (VGGFace2) or `images` (VGGFace). An `identity_meta.csv` as VGGFace2's
            says which name an id stands for.
        cast: Whom to look for. Somebody without a folder is not among the keys.

    Returns:
        (person_id -> picture files, sorted, at most 60, evenly spread, and `other:FOLDER` -> at
        most 12 for 200 folders of people out of the cast; all folders of people out of the cast)

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
            wanted[person_names.key(key)] = member.person_id
    own, others = collections.defaultdict(list), []
    for part in _PARTS:
        folder = directory / part
        for person in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not person.is_dir() or (not part and person.name in _PARTS):
                continue
            who = wanted.get(person_names.key(person.name))
            who = who or wanted.get(called.get(person.name, ''))
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
    return found, [str(person.relative_to(directory)) for person in others]


def build_models(
    photos: Mapping[str, Sequence[Path]],
    detector: FaceDetector,
    embed: Embed,
    feature: str,
    folder: str | os.PathLike[str],
) -> tuple[list[IdentityModel], list[str]]:
    """Looks at the photos and keeps, for each person, those that show one and the same face.

    Photos out of an image search show other people too. Faces far from the person's middle one are
    dropped. Of a photo with several faces the one counts that `told_apart` tells; it is set aside
    where none is. Faces less than a quarter as high as the largest one are passers-by.

    Args:
        photos: person_id -> files.
        detector: Finds faces.
        embed: Gives a face its feature.
        feature: Says what `detector` and `embed` are, with whatever changes when they would.
        folder: Where to keep what was found, a file for each person, written as soon as their
            photos are done. Somebody whose photos have changed is looked at anew.

    Returns:
        (models of those with a usable photo, what was set aside and why: one line each).
    """
    models, aside = [], []
    total = sum(map(len, photos.values()))
    with progress.bar(total=total, stage='looking at exemplars', unit='photo') as bar:
        for who, files in photos.items():
            features, unused = _kept_or_seen(who, files, detector, embed, feature, Path(folder))
            if len(features):
                models.append(IdentityModel(who, features[agreeing(features)], len(files)))
            aside += unused
            bar.update(len(files))
    return models, aside


def _kept_or_seen(
    who: str, files: Sequence[Path], detector: FaceDetector, embed: Embed, feature: str,
    folder: Path,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """The features of a person's photos, float32 [K, F], and which could not be used and why."""
    stats = [(file, file.stat()) for file in files]
    listing = [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in stats]
    key, place = (
        json.dumps([_FORMAT, who, feature, listing]),
        kept.place(folder, f'photos of {who}'),
    )
    arrays = kept.read(place, key) or {}
    if {'features', 'aside'} <= arrays.keys():
        return arrays['features'], [str(line) for line in arrays['aside']]
    seen: dict[Path, np.ndarray] = {}
    unusable: dict[Path, str] = {}
    for file in files:
        try:
            image, found, _ = upright_faces(images.read_image(file), detector)
            if faces := without_passers_by(found):
                seen[file] = np.asarray(embed(image, faces), np.float32)
            else:
                unusable[file] = f'{file}: no face was found, however the photo is turned'
        except UserError as error:
            unusable[file] = str(error)
    alone = np.array([faces[0] for faces in seen.values() if len(faces) == 1], np.float32)
    rows = []
    for file, faces in seen.items():
        chosen = 0 if len(faces) == 1 else told_apart(faces, alone)
        if chosen is not None:
            rows.append(faces[chosen])
            continue
        unusable[file] = (
            f'{file}: {len(faces)} faces were found, and the photos that show this person alone do '
            'not tell which is meant; crop the photo to it'
        )
    features, aside = np.array(rows, np.float32), [unusable[f] for f in files if f in unusable]
    kept.write(place, key, {'features': features, 'aside': np.array(aside, np.str_)})
    return features, aside


def _pictures(folder: Path) -> list[Path]:
    return list(media_listing.list_files(folder, file_kinds.PICTURE, deep=False).files)


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


def told_apart(faces: np.ndarray, alone: np.ndarray) -> int | None:
    """Which face of a photo is the person whom other photos show alone.

    Args:
        faces: float32 [M, F], rows of length 1: the faces of one photo.
        alone: float32 [K, F], rows of length 1: the faces of photos with one face.

    Returns:
        The only face that is, in the median, at least half as like the photos that agree as these
        are to each other. None where there are two such faces or none, or fewer than two photos,
        which do not tell how like each other photos of this person are.
    """
    own = alone[agreeing(alone)]
    if len(own) < 2:
        return None
    common = np.median((own @ own.T)[np.triu_indices(len(own), 1)])
    fits = np.flatnonzero(np.median(faces @ own.T, axis=1) >= _LEAST_AGREEING * common)
    return int(fits[0]) if len(fits) == 1 and common > 0 else None


def _vggface2_names(path: Path) -> dict[str, str]:
    """Id -> name as compared, of an `identity_meta.csv`; of its many flaws only commas matter."""
    if not path.is_file():
        return {}
    names = {}
    with path.open(encoding='utf-8-sig', errors='replace') as file:
        for line in file:
            # `n000002, "A_Fine_Frenzy",315,1, f,`: what stands between the id and the last three.
            cells = [cell.strip() for cell in line.split(',')]
            if len(cells) < 5 or not cells[0]:
                continue
            while not cells[-1]:
                cells.pop()
            names[cells[0]] = person_names.key(' '.join(cells[1:-3]))
    return names
