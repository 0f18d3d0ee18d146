"""The rows of a table of results: a method, the form of its queries, and a control."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from cpad_jax.data import flattened_photos
from cpad_jax.errors import UserError

# Query forms as results name them.
NONE, TEXT, IMAGE, TEXT_IMAGE = 'none', 'text', 'image', 'text+image'


@dataclasses.dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: 'CE', 'CLIP', 'CLIP-PAD' or 'CLIP-PAD (name memory)'.
        person_query: Form of the query: 'none', 'text', 'image' or 'text+image'.
        control: None, or the control: one of `CONTROL_NAMES`.
    """

    name: str
    person_query: str
    control: str | None = None

    @property
    def key(self) -> str:
        """A short name that is unique among methods."""
        return '/'.join(filter(None, [self.name, self.person_query, self.control]))

    def variant(self, name: str) -> Method:
        """The row of a variant, such as 'late fusion, closed'."""
        return dataclasses.replace(self, name=f'{self.name}, {name}')


# The rows of the paper's table.
CE = Method('CE', IMAGE)
CLIP = Method('CLIP', TEXT)
PAD_TEXT = Method('CLIP-PAD', TEXT)
PAD_MEMORY = Method('CLIP-PAD (name memory)', TEXT)
PAD_IMAGE = Method('CLIP-PAD', IMAGE)
PAD_TEXT_IMAGE = Method('CLIP-PAD', TEXT_IMAGE)
# Those of `methods.clip_pad.QueryEncoder`, in the order of the table.
EMBEDDED = (CLIP, PAD_TEXT, PAD_MEMORY, PAD_IMAGE, PAD_TEXT_IMAGE)
METHODS = (CE, *EMBEDDED)

# Rows with faces, of `methods.fusion`.
CLIP_FACES = Method('CLIP + faces', TEXT)
LATE_FUSION = Method('late fusion', IMAGE)
WITH_FACES = Method('CLIP-PAD + faces', IMAGE)
WITH_FACES_AND_NAME = Method('CLIP-PAD + faces, name', TEXT_IMAGE)
# Their variants: with the actions and places of the evaluation as the bank of texts, and with
# faces that a detector finds instead of those that the records mark.
CLOSED, DETECTED = 'closed', 'detected'

NO_PERSON = Method('CLIP', NONE, 'no person')
PERSON_ONLY = Method('CLIP-PAD', TEXT_IMAGE, 'person only')
WRONG_PERSON = Method('CLIP-PAD', TEXT_IMAGE, 'wrong person')
WRONG_PHOTO = Method('CLIP-PAD', TEXT_IMAGE, 'wrong photo')
# The same queries with altered clips; see `galleries`.
FIRST_FRAME = Method('CLIP-PAD', TEXT_IMAGE, 'first frame')
SHUFFLED_FRAMES = Method('CLIP-PAD', TEXT_IMAGE, 'shuffled')
BLURRED_FACES = Method('CLIP-PAD', TEXT_IMAGE, 'blurred face')
SPOILED_CLIPS = (FIRST_FRAME, SHUFFLED_FRAMES, BLURRED_FACES)
# The same clips with altered photos; without the name, which would identify the person.
FACE_ONLY = Method('CLIP-PAD', IMAGE, flattened_photos.FACE_ONLY)
HAIR_ONLY = Method('CLIP-PAD', IMAGE, flattened_photos.HAIR_ONLY)
SPOILED_PHOTOS = (FACE_ONLY, HAIR_ONLY)
CONTROLS = (
    NO_PERSON, PERSON_ONLY, WRONG_PERSON, WRONG_PHOTO, *SPOILED_CLIPS, *SPOILED_PHOTOS,
)  # fmt: skip
CONTROL_NAMES = tuple(control.control for control in CONTROLS if control.control)


def controls(names: Sequence[str]) -> tuple[Method, ...]:
    """The controls of these names, in the order of `CONTROLS`.

    Raises:
        UserError: One is unknown.
    """
    for name in names:
        if name not in CONTROL_NAMES:
            raise UserError(
                f'config.eval.controls names {name!r}, expected some of {", ".join(CONTROL_NAMES)}'
            )
    return tuple(control for control in CONTROLS if control.control in names)
