r"""The judged benchmark of docs/benchmark.md.

python tools/judge.py difficulty
python tools/judge.py run --worlds 201,202,203 --seeds 0,1,2 --clips
python tools/judge.py table --worlds 201,202,203 --seeds 0,1,2 --clips
python tools/judge.py curves --worlds 201 --figure curves.svg
python tools/judge.py ablations --worlds 201,202,203 --seeds 0,1,2
python tools/judge.py two_people --worlds 201

`difficulty` asks a world by plain CLIP and holds it against the paper's row. `run` learns once
per initial seed, searches the worlds, says which of the claims hold, and ends with the table.
`table` is the paper's table of what `run` left behind: every method, means over seeds and worlds
with their intervals, also by whether CLIP has read the name, and differences. With --clips both
have what learns from clips, too: Collaborative Experts, and CLIP-PAD that learns on from the same
clips, which is a table of its own. Rows of further methods are asked for by --config.eval.methods.
`curves` says how hits change with
people in the shot, gallery, face and photos. `ablations` learns with one thing changed at a time.
`two_people` asks what docs/two_people.md asks, of a test world where it names one.
Without --worlds it is the validation world. What is there already is used again. Any
`--config.KEY=VALUE` of configs/synthetic_cast.py may follow.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Run as a script, the package beside this folder is found without being installed.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cpad_jax import atomic, errors, train
from cpad_jax.data import build
from cpad_jax.methods import registry
from cpad_jax.protocols.compound import evaluate
from cpad_jax.protocols.pairs import evaluate as pairs_evaluate
from cpad_jax.ranking import method
from cpad_jax.training import configs, runtime
from tools.judging import (
    ablations,
    curves,
    difficulty,
    from_clips,
    over_runs,
    report,
    version,
)

CONFIG = ROOT / 'configs' / 'synthetic_cast.py'
TWO_PEOPLE = CONFIG.with_name('two_people.py')
WHAT = ('difficulty', 'run', 'table', 'curves', 'ablations', 'two_people')


def asked_by_clip(base: Any, workdir: Path, world: int) -> str:
    """How hard a world is for plain CLIP."""
    config = copy.deepcopy(base)
    config.data.dir = str(world_folder(base, workdir, base.data.world_seed))
    config.data.update(build.evaluation_data(world_config(config, workdir, world)))
    try:
        build.locate(config.data, workdir)
    except errors.UserError:
        # Words alone are asked, so one photo of everybody is enough.
        config.data.photos_per_person, config.data.reference_photos = (1,), 1
        config.data.dir = str(workdir / f'difficulty{world}')
    return difficulty.render(difficulty.measure(config, workdir))


def learned(
    base: Any, workdir: Path, seed: int, variant: str | None = None, clips: bool = False
) -> tuple[Any, Path]:
    """Learns with an initial seed, or finds what was learned.

    Args:
        base: The configuration.
        workdir: Of the benchmark; all share its data and features.
        seed: The initial seed.
        variant: For an ablation what is changed, one of `ablations.VARIANTS`.
        clips: Whether Collaborative Experts are learned, too, to be a row of its evaluations.

    Returns:
        The configuration and the workdir, `WORKDIR/seed0`, … or for an ablation
        `WORKDIR/ablations/no agreement loss/seed0`.
    """
    config = copy.deepcopy(base)
    config.seed = seed
    config.data.dir = str(world_folder(base, workdir, base.data.world_seed))
    config.features.dir = config.features.dir or str(workdir / 'features')
    folder = workdir / f'seed{seed}'
    if variant is not None:
        folder = workdir / 'ablations' / variant / f'seed{seed}'
        for key, value in ablations.VARIANTS[variant].items():
            configs.override(config, key, value)
    if clips:
        config.eval.ce = str(from_clips.experts(config, workdir, folder))
    learn(config, folder)
    return config, folder


def learn(config: Any, folder: Path) -> None:
    """Learns and searches the validation world in a folder, unless that was done."""
    configs.record(config, folder)  # What another configuration learned is not taken for this.
    if not (folder / 'model').is_dir() or not asked_before(folder / 'eval', config):
        train.train(config, folder)


def asked_before(folder: Path, config: Any) -> bool:
    """Whether an evaluation in a folder has all controls and methods that are wanted now."""
    wanted = (
        *method.controls(config.eval.controls),
        *registry.rows(registry.possible(config.eval.methods)),
    )
    wanted += (method.CE,) if config.eval.ce else ()
    if not (folder / 'ranks.npz').is_file():
        return False
    with np.load(folder / 'ranks.npz', allow_pickle=False) as ranks:
        return all(row.key in ranks.files for row in wanted)


def world_folder(config: Any, workdir: Path, world: int) -> Path:
    """Where a world lies: the validation world is the one whose photos are learned from."""
    if world == config.data.world_seed:
        return Path(config.data.dir or workdir / 'data')
    return workdir / f'world{world}'


def world_config(config: Any, workdir: Path, world: int) -> Any:
    """A configuration that searches a world with what the validation world's photos taught."""
    if world == config.data.world_seed:
        return config
    config = copy.deepcopy(config)
    with config.eval.data.unlocked():
        config.eval.data.dir = str(world_folder(config, workdir, world))
        config.eval.data.world_seed = world
        # Nothing is learned from this folder; photos of somebody are the same in every world.
        config.eval.data.photos_per_person = (1,)
    return config


def evaluation_folder(config: Any, folder: Path, world: int) -> Path:
    """Where what came out on a world lies, within the workdir of a seed."""
    return folder / ('eval' if world == config.data.world_seed else f'world{world}')


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
    made = evaluation_folder(config, folder, world)
    if world == config.data.world_seed:
        return made  # Learning ends with it.
    config = world_config(config, workdir, world)
    if not asked_before(made, config):
        build.ensure(build.evaluation_data(config), workdir)
        evaluate.evaluate(folder, config, made)
    return made


def training_photos(config: Any, workdir: Path, world: int) -> dict[str, int]:
    """person_id → how many training photos there are of them; 0 for people never seen."""
    counts = config.data.photos_per_person
    own = copy.deepcopy(config)
    own.data.dir = str(world_folder(config, workdir, config.data.world_seed))
    data = build.evaluation_data(world_config(own, workdir, world))
    return {
        person['person_id']: counts[person['identity'] % len(counts)] if person['seen'] else 0
        for person in build.locate(data, workdir).read_people()
    }


def run(
    config: Any, workdir: Path, worlds: Sequence[int], seeds: Sequence[int], clips: bool
) -> str:
    """Learns, searches and reports, also into `WORKDIR/report.txt`, and renders the tables."""
    found: dict[int, list[Path]] = {world: [] for world in worlds}
    by_clips: dict[int, list[Path]] = {world: [] for world in worlds}
    for seed in seeds:
        own, folder = learned(config, workdir, seed, clips=clips)
        for world in worlds:
            found[world].append(searched(own, folder, workdir, world))
        if clips:
            taught, folder = from_clips.clip_pad(own, workdir, folder)
            learn(taught, folder)
            for world in worlds:
                by_clips[world].append(searched(taught, folder, workdir, world))
    text = ''
    for world, folders in found.items():
        photos = training_photos(config, workdir, world)
        text += f'World {world}\n\n{report.render(report.read(folders), photos)}\n\n'
        if clips:
            gains = '\n'.join(report.gains(report.read(by_clips[world])))
            text += f'World {world}, taught by clips\n\n{gains}\n\n'
    atomic.write_bytes(workdir / 'report.txt', text.encode())
    return text + over_runs_tables(config, workdir, worlds, seeds, clips)


def over_runs_tables(
    config: Any, workdir: Path, worlds: Sequence[int], seeds: Sequence[int], clips: bool
) -> str:
    """The paper's table of evaluations that there are, and the one of what learned from clips.

    Raises:
        UserError: One of them is not there.
    """
    tables = {'CLIP-PAD that learns from photos': ''}
    if clips:
        tables['CLIP-PAD that learns on from the clips of CE'] = from_clips.CLIP_PAD
    text = ''
    for title, own in tables.items():
        runs = []
        for seed in seeds:
            for world in worlds:
                folder = evaluation_folder(config, workdir / f'seed{seed}' / own, world)
                if not (folder / 'ranks.npz').is_file():
                    raise errors.UserError(
                        f'{folder}: there is no ranks.npz: python tools/judge.py run --workdir '
                        f'{workdir} --worlds {world} --seeds {seed}{" --clips" if own else ""} '
                        'makes it'
                    )
                runs.append((seed, report.read([folder])))
        text += f'{title}\n\n{over_runs.render(runs)}\n\n'
    return text.rstrip()


def ablate(config: Any, workdir: Path, worlds: Sequence[int], seeds: Sequence[int]) -> str:
    """Learns every variant by every seed, each for a short time, and searches every world.

    What is known after each seed is in `WORKDIR/ablations.txt`.
    """
    config = copy.deepcopy(config)
    # One of the controls embeds every gallery once more.
    config.eval.controls, config.eval.methods = (), ()
    found = {variant: {world: [] for world in worlds} for variant in ablations.VARIANTS}
    text = ''
    for number, seed in enumerate(seeds, 1):
        for variant, folders in found.items():
            own, folder = learned(config, workdir, seed, variant)
            for world in worlds:
                folders[world].append(searched(own, folder, workdir, world))
        ranked = {
            v: [report.read(made) for made in folders.values()] for v, folders in found.items()
        }
        text = f'Initial seeds: {", ".join(map(str, seeds[:number]))}; {ablations.render(ranked)}\n'
        atomic.write_bytes(workdir / 'ablations.txt', text.encode())
    return text


def draw_curves(config: Any, workdir: Path, world: int, seed: int, figure: Path | None) -> str:
    """Measures the curves of one model on one world, and draws them."""
    own, folder = learned(config, workdir, seed)
    own = world_config(own, workdir, world)
    # None of them is a curve, and one control embeds the gallery once more.
    own.eval.controls, own.eval.methods = (), ()
    build.ensure(build.evaluation_data(own), workdir)
    found = curves.measure(folder, own, training_photos(config, workdir, world))
    if figure:
        curves.draw(found, figure)
    return curves.render(found)


def ask_two_people(config: Any, workdir: Path, world: int, seed: int) -> None:
    """Asks one model about two people and nobody on a world, and prints what came out."""
    own, folder = learned(config, workdir, seed)
    own = world_config(own, workdir, world)
    own.eval.controls, own.eval.methods = (), ()
    with own.eval.unlocked():
        own.eval.two_people = configs.load(str(TWO_PEOPLE)).eval.two_people
    own.eval.two_people.dir = str(workdir / f'pairs{world}')
    build.ensure(build.evaluation_data(own), workdir)
    pairs_evaluate.evaluate(folder, own, folder / f'two_people{world}')


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and judges."""
    runtime.silence_logs()
    parser = errors.CommandParser(__doc__)
    parser.add_argument('what', choices=WHAT)
    parser.add_argument('--workdir', type=errors.given_path, default=Path('runs/synthetic_cast'))
    parser.add_argument('--worlds', type=errors.numbers, default=(), help='seeds of the worlds')
    parser.add_argument(
        '--seeds', type=errors.numbers, default=(0,), help='initial seeds of learning'
    )
    parser.add_argument(
        '--clips', action='store_true', help='CE as well, and CLIP-PAD taught by the same clips'
    )
    parser.add_argument(
        '--figure', type=errors.given_path, help='curves as a picture, .svg or .png'
    )
    words = sys.argv[1:] if arguments is None else arguments
    overrides = [word for word in words if word.startswith('--config.')]
    options = parser.parse_args([word for word in words if word not in overrides])
    short = ablations.SHORT if options.what == 'ablations' else {}
    given = [*(f'--config.{key}={value}' for key, value in short.items()), *overrides]
    config, _ = configs.parse(['--config', str(CONFIG), *given])
    print(version.describe(config), file=sys.stderr)
    workdir = options.workdir
    worlds = options.worlds or [config.data.world_seed]
    if options.figure and options.figure.suffix not in ('.svg', '.png'):
        raise errors.UserError(f'--figure {options.figure}: expected a .svg or .png file')
    if options.figure and len(worlds) > 1:
        raise errors.UserError('--figure shows one world: give one to --worlds')
    if options.what == 'difficulty':
        for world in worlds:
            print(f'World {world}\n{asked_by_clip(config, workdir, world)}')
    elif options.what == 'curves':
        for world in worlds:
            found = draw_curves(config, workdir, world, options.seeds[0], options.figure)
            print(f'World {world}\n{found}')
    elif options.what == 'table':
        print(over_runs_tables(config, workdir, worlds, options.seeds, options.clips))
    elif options.what == 'two_people':
        for world in worlds:
            ask_two_people(config, workdir, world, options.seeds[0])
    elif options.what == 'ablations':
        print(ablate(config, workdir, worlds, options.seeds))
    else:
        print(run(config, workdir, worlds, options.seeds, options.clips))


if __name__ == '__main__':
    errors.run_command(main)
