"""Which CLIPs there are, and where `load_clip` gets the weights of each."""

from __future__ import annotations

from pathlib import Path

from cpad_jax.models import zoo
from cpad_jax.models.weights import sources

SHIPPED = Path(__file__).with_name('shipped')


def shipped_models() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.name for path in SHIPPED.iterdir() if path.is_dir())


def list_models() -> dict[str, tuple[str, ...]]:
    """Lists every CLIP by name, and the weights that `load_clip` takes for it.

    Returns:
        Name of a configuration → what to pass to `load_clip`: the name itself for a model that
        comes with the package, `MODEL/TAG` for weights of open_clip on the Hugging Face hub. Empty
        for a configuration without such weights, which a file has to bring (`cpad-convert`).
        Models that come with the package are first.
    """
    shipped = {name: (name,) for name in shipped_models()}
    tags = sources.tags()
    return shipped | {
        name: tuple(f'{name}/{tag}' for tag, row in tags.get(name, {}).items() if row.hub)
        for name in zoo.CONFIGS
        if name not in shipped
    }
