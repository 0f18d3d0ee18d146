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
from cpad_jax.models import catalogue, conversion, visual_prompts
from cpad_jax.models.clip import CLIP
from cpad_jax.models.config import DTYPES, CLIPConfig
from cpad_jax.models.tokenizers import open_tokenizer
from cpad_jax.models.tracing import is_traced, refuse_traced
from cpad_jax.models.weights import folder
from cpad_jax.text.tokenizer import Tokenizer

# Inputs are padded to one of these, so that few programs are compiled; more go in several batches.
_BATCH_SIZES = (1, 8, 64)


class CLIPModel:
    """CLIP's two towers with their weights.

    `encode_image` and `encode_text` may be called inside `jax.jit`, `jax.grad` and `jax.vmap`,
    where they return traced arrays of the batch size that they are given. The parameters are
    constants there; to differentiate with respect to them, apply the Flax module:
    `clip.model.apply({'params': params}, pixels, True, method='encode_image')`.

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
            dtype: Compute dtype, 'float32' or 'bfloat16'.
            tokenizer: Of the text tower; None for CLIP's own, if that is what the model has.
        """
        self.config = config
        self.params = jax.device_put(params)
        self.sha256 = sha256
        self.tokenizer = tokenizer or open_tokenizer(config, None)
        self.model = CLIP(config, dtype=jnp.dtype(dtype).type)
        self._image = jax.jit(self._apply('encode_image'), static_argnums=2)
        self._text = jax.jit(self._apply('encode_text'), static_argnums=2)

    def __repr__(self) -> str:
        count = sum(leaf.size for leaf in jax.tree.leaves(self.params))
        return (
            f'CLIPModel({self.config.name!r}, embed_dim={self.config.embed_dim}, '
            f'image_size={self.config.image_size}, dtype={jnp.dtype(self.model.dtype).name!r}, '
            f'parameters={count:_})'
        )

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
        refuse_traced('preprocess', images, 'call it before, and pass its pixels')
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
        refuse_traced('preprocess_frames', frames, 'call it before, and pass its pixels')
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

    def encode_image(
        self, pixels: np.ndarray | jax.Array, normalize: bool = False
    ) -> np.ndarray | jax.Array:
        """Embeds images.

        Args:
            pixels: float32 [B, S, S, 3] as `preprocess` makes them; any B.
            normalize: Whether to L2-normalise; static inside `jax.jit`.

        Returns:
            float32 [B, D].

        Raises:
            UserError: These are no such pixels.
        """
        pixels, size = _in_memory(pixels, normalize, 'encode_image'), self.config.image_size
        if pixels.shape[1:] != (size, size, 3) or not jnp.issubdtype(pixels.dtype, jnp.floating):
            raise UserError(
                f'encode_image takes pixels float32 [B, {size}, {size}, 3], not {pixels.dtype} '
                f'{list(pixels.shape)}: write encode_image(clip.preprocess(images))'
            )
        if is_traced(pixels):
            return self._image(self.params, pixels, normalize)
        return self._in_batches(self._image, pixels, normalize)

    def encode_text(
        self, ids: np.ndarray | jax.Array, normalize: bool = False
    ) -> np.ndarray | jax.Array:
        """Embeds texts without a person.

        Args:
            ids: int32 [B, L] as `tokenize` makes them; any B. Inside `jax.jit` their values cannot
                be checked.
            normalize: Whether to L2-normalise; static inside `jax.jit`.

        Returns:
            float32 [B, D].

        Raises:
            UserError: These are no token ids, or there is a [TOK], which means nothing to CLIP
                itself.
        """
        ids = _in_memory(ids, normalize, 'encode_text')
        if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
            raise UserError(
                'encode_text takes token ids [B, L]: write encode_text(clip.tokenize(texts))'
            )
        if is_traced(ids):
            return self._text(self.params, ids, normalize)
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


def _in_memory(inputs: Any, normalize: bool, method: str) -> Any:
    """The inputs of an encoder as an array of NumPy, unless they are traced."""
    if is_traced(normalize):
        raise UserError(
            f'normalize decides what {method} computes and cannot be traced: write '
            f'jax.jit(clip.{method}, static_argnames="normalize") and pass it by name'
        )
    return inputs if is_traced(inputs) else np.asarray(inputs)


def load_clip(source: str | os.PathLike[str], dtype: str = 'float32') -> CLIPModel:
    """Loads a CLIP.

    Args:
        source: A folder with `config.json` and `weights.safetensors`; the name of a model that
            comes with the package, such as 'ViT-cast-16'; or weights of open_clip on the Hugging
            Face hub, as MODEL/TAG, such as 'ViT-B-32/laion2b_s34b_b79k', or as
            'hf-hub:ORGANISATION/REPOSITORY'. The latter are fetched and converted once, see
            `conversion.cached`. `list_models` lists names and tags.
        dtype: Compute dtype: 'float32', or 'bfloat16', which is several times faster where the
            hardware has it.

    Returns:
        The model.

    Raises:
        UserError: The folder is missing, something in it is missing or does not fit, or the
            weights cannot be downloaded.
    """
    if dtype not in DTYPES:
        raise UserError(f"dtype is {dtype!r}, expected 'float32' or 'bfloat16'")
    directory = find_clip(source)
    config, params = folder.load_clip_variables(directory, jax.device_put)
    try:
        tokenizer = open_tokenizer(config, directory)
    except ValueError as error:
        raise UserError(f'{directory / folder.CONFIG_FILE}: {error}') from error
    sha256 = folder.checked_sha256(directory)
    return CLIPModel(config, params, sha256, dtype, tokenizer)


def find_clip(source: str | os.PathLike[str]) -> Path:
    """The folder of a CLIP.

    Args:
        source: As `load_clip` takes it. What exists on this machine comes first.

    Returns:
        The folder, which holds a configuration and weights.

    Raises:
        UserError: There is no such folder, no configuration in it, or the weights cannot be
            downloaded.
    """
    directory = Path(source)
    if not directory.exists():
        shipped = catalogue.SHIPPED / directory.name
        if len(directory.parts) == 1 and shipped.is_dir():
            directory = shipped
        elif conversion.is_remote(os.fspath(source)):
            directory = conversion.cached(os.fspath(source))
        elif len(directory.parts) == 1:
            raise UserError(
                f'there is no folder {directory}, and no CLIP of that name comes with the package '
                f'({", ".join(catalogue.shipped_models())} do); expected one of these, a folder, '
                'or MODEL/TAG of open_clip such as ViT-B-32/laion2b_s34b_b79k'
            )
    folder.check_folder(directory)
    return directory


def preprocessing(config: CLIPConfig) -> dict[str, Any]:
    """How images are brought to the image tower, as the functions of `media.images` take it."""
    names = ('resize', 'interpolation', 'mean', 'std')
    return {name: getattr(config, name) for name in names}
