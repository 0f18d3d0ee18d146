"""Identity models of the people of a cast, from photos of them."""

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
from cpad_jax.labelling import array_cache
from cpad_jax.labelling.cast import CastMember
from cpad_jax.media import file_kinds, images
from cpad_jax.media import listing as media_listing
from cpad_jax.media.face_turns import upright_faces
from cpad_jax.media.faces import FaceDetector, without_passers_by
from cpad_jax.media.tracks import Embed
from cpad_jax.text import person_names

# Folders that hold the folders of people: the root, or those of VGGFace2 and VGGFace.
_PARTS = ('', 'train', 'test', 'images')
_INLIER_RATIO = 0.5
_MOST_PHOTOS = 60
_MOST_OTHERS, _OTHER_PHOTOS = 200, 12
_FORMAT = 3  # Of the cache files.
_OTHER = 'other:'  # Prefix of folders of people who are not in the cast.


@dataclasses.dataclass(frozen=True, eq=False)
class IdentityModel:
    """The face features of a person.

    Attributes:
        person_id: The person.
        features: float32 [K, F], L2-normalised rows: the inliers of the photos, K >= 1.
        photos: Number of photos before the selection.
    """

    person_id: str
    features: np.ndarray
    photos: int

    @property
    def feature(self) -> np.ndarray:
        """float32 [F], L2-normalised: the mean direction of the features."""
        mean = self.features.mean(0)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)


def find_photos(
    directory: str | os.PathLike[str], cast: Iterable[CastMember]
) -> tuple[dict[str, list[Path]], list[str]]:
    """Finds photos of the cast, and of other people, which train the whitening.

    Args:
        directory: Holds a folder per person, named by name or `person_id`, directly or in
            `train`, `test` (VGGFace2) or `images` (VGGFace). An `identity_meta.csv` as VGGFace2's
            maps ids to names.
        cast: The people to find. A person without a folder is not among the keys.

    Returns:
        (person_id -> picture files, sorted, at most 60, evenly spread, and `other:FOLDER` -> at
        most 12 for 200 folders of people outside the cast; all folders of people outside the cast)

    Raises:
        UserError: The folder is missing or holds no picture.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f'{directory}: there is no such folder of exemplar photos')
    names_by_id = _vggface2_names(directory / 'identity_meta.csv')
    person_ids = {}
    for member in cast:
        for key in (member.name, member.person_id):
            person_ids[person_names.key(key)] = member.person_id
    cast_photos, others = collections.defaultdict(list), []
    for part in _PARTS:
        folder = directory / part
        for person in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not person.is_dir() or (not part and person.name in _PARTS):
                continue
            person_id = person_ids.get(person_names.key(person.name))
            person_id = person_id or person_ids.get(names_by_id.get(person.name, ''))
            if person_id:
                cast_photos[person_id] += _pictures(person)
            else:
                others.append(person)
    photos = {
        person_id: _spread(files, _MOST_PHOTOS) for person_id, files in cast_photos.items() if files
    }
    for person in _spread(others, _MOST_OTHERS):
        if files := _pictures(person):
            photos[f'{_OTHER}{person.relative_to(directory)}'] = _spread(files, _OTHER_PHOTOS)
    if not photos:
        raise UserError(
            f'{directory}: no photo was found; expected {directory}/PERSON/PHOTO.jpg, with PERSON '
            'a name or person_id of the cast list'
        )
    return photos, [str(person.relative_to(directory)) for person in others]


def build_models(
    photos: Mapping[str, Sequence[Path]],
    detector: FaceDetector,
    embed: Embed,
    feature: str,
    folder: str | os.PathLike[str],
) -> tuple[list[IdentityModel], list[str]]:
    """Builds identity models from the photos of each person that show the same face.

    Photos from an image search show other people, too. Faces far from the person's medoid are
    dropped. Of a photo with several faces, `choose_face` chooses one; without one, the photo is
    rejected. Faces less than a quarter as high as the largest one are passers-by.

    Args:
        photos: person_id -> files.
        detector: Finds faces.
        embed: Embeds faces.
        feature: Identifies `detector` and `embed`; caches of other ones are not used.
        folder: Folder of the cache, a file for each person, written as soon as their photos are
            processed. A person whose photos have changed is processed again.

    Returns:
        (models of the people with a usable photo, one line for each rejected photo with the
        reason).
    """
    models, rejected = [], []
    total = sum(map(len, photos.values()))
    with progress.bar(total=total, stage='embedding exemplars', unit='photo') as bar:
        for person_id, files in photos.items():
            features, unused = _cached_features(
                person_id, files, detector, embed, feature, Path(folder)
            )
            if len(features):
                models.append(IdentityModel(person_id, features[inliers(features)], len(files)))
            rejected += unused
            bar.update(len(files))
    return models, rejected


def _cached_features(
    person_id: str, files: Sequence[Path], detector: FaceDetector, embed: Embed, feature: str,
    folder: Path,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """The features of a person's photos, float32 [K, F], and the unusable ones with the reasons."""
    stats = [(file, file.stat()) for file in files]
    listing = [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in stats]
    key, cache = (
        json.dumps([_FORMAT, person_id, feature, listing]),
        array_cache.cache_path(folder, f'photos of {person_id}'),
    )
    arrays = array_cache.read(cache, key) or {}
    if {'features', 'aside'} <= arrays.keys():
        return arrays['features'], [str(line) for line in arrays['aside']]
    faces_by_file: dict[Path, np.ndarray] = {}
    unusable: dict[Path, str] = {}
    for file in files:
        try:
            image, detected, _ = upright_faces(images.read_image(file), detector)
            if faces := without_passers_by(detected):
                faces_by_file[file] = np.asarray(embed(image, faces), np.float32)
            else:
                unusable[file] = f'{file}: no face was found, however the photo is turned'
        except UserError as error:
            unusable[file] = str(error)
    alone = np.array([faces[0] for faces in faces_by_file.values() if len(faces) == 1], np.float32)
    rows = []
    for file, faces in faces_by_file.items():
        chosen = 0 if len(faces) == 1 else choose_face(faces, alone)
        if chosen is not None:
            rows.append(faces[chosen])
            continue
        unusable[file] = (
            f'{file}: {len(faces)} faces were found, and the photos that show this person alone do '
            'not determine which one is meant; crop the photo to it'
        )
    features, rejected = np.array(rows, np.float32), [unusable[f] for f in files if f in unusable]
    array_cache.write(cache, key, {'features': features, 'aside': np.array(rejected, np.str_)})
    return features, rejected


def _pictures(folder: Path) -> list[Path]:
    return list(media_listing.list_files(folder, file_kinds.PICTURE, deep=False).files)


def _spread(entries: Sequence, most: int) -> list:
    """At most `most` entries, evenly spread."""
    step = max(1.0, len(entries) / most)
    return [entries[int(i * step)] for i in range(min(len(entries), most))]


def inliers(features: np.ndarray) -> np.ndarray:
    """Selects the photos that show the person whom most of them show.

    Args:
        features: float32 [K, F], L2-normalised rows.

    Returns:
        bool [K]: photos whose cosine with the medoid is at least half the median one. The medoid
        has the highest median cosine with the rest; with one or two photos all are selected.
    """
    if len(features) < 3:
        return np.ones(len(features), bool)
    similarity = features @ features.T
    np.fill_diagonal(similarity, np.nan)
    medoid = int(np.nanmedian(similarity, axis=1).argmax())
    to_medoid = similarity[medoid].copy()
    to_medoid[medoid] = 1.0
    typical = np.median(to_medoid)
    return to_medoid >= _INLIER_RATIO * typical if typical > 0 else to_medoid >= typical


def choose_face(faces: np.ndarray, alone: np.ndarray) -> int | None:
    """Chooses the face of a photo that shows the person whom other photos show alone.

    Args:
        faces: float32 [M, F], L2-normalised rows: the faces of one photo.
        alone: float32 [K, F], L2-normalised rows: the faces of photos with one face.

    Returns:
        The only face whose median cosine with the inlier photos is at least half of that among
        these. None with two such faces or none, or with fewer than two photos, as these give no
        typical cosine of this person's photos.
    """
    reference = alone[inliers(alone)]
    if len(reference) < 2:
        return None
    typical = np.median((reference @ reference.T)[np.triu_indices(len(reference), 1)])
    close = np.flatnonzero(np.median(faces @ reference.T, axis=1) >= _INLIER_RATIO * typical)
    return int(close[0]) if len(close) == 1 and typical > 0 else None


def _vggface2_names(path: Path) -> dict[str, str]:
    """Id -> normalised name, from an `identity_meta.csv`, whose names may hold commas."""
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
