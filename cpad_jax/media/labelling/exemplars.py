"""Identity models: what the people of a cast look like, from photos of them."""

from __future__ import annotations

import collections
import csv
import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from cpad_jax import progress
from cpad_jax.errors import UserError
from cpad_jax.media import images
from cpad_jax.media.faces import Face, FaceDetector
from cpad_jax.media.labelling.cast import CastMember, plain

# (image uint8 [H, W, 3] RGB, N faces in it) -> float32 [N, F], rows of length 1.
Embed = Callable[[np.ndarray, Sequence[Face]], np.ndarray]

_PICTURES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')
# Where the folders of people lie: by themselves, as VGGFace2, or as VGGFace has them.
_PARTS = ('', 'train', 'test', 'images')
_LEAST_AGREEING = 0.5
_MOST_PHOTOS = 60


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
    """Finds the photos of those in the cast of whom there are some.

    Args:
        directory: Holds a folder per person, called by name or `person_id`, at once or in
            `train`, `test` (VGGFace2) or `images` (VGGFace). An `identity_meta.csv` as VGGFace2's
            says which name an id stands for.
        cast: Whom to look for; everybody else's photos are left alone.

    Returns:
        person_id -> picture files, sorted.

    Raises:
        UserError: There is no such folder.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f'{directory}: there is no such folder of exemplar photos')
    called = _vggface2_names(directory / 'identity_meta.csv')
    wanted = {}
    for member in cast:
        for key in (member.name, member.person_id):
            wanted[plain(key)] = member.person_id
    found = collections.defaultdict(list)
    for part in _PARTS:
        folder = directory / part
        for person in sorted(folder.iterdir()) if folder.is_dir() else ():
            who = wanted.get(plain(person.name)) or wanted.get(called.get(person.name, ''))
            if who and person.is_dir():
                found[who] += sorted(
                    file for file in person.iterdir() if file.suffix.lower() in _PICTURES
                )
    return {who: files for who, files in found.items() if files}


def build_models(
    photos: dict[str, list[Path]], detector: FaceDetector, embed: Embed
) -> tuple[list[IdentityModel], list[str]]:
    """Looks at the photos and keeps, for each person, those that show one and the same face.

    Photos out of an image search show other people too. The largest face of each photo counts, and
    faces far from the person's middle one are dropped.

    Args:
        photos: person_id -> files; of each person at most 60, evenly spread, are used.
        detector: Finds faces.
        embed: Gives a face its feature.

    Returns:
        (models of those with a usable photo, what was set aside and why: one line each).
    """
    models, aside = [], []
    chosen = {
        who: [files[i] for i in np.unique(np.linspace(0, len(files) - 1, _MOST_PHOTOS).round())
              .astype(int)]
        for who, files in photos.items()
    }  # fmt: skip
    total = sum(map(len, chosen.values()))
    with progress.bar(total=total, stage='looking at exemplar photos', unit='photo') as bar:
        for who, files in chosen.items():
            features = []
            for file in files:
                try:
                    image = images.read_image(file)
                    if faces := detector.detect(image):
                        features.append(embed(image, faces[:1])[0])
                    else:
                        aside.append(f'{file}: no face was found')
                except UserError as error:
                    aside.append(str(error))
                bar.update()
            if features:
                stacked = np.asarray(features, np.float32)
                kept = stacked[agreeing(stacked)]
                models.append(IdentityModel(who, kept, len(files)))
    return models, aside


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
