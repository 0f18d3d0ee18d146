r"""The judged benchmark of docs/benchmark.md.

python tools/judge.py difficulty
python tools/judge.py run --worlds 201,202,203 --seeds 0,1,2

`difficulty` asks the validation world by plain CLIP and holds it against the poster's row. `run`
learns once per initial seed, searches the worlds, and says which of the claims hold. What is there
already is used again. Any `--config.KEY=VALUE` of configs/synthetic_cast.py may follow.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Run as a script, the package beside this folder is found without being installed.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cpad_jax import atomic, errors, train  # noqa: E402
from cpad_jax.data import build, drawn_world  # noqa: E402
from cpad_jax.data.built_dataset import PEOPLE  # noqa: E402
from cpad_jax.retrieval import evaluation  # noqa: E402
from cpad_jax.training import configs, runtime  # noqa: E402
from tools.judging import difficulty, report  # noqa: E402

CONFIG = ROOT / 'configs' / 'synthetic_cast.py'


def learned(base: Any, workdir: Path, seed: int) -> tuple[Any, Path]:
    """Learns with an initial seed, or finds what was learned.

    Args:
        base: The configuration.
        workdir: Of the benchmark; seeds share its data and features.
        seed: The initial seed.

    Returns:
        The configuration of this seed and its workdir, `WORKDIR/seed0`, …
    """
    config = copy.deepcopy(base)
    config.seed = seed
    config.data.dir = config.data.dir or str(workdir / 'data')
    config.features.dir = config.features.dir or str(workdir / 'features')
    folder = workdir / f'seed{seed}'
    train.train(config, folder)
    return config, folder


def world_folder(config: Any, workdir: Path, world: int) -> Path:
    """Where a world lies: the validation world is the one whose photos are learned from."""
    if world == config.data.world_seed:
        return Path(config.data.dir or workdir / 'data')
    return workdir / f'world{world}'


def searched(config: Any, folder: Path, workdir: Path, world: int) -> Path:
    """Searches a world with what was learned, unless that was done.

    Args:
        config: Of `learned`.
        folder: Of `learned`.
        workdir: Of the benchmark.
        world: Its seed.

    Returns:
        The folder with `ranks.npz` and the other files of an evaluation.
    """
    if world == config.data.world_seed:
        return folder / 'eval'  # Learning ends with it.
    config = copy.deepcopy(config)
    with config.eval.data.unlocked():
        config.eval.data.dir = str(world_folder(config, workdir, world))
        config.eval.data.world_seed = world
        # Nothing is learned from this folder, and photos for it are the same in every world.
        config.eval.data.photos_per_person = (1,)
    made = folder / f'world{world}'
    if not (made / 'ranks.npz').is_file():
        build.ensure(build.evaluation_data(config), workdir)
        evaluation.evaluate(folder, config, made)
    return made


def training_photos(config: Any, workdir: Path, world: int) -> dict[str, int]:
    """person_id → how many training photos there are of them; 0 for people never seen."""
    counts = config.data.photos_per_person
    table = world_folder(config, workdir, world) / drawn_world.SYNTHETIC_CAST / PEOPLE
    return {
        person['person_id']: counts[person['identity'] % len(counts)] if person['seen'] else 0
        for person in json.loads(table.read_text(encoding='utf-8'))
    }


def run(config: Any, workdir: Path, worlds: Sequence[int], seeds: Sequence[int]) -> str:
    """Learns, searches and reports, also into `WORKDIR/report.txt`."""
    found: dict[int, list[Path]] = {world: [] for world in worlds}
    for seed in seeds:
        own, folder = learned(config, workdir, seed)
        for world in worlds:
            found[world].append(searched(own, folder, workdir, world))
    text = ''
    for world, folders in found.items():
        photos = training_photos(config, workdir, world)
        text += f'World {world}\n\n{report.render(report.read(folders), photos)}\n\n'
    atomic.write_bytes(workdir / 'report.txt', text.encode())
    return text


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(',')]
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is no list such as 201,202') from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and judges."""
    runtime.quiet()
    parser = errors.CommandParser(__doc__)
    parser.add_argument('what', choices=('difficulty', 'run'))
    parser.add_argument('--workdir', type=Path, default=Path('runs/synthetic_cast'))
    parser.add_argument('--worlds', type=_numbers, default=[], help='seeds of the worlds')
    parser.add_argument('--seeds', type=_numbers, default=[0], help='initial seeds of learning')
    options, others = parser.parse_known_args(arguments)
    config, _ = configs.parse(['--config', str(CONFIG), *others])
    validation = config.data.world_seed
    worlds = options.worlds or [validation]
    if options.what == 'difficulty':
        for world in worlds:
            config.data.world_seed = world
            # Words alone are asked, so one photo of everybody is enough.
            config.data.photos_per_person, config.data.reference_photos = (1,), 1
            config.data.dir = str(options.workdir / f'difficulty{world}')
            print(
                f'World {world}\n{difficulty.render(difficulty.measure(config, options.workdir))}'
            )
        return
    print(run(config, options.workdir, worlds, options.seeds))


if __name__ == '__main__':
    errors.run_command(main)
