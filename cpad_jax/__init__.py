"""Finds moments of video by who, what and where: CLIP-PAD in JAX and Flax.

The public API is flat, and each name is imported when it is first used, so that `import cpad_jax`
takes a moment:

- `load_clip(source)`: a `CLIPModel`, from a folder, a name, or a tag of open_clip.
- `list_models()`: the CLIPs that there are, and what `load_clip` takes for each.
- `load(workdir)`: a `PersonalizedCLIP`, as training has exported it.
- `Person`: what `PersonalizedCLIP.person` returns and `encode_query` takes.
- `sample_frames(path, count=4)`: frames of a video by time, number or rate.
- `fine_tune(model, guess, photos)`, `PersonStore(folder, model)`: a person of one's own, kept.
- `UserError`: whatever the caller can mend.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpad_jax.errors import UserError as UserError
    from cpad_jax.media.video import sample_frames as sample_frames
    from cpad_jax.models.catalogue import list_models as list_models
    from cpad_jax.models.clip_pad_api import PersonalizedCLIP as PersonalizedCLIP
    from cpad_jax.models.clip_pad_api import load as load
    from cpad_jax.models.person import Person as Person
    from cpad_jax.models.person_store import PersonStore as PersonStore
    from cpad_jax.models.pretrained import CLIPModel as CLIPModel
    from cpad_jax.models.pretrained import load_clip as load_clip
    from cpad_jax.training.fine_tuning import fine_tune as fine_tune

__version__ = '0.1.0'

# Name → the module that it is imported from; the same as above, where type checkers read it.
_MODULES = {
    'CLIPModel': 'cpad_jax.models.pretrained',
    'Person': 'cpad_jax.models.person',
    'PersonStore': 'cpad_jax.models.person_store',
    'PersonalizedCLIP': 'cpad_jax.models.clip_pad_api',
    'UserError': 'cpad_jax.errors',
    'fine_tune': 'cpad_jax.training.fine_tuning',
    'list_models': 'cpad_jax.models.catalogue',
    'load': 'cpad_jax.models.clip_pad_api',
    'load_clip': 'cpad_jax.models.pretrained',
    'sample_frames': 'cpad_jax.media.video',
}
__all__ = [
    'CLIPModel',
    'Person',
    'PersonStore',
    'PersonalizedCLIP',
    'UserError',
    '__version__',
    'fine_tune',
    'list_models',
    'load',
    'load_clip',
    'sample_frames',
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_MODULES))
