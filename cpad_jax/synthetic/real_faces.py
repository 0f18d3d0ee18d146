"""Real face crops in place of drawn heads, from a folder in VGGFace2's layout."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.media import images
from cpad_jax.synthetic import canvas, heads
from cpad_jax.synthetic.people import UNSEEN_OFFSET

# Every fourth picture is for queries, every fourth for clips, the rest for training: no face
# picture has two uses.
_USES = {'train': (0, 1), 'references': (2,), 'clips': (3,)}


# Endings of face pictures, in any case.
_ENDINGS = ('.jpg', '.jpeg', '.png')
# Fewest pictures of a person, so that each use has one.
_FEWEST = 4


class FaceBank:
    """The face pictures of a folder, one subfolder per person.

    Attributes:
        people: The pictures of each subfolder that has enough, in the order of names.

    Args:
        folder: Path of `DIR` in `DIR/n000002/0001_01.jpg`; at least 4 pictures per person.

    Raises:
        UserError: The folder has no such pictures.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self.people: list[list[Path]] = []
        known: set[Path] = set()
        for directory in sorted(path for path in Path(folder).glob('*') if path.is_dir()):
            files = sorted(f for f in directory.iterdir() if f.suffix.lower() in _ENDINGS)
            # A link to another subfolder would be the same person once more.
            if len(files) >= _FEWEST and directory.resolve() not in known:
                known.add(directory.resolve())
                self.people.append(files)
        if not self.people:
            raise UserError(
                f'faces_dir {folder}: no subfolder with 4 or more .jpg files; expected '
                'FOLDER/n000002/0001_01.jpg as in VGGFace2'
            )

    def assign(self, seen: int, unseen: Iterable[int]) -> dict[int, int]:
        """Assigns a different subfolder to each person of a world.

        Seen person i has subfolder i in every world. Unseen people get the others from the
        end: the same ones in every world of these sizes, if there is a subfolder for each
        unseen person that one of those worlds may cast.

        Args:
            seen: Number of seen people, who are numbered from 0.
            unseen: Numbers of the unseen people, from `UNSEEN_OFFSET` on.

        Returns:
            Person number → index into `people`, each index once.

        Raises:
            UserError: There are more people than subfolders.
        """
        unseen, available = sorted(set(unseen)), len(self.people)
        needed = seen + len(unseen)
        if needed > available:
            raise UserError(
                f'faces_dir has {available} people with {_FEWEST} or more pictures, but the world '
                f'needs {needed}, a subfolder each ({seen} seen_people, {len(unseen)} '
                f'unseen_people): lower seen_people or unseen_people, or add people to '
                f'{self._folder}'
            )
        assigned = {person: person for person in range(seen)}
        spare, taken = available - seen, set()
        for person in unseen:
            slot = (person - UNSEEN_OFFSET) % spare
            while slot in taken:
                slot = (slot + 1) % spare
            taken.add(slot)
            assigned[person] = available - 1 - slot
        return assigned

    def head(self, index: int, use: str, seed: int, size: int) -> heads.Head:
        """A face crop as a head, `size` × `size` pixels.

        Args:
            index: Index of the person in `people`.
            use: 'train', 'references' or 'clips'; each has its own pictures.
            seed: Selects the picture.
            size: Side of the sprite, pixels.
        """
        files = [file for i, file in enumerate(self.people[index]) if i % 4 in _USES[use]]
        return _head(str(files[seed % len(files)]), size)


@functools.lru_cache(maxsize=256)
def _head(path: str, size: int) -> heads.Head:
    picture = images.read_image(Path(path))
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    # A loose crop holds the face in its middle 70 %; that part becomes the head's height.
    square = canvas.resize(picture[top : top + side, left : left + side], size, size)
    share = heads.HEAD_SHARE / 0.78
    middle = (np.array(heads.CENTRE) - 0.5 * share) * size
    matrix = np.array([[share, 0, middle[0]], [0, share, middle[1]]], np.float64)
    rgb = images.warp(square, matrix, size, size)
    alpha = np.zeros((size, size, 1), np.uint8)
    centre = np.array(heads.CENTRE) * size
    unit = heads.HEAD_SHARE * size
    canvas.ellipse(alpha, centre, (0.4 * unit, 0.54 * unit), (255,))
    alpha = images.blur(alpha, size / 60)[:, :, None]
    box = (centre[1] - 0.4 * unit, centre[0] - 0.34 * unit, centre[1] + 0.46 * unit,
           centre[0] + 0.34 * unit)  # fmt: skip
    landmarks = centre + unit * np.array(
        [[-0.16, -0.06], [0.16, -0.06], [0, 0.1], [-0.13, 0.26], [0.13, 0.26]]
    )
    return heads.Head(np.concatenate([rgb, alpha], axis=2), box, landmarks.astype(np.float32))
