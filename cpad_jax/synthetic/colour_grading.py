"""Colour grading of a title: the effect of camera, film stock and colourist on every frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cpad_jax.synthetic import canvas

ERAS = ('monochrome', 'technicolor', 'faded', 'video', 'digital')
_LUMA = np.array([0.299, 0.587, 0.114])
# The cached grain is larger than a frame by this much, so that each frame takes another crop.
_GRAIN_MARGIN = 64
_GRAIN_STD = 32.0


@dataclass(frozen=True)
class TitleStyle:
    """The colour grading of a title.

    Attributes:
        hue: Turn of the sets' palette, 0 to 1 (a full circle).
        warmth: −1 (blue) to 1 (orange).
        contrast: Gain about middle grey, 0.8 to 1.25.
        saturation: 0 (black and white) to 1.25.
        grain: Standard deviation of the grain, grey levels of 255.
        vignette: Darkening of the corners, 0 to 0.5.
        era: One of `ERAS`.
    """

    hue: float = 0.0
    warmth: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    grain: float = 0.0
    vignette: float = 0.0
    era: str = 'digital'

    @classmethod
    def draw(cls, rng: np.random.Generator) -> TitleStyle:
        """Draws a random style; one title in sixteen is black and white."""
        era = str(rng.choice(ERAS, p=(0.0625, 0.2, 0.2, 0.2, 0.3375)))
        contrast, saturation, grain = {
            'monochrome': (1.1, 0.0, 7.0),
            'technicolor': (1.1, 1.15, 5.0),
            'faded': (0.87, 0.75, 6.0),
            'video': (0.95, 0.9, 4.0),
            'digital': (1.05, 1.0, 1.5),
        }[era]
        return cls(
            hue=rng.uniform(),
            warmth=float(np.clip(rng.normal(0.1, 0.4), -1, 1)),
            contrast=contrast * rng.uniform(0.92, 1.1),
            saturation=saturation * rng.uniform(0.85, 1.08),
            grain=grain * rng.uniform(0.5, 1.2),
            vignette=rng.uniform(0.0, 0.4),
            era=era,
        )

    def grade(self, frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Gives a frame this title's colours, vignette and grain.

        Args:
            frame: The picture [H, W, 3] uint8 RGB; left as it is.
            rng: Moves the grain from frame to frame.

        Returns:
            A new picture [H, W, 3] uint8.
        """
        height, width = frame.shape[:2]
        frame = canvas.lookup(canvas.mix_channels(frame, _matrix(self)), _curve(self.era))
        # Steps of 2 % keep the cache small and are invisible.
        amount = round(self.vignette * 50) / 50
        if amount:
            frame = canvas.multiply(frame, _vignette(height, width, amount))
        if self.grain:
            top, left = rng.integers(0, _GRAIN_MARGIN, 2)
            grain = _grain(height, width)[top : top + height, left : left + width]
            strength = self.grain / _GRAIN_STD
            frame = canvas.blend(frame, 1.0, grain, strength, -128 * strength)
        return frame


@lru_cache(maxsize=256)
def _matrix(style: TitleStyle) -> np.ndarray:
    grey = np.tile(_LUMA, (3, 1))
    colours = grey + style.saturation * (np.eye(3) - grey)
    gains = np.array([1 + 0.13 * style.warmth, 1.0, 1 - 0.17 * style.warmth])
    if style.era == 'monochrome':
        gains = np.ones(3)
    matrix = style.contrast * gains[:, None] * colours
    # Faded stock never gets black; the rest keeps middle grey where it is.
    lift = 14.0 if style.era == 'faded' else 0.0
    return np.hstack([matrix, np.full((3, 1), 118.0 * (1 - style.contrast) + lift)])


@lru_cache(maxsize=16)
def _curve(era: str) -> np.ndarray:
    x = np.linspace(0, 1, 256)
    smooth = x * x * (3 - 2 * x)
    curves = np.stack([x, x, x], 1)
    if era in ('technicolor', 'monochrome'):
        curves = np.repeat((0.6 * x + 0.4 * smooth)[:, None], 3, 1)
    if era == 'faded':
        curves = np.stack([x**0.92, x, 0.12 + 0.82 * x], 1)
    if era == 'video':
        curves = np.stack([x, x**0.96, np.minimum(1.0, x * 1.04)], 1)
    return np.round(255 * curves).astype(np.uint8)


@lru_cache(maxsize=128)
def _vignette(height: int, width: int, amount: float) -> np.ndarray:
    y = np.linspace(-1, 1, height)[:, None]
    x = np.linspace(-1, 1, width)[None, :]
    light = 1 - amount * ((x * x + y * y) / 2) ** 1.3
    return np.repeat(np.round(255 * light).astype(np.uint8)[:, :, None], 3, 2)


@lru_cache(maxsize=8)
def _grain(height: int, width: int) -> np.ndarray:
    shape = (height + _GRAIN_MARGIN, width + _GRAIN_MARGIN, 1)
    noise = np.random.default_rng(0).normal(128, _GRAIN_STD, shape)
    return np.repeat(np.clip(np.round(noise), 0, 255).astype(np.uint8), 3, 2)
