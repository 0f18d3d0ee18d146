"""A CLIP with its weights, ready to embed images and texts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from cpad_jax.errors import UserError
from cpad_jax.media import images as media_images
from cpad_jax.models import visual_prompts
from cpad_jax.models.clip import CLIP
from cpad_jax.models.config import DTYPES, CLIPConfig
from cpad_jax.models.weights import folder
from cpad_jax.text.file_tokenizer import FileTokenizer
from cpad_jax.text.tokenizer import ClipTokenizer, Tokenizer

SHIPPED = Path(__file__).with_name('shipped')
TOKENIZER_FILE = 'tokenizer.json'

# Inputs are padded to one of these, so that few programs are compiled; more go in several turns.
_BATCH_SIZES = (1, 8, 64)


class CLIPModel:
    """CLIP's two towers with their weights.

    Attributes:
        config: Sizes.
        params: The parameter tree, float32, on the default device.
        sha256: Of `weights.safetensors`: what features and checkpoints belong to.
        tokenizer: Of the text tower.
        model: The Flax module.
    """

    def __init__(
        self,
        config: CLIPConfig,
        params: Any,
        sha256: str,
        dtype: str | Any = 'float32',
        tokenizer: Tokenizer | None = None,
    ):
        """Puts the parameters onto the default device.

        Args:
            config: Sizes.
            params: The parameter tree.
            sha256: Of the file the parameters come from.
            dtype: Type of the factors in matrix products, 'float32' or 'bfloat16'.
            tokenizer: Of the text tower; None for CLIP's own, if that is what the model has.
        """
        self.config = config
        self.params = jax.device_put(params)
        self.sha256 = sha256
        self.tokenizer = tokenizer or open_tokenizer(config, None)
        self.model = CLIP(config, dtype=jnp.dtype(dtype).type)
        self._image = jax.jit(self._apply('encode_image'), static_argnums=2)
        self._text = jax.jit(self._apply('encode_text'), static_argnums=2)

    def prompted(self, prompts: np.ndarray) -> CLIPModel:
        """This CLIP with visual prompts in its image tower.

        Args:
            prompts: float32 [n, w], as training learns them; see `visual_prompts`.

        Returns:
            Another one, which shares its parameters with this. Its `sha256` is of the prompts, too,
            so that features of the one are never taken for features of the other.
        """
        prompts = np.asarray(prompts, np.float32, order='C')
        digest = hashlib.sha256(f'{self.sha256} {prompts.shape}\n'.encode())
        digest.update(prompts.tobytes())
        params = visual_prompts.into(self.params, prompts)
        sha256 = digest.hexdigest()
        return CLIPModel(self.config, params, sha256, self.model.dtype, self.tokenizer)

    def _apply(self, method: str) -> Callable:
        def apply(params: Any, inputs: jax.Array, normalize: bool) -> jax.Array:
            return self.model.apply({'params': params}, inputs, normalize, method=method)

        return apply

    def preprocess(
        self,
        images: np.ndarray
        | Image.Image
        | str
        | os.PathLike[str]
        | Sequence[np.ndarray | Image.Image | str | os.PathLike[str]],
    ) -> np.ndarray:
        """Makes the pixels that `encode_image` takes.

        Args:
            images: One image or several: Pillow images, paths, or uint8 arrays [H, W, 3] RGB.

        Returns:
            float32 [B, S, S, 3].

        Raises:
            UserError: A path cannot be read as an image.
        """
        single = isinstance(images, (Image.Image, str, os.PathLike)) or (
            isinstance(images, np.ndarray) and images.ndim == 3
        )
        return media_images.preprocess(
            [images] if single else images, self.config.image_size, **preprocessing(self.config)
        )

    def preprocess_frames(self, frames: np.ndarray) -> np.ndarray:
        """As `preprocess`, faster, for frames of one video: see `media.images.preprocess_frames`.

        Args:
            frames: uint8 [T, H, W, 3] RGB.

        Returns:
            float32 [T, S, S, 3].
        """
        return media_images.preprocess_frames(
            frames, self.config.image_size, **preprocessing(self.config)
        )

    def tokenize(self, texts: str | Sequence[str], num_person_tokens: int = 1) -> np.ndarray:
        """Token ids int32 [B, L], padded only as far as the longest text needs.

        Where attention is not causal, pads are seen, and all rows have the full length.
        """
        return self.tokenizer.tokenize(
            texts, num_person_tokens=num_person_tokens, cut=self.tokenizer.can_cut
        )

    def encode_image(self, pixels: np.ndarray | jax.Array, normalize: bool = False) -> np.ndarray:
        """Embeds images.

        Args:
            pixels: float32 [B, S, S, 3] as `preprocess` makes them; any B.
            normalize: Whether to scale to length 1.

        Returns:
            float32 [B, D].

        Raises:
            UserError: These are no such pixels.
        """
        pixels, size = np.asarray(pixels), self.config.image_size
        if pixels.shape[1:] != (size, size, 3) or not jnp.issubdtype(pixels.dtype, jnp.floating):
            raise UserError(
                f'encode_image takes pixels float32 [B, {size}, {size}, 3], not {pixels.dtype} '
                f'{list(pixels.shape)}: write encode_image(clip.preprocess(images))'
            )
        return self._in_batches(self._image, pixels, normalize)

    def encode_text(self, ids: np.ndarray | jax.Array, normalize: bool = False) -> np.ndarray:
        """Embeds texts without a person.

        Args:
            ids: int32 [B, L] as `tokenize` makes them; any B.
            normalize: Whether to scale to length 1.

        Returns:
            float32 [B, D].

        Raises:
            UserError: These are no token ids, or there is a [TOK], which means nothing to CLIP
                itself.
        """
        ids = np.asarray(ids)
        if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
            raise UserError(
                'encode_text takes token ids [B, L]: write encode_text(clip.tokenize(texts))'
            )
        text = self.config.text
        if (ids >= text.vocab_size).any():
            raise UserError(
                'a text holds [TOK], but CLIP alone knows no person; '
                'use cpad_jax.load(…).encode_query(text, person), or leave [TOK] out'
            )
        if text.pooling == 'end' and not (ids == text.end_token).any(axis=-1).all():
            raise ValueError('every row of ids needs the end token; use `tokenize` to make them')
        return self._in_batches(self._text, ids, normalize)

    def _in_batches(
        self, encode: Callable, inputs: np.ndarray | jax.Array, normalize: bool
    ) -> np.ndarray:
        inputs = np.asarray(inputs)
        largest = _BATCH_SIZES[-1]
        outputs = [np.zeros((0, self.config.embed_dim), np.float32)]
        for start in range(0, len(inputs), largest):
            part = inputs[start : start + largest]
            size = next(n for n in _BATCH_SIZES if n >= len(part))
            # Repeats the last input: zeros would have no end token.
            padded = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            embedded = encode(self.params, padded, normalize)
            outputs.append(np.asarray(embedded)[: len(part)])
        return np.concatenate(outputs)


def load_clip(directory: str | os.PathLike[str], dtype: str = 'float32') -> CLIPModel:
    """Loads a CLIP.

    Args:
        directory: A folder with `config.json` and `weights.safetensors`, or the name of a model
            that ships with the package, such as 'ViT-cast-16'.
        dtype: Type of the factors in matrix products: 'float32', or 'bfloat16', which is several
            times faster where the hardware knows it.

    Returns:
        The model.

    Raises:
        UserError: The folder is missing, or something in it is or does not fit.
    """
    if dtype not in DTYPES:
        raise UserError(f"dtype is {dtype!r}, expected 'float32' or 'bfloat16'")
    directory = find_clip(directory)
    config, params = folder.load_clip_variables(directory, jax.device_put)
    try:
        tokenizer = open_tokenizer(config, directory)
    except ValueError as error:
        raise UserError(f'{directory / folder.CONFIG_FILE}: {error}') from error
    sha256 = folder.checked_sha256(directory)
    return CLIPModel(config, params, sha256, dtype, tokenizer)


def find_clip(directory: str | os.PathLike[str]) -> Path:
    """The folder of a CLIP, which may be named as `load_clip` takes it.

    Raises:
        UserError: There is no such folder, or no configuration in it.
    """
    directory = Path(directory)
    shipped = SHIPPED / directory.name
    if not directory.exists() and len(directory.parts) == 1 and shipped.is_dir():
        directory = shipped
    if not directory.exists() and len(directory.parts) == 1:
        ships = ', '.join(sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()))
        raise UserError(
            f'there is no folder {directory}, and no CLIP of that name ships with the package '
            f'({ships} does); tools/convert_openclip_weights.py makes a folder of weights of '
            'open_clip'
        )
    folder.check_folder(directory)
    return directory


def preprocessing(config: CLIPConfig) -> dict[str, Any]:
    """How images are brought to the image tower, as the functions of `media.images` take it."""
    names = ('resize', 'interpolation', 'mean', 'std')
    return {name: getattr(config, name) for name in names}


def open_tokenizer(config: CLIPConfig, directory: Path | None) -> Tokenizer:
    """The tokenizer that a text tower was trained with.

    Raises:
        UserError: Its file is missing or broken.
        ValueError: The configuration does not fit CLIP's own, or there is no folder to find one in.
    """
    text = config.text
    if text.tokenizer == 'clip':
        clip_vocabulary = ClipTokenizer.person_id
        if text.vocab_size != clip_vocabulary:
            raise ValueError(
                f"text.vocab_size is {text.vocab_size}, expected {clip_vocabulary}, that of CLIP's "
                'tokenizer'
            )
        return ClipTokenizer(text.context_length, can_cut=text.causal)
    if directory is None:
        raise ValueError(f'{config.name} needs a tokenizer: give one')
    return FileTokenizer(
        directory / TOKENIZER_FILE,
        context_length=text.context_length,
        vocab_size=text.vocab_size,
        pad_id=text.pad_token,
        clean=text.clean,
        strip_separator=text.strip_separator,
        can_cut=text.causal,
    )
