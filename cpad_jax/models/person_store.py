"""People who were fine-tuned, one small file each: listed, loaded, and deleted for good.

A file holds a person's tokens, and their rank-one update if there is one; no photo and nothing of
the model. It is of use with the very model that it was made with, and refused by any other.
"""

from __future__ import annotations

import json
import os
import unicodedata
import urllib.parse
from pathlib import Path

import numpy as np

from cpad_jax import digests, strict_json
from cpad_jax.array_files import digest
from cpad_jax.errors import UserError
from cpad_jax.models.clip_pad import UPDATED_LAYERS
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person import FORMS, Person
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.models.weights import safetensors
from cpad_jax.text import person_names

KIND = 'CLIP-PAD person'
SUFFIX = '.safetensors'
_TOKENS = 'tokens'
_DIGESTS = 'arrays'
_UPDATE = 'update/'
_LONGEST = 200  # Characters of a file's name; file systems take 255 bytes.
_AGAIN = 'fine-tune this person again'


class PersonStore:
    """A folder of people for one model.

    Args:
        folder: Where the files lie; made when the first person is saved.
        model: The model that they were, or will be, fine-tuned with.
    """

    def __init__(self, folder: str | os.PathLike[str], model: PersonalizedCLIP):
        self.folder, self._model = Path(folder), model

    def path(self, name: str) -> Path:
        """The file of a person, in `folder` whatever the name is; it need not be there.

        Raises:
            UserError: The name is empty or too long.
        """
        name = unicodedata.normalize('NFC', name).strip()
        # Nothing that could lead out of the folder or hide a file is left: no /, no first dot.
        safe = urllib.parse.quote(name, safe=" '(),")
        safe = f'%2E{safe[1:]}' if safe.startswith('.') else safe
        if not name or len(safe) > _LONGEST:
            raise UserError(
                f'{name[:40]!r} cannot name the file of a person: expected a name of 1 to '
                f'{_LONGEST} characters, of which each beyond ASCII takes 6 or more'
            )
        return self.folder / (safe + SUFFIX)

    def names(self) -> list[str]:
        """Whose files are there, sorted; whether this model can use them shows when they load."""
        files = self.folder.glob('*' + SUFFIX)
        names = (urllib.parse.unquote(f.name.removesuffix(SUFFIX)) for f in files
                 if not f.name.startswith('.'))  # fmt: skip
        return sorted(names)

    def save(self, person: Person) -> Path:
        """Writes a person, whole or not at all; whoever had that name is replaced.

        Args:
            person: Of this model, with a name.

        Returns:
            The file.

        Raises:
            UserError: The person has no name, or one that names no file.
        """
        path = self.path(person.name or '')
        arrays = {_TOKENS: person.tokens}
        for name, leaf in weights_folder.flatten(person.update or {}).items():
            arrays[_UPDATE + name] = leaf
        arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
        stored = {name: safetensors.Stored(array) for name, array in arrays.items()}
        notes = {
            'kind': KIND,
            'name': person.name,
            'form': person.form,
            'num_images': str(person.num_images),
            'name_in_token': str(person.name_in_token),
            **self._model_notes(),
            _DIGESTS: json.dumps({name: digest(array) for name, array in arrays.items()}),
        }
        safetensors.write(path, stored, digests.sealed(notes))
        return path

    def load(self, name: str) -> Person:
        """Reads a person.

        Args:
            name: One of `names()`, however it is spelt if only one is spelt like it.

        Raises:
            UserError: There is no such person, the file is damaged, or of another model or CLIP.
        """
        path = self._existing(name)
        arrays, notes = safetensors.read_with_notes(path)
        if notes.get('kind') != KIND:
            raise UserError(f'{path} is no file of a person (no "kind": "{KIND}"): {_AGAIN}')
        for key, expected in self._model_notes().items():
            if notes.get(key) != expected:
                what = key.removesuffix('_sha256')
                raise UserError(
                    f'{path} was made with another {what}, of sha256 '
                    f'{str(notes.get(key))[:12]}…, not {expected[:12]}…: load that one, or {_AGAIN}'
                )
        count = notes.get('num_images', '')
        if notes.get('form') not in FORMS or not (count.isdecimal() and len(count) < 10):
            raise UserError(
                f'{path}: form is {notes.get("form")!r} and num_images {count[:20]!r}, expected '
                f'one of {", ".join(FORMS)} and a number: {_AGAIN}'
            )
        self._check(path, arrays)
        _check_digests(path, arrays, notes)
        tokens = np.array(arrays.pop(_TOKENS))
        update = weights_folder.unflatten(
            {key.removeprefix(_UPDATE): np.array(array) for key, array in arrays.items()}
        )
        return Person(
            notes.get('name'), tokens, notes['form'], int(count),
            name_in_token=notes.get('name_in_token') == 'True', update=update or None,
        )  # fmt: skip

    def delete(self, name: str) -> None:
        """Deletes the file of a person of just this name; nothing else keeps what it held.

        Raises:
            UserError: There is no such person.
        """
        self._existing(name, exactly=True).unlink()

    def _existing(self, name: str, exactly: bool = False) -> Path:
        path = self.path(name)
        if not path.is_file():
            there = self.names()
            alike = [known for known in there if person_names.same(known, name)]
            if len(alike) == 1 and not exactly:
                return self.path(alike[0])
            known = f'there are {", ".join(there[:10])}' if there else 'no person is there'
            known += f' and {len(there) - 10} more' if len(there) > 10 else ''
            raise UserError(f'there is no {name!r} in {self.folder}: {known}')
        return path

    def _model_notes(self) -> dict[str, str]:
        return {
            'backbone_sha256': self._model.saved.backbone_sha256,
            'model_sha256': self._model.sha256,
        }

    def _check(self, path: Path, arrays: dict[str, np.ndarray]) -> None:
        """Every array is float32, finite, and of a shape that this model has a place for."""
        text = self._model.clip.config.text
        ranks = {array.shape[-1] for name, array in arrays.items() if name.endswith('/a')}
        expected = {_TOKENS: self._model.default_token.shape}
        for block in range(text.layers if len(ranks) == 1 else 0):
            for layer, (inputs, outputs) in UPDATED_LAYERS.items():
                start, (rank,) = f'{_UPDATE}resblocks.{block}/{layer}', ranks
                if f'{start}/a' in arrays:
                    expected[f'{start}/a'] = (inputs * text.width, rank)
                    expected[f'{start}/b'] = (rank, outputs * text.width)
        weights_folder.check_shapes(
            {k: a.shape for k, a in arrays.items()}, expected, str(path), KIND
        )
        for name, array in arrays.items():
            if array.dtype != np.float32 or not np.isfinite(array).all():
                raise UserError(f'{path}: {name} is not of finite float32 numbers: {_AGAIN}')


def _check_digests(path: Path, arrays: dict[str, np.ndarray], notes: dict[str, str]) -> None:
    """Makes sure that a file is as it was written; one from before there were digests passes."""
    if not {_DIGESTS, digests.KEY} & notes.keys():
        return
    try:
        written = strict_json.parse(digests.opened(notes)[_DIGESTS].encode())
        if written != {name: digest(array) for name, array in arrays.items()}:
            raise ValueError('its numbers are not what was written')
    except (ValueError, KeyError) as error:
        raise UserError(f'{path} is damaged ({error}): {_AGAIN}') from None
