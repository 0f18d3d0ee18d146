r"""The judged benchmark of docs/benchmark.md.

python tools/judge.py difficulty
python tools/judge.py run --worlds 201,202,203 --seeds 0,1,2 --clips
python tools/judge.py table --worlds 201,202,203 --seeds 0,1,2 --clips
python tools/judge.py curves --worlds 201 --figure curves.svg
python tools/judge.py ablations --worlds 201,202,203 --seeds 0,1,2
python tools/judge.py two_people --worlds 201

`difficulty` evaluates plain CLIP on a world and compares it with the paper's row. `run` trains once
per initial seed, evaluates the worlds, checks the claims, and ends with the table. `table` is the
paper's table of the evaluations of `run`: every method, means over seeds and worlds with their
intervals, also by whether CLIP has read the name, and differences. With --clips both include
training from clips: Collaborative Experts, and CLIP-PAD fine-tuned on the same clips, which has a
table of its own. --config.eval.methods adds rows of further methods. `curves` are hits by people in
the shot, gallery size, face height and photos. `ablations` trains with one change at a time.
`two_people` runs the evaluation of docs/two_people.md on a world. Without --worlds it is the
validation world. Existing results are used again. Any `--config.KEY=VALUE` of
configs/synthetic_cast.py may follow.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

# Run as a script, the package beside this folder is found without being installed.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cpad_jax import atomic, errors, train
from cpad_jax import eval as evaluation
from cpad_jax.data import build
from cpad_jax.methods import registry
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


def measure_difficulty(base: Any, workdir: Path, world: int) -> str:
    """The difficulty of a world for plain CLIP."""
    config = copy.deepcopy(base)
    config.data.dir = str(world_folder(base, workdir, base.data.world_seed))
    config.data.update(build.evaluation_data(world_config(config, workdir, world)))
    try:
        build.locate(config.data, workdir)
    except errors.UserError:
        # Queries are texts, so one photo per person is enough.
        config.data.photos_per_person, config.data.reference_photos = (1,), 1
        config.data.dir = str(workdir / f'difficulty{world}')
    return difficulty.render(difficulty.measure(config, workdir))


def train_seed(
    base: Any, workdir: Path, seed: int, variant: str | None = None, clips: bool = False
) -> tuple[Any, Path]:
    """Trains with an initial seed, unless that was done.

    Args:
        base: The configuration.
        workdir: Workdir of the benchmark; all trainings share its data and features.
        seed: The initial seed.
        variant: For an ablation, one of `ablations.VARIANTS`.
        clips: Whether to train Collaborative Experts as a row of the evaluations.

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
    train_once(config, folder)
    return config, folder


def train_once(config: Any, folder: Path) -> None:
    """Trains in a folder and evaluates on the validation world, unless that was done."""
    configs.record(config, folder)  # Refuses a folder of another configuration.
    if not (folder / 'model').is_dir() or not is_evaluated(folder / 'eval', config):
        train.train(config, folder)


def is_evaluated(folder: Path, config: Any) -> bool:
    """Whether an evaluation in a folder has all controls and methods of a configuration."""
    rows = (
        *method.controls(config.eval.controls),
        *registry.rows(registry.possible(config.eval.methods)),
    )
    rows += (method.CE,) if config.eval.ce else ()
    if not (folder / 'ranks.npz').is_file():
        return False
    with np.load(folder / 'ranks.npz', allow_pickle=False) as ranks:
        return all(row.key in ranks.files for row in rows)


def world_folder(config: Any, workdir: Path, world: int) -> Path:
    """The folder of a world; the validation world has the photos of training."""
    if world == config.data.world_seed:
        return Path(config.data.dir or workdir / 'data')
    return workdir / f'world{world}'


def world_config(config: Any, workdir: Path, world: int) -> Any:
    """The configuration of an evaluation on a world; training is on the validation world."""
    if world == config.data.world_seed:
        return config
    config = copy.deepcopy(config)
    with config.eval.data.unlocked():
        config.eval.data.dir = str(world_folder(config, workdir, world))
        config.eval.data.world_seed = world
        # No training reads this folder; photos of a person are the same in every world.
        config.eval.data.photos_per_person = (1,)
    return config


def evaluation_folder(config: Any, folder: Path, world: int) -> Path:
    """The folder of the evaluation on a world, within the workdir of a seed."""
    return folder / ('eval' if world == config.data.world_seed else f'world{world}')


def evaluate_world(config: Any, folder: Path, workdir: Path, world: int) -> Path:
    """Evaluates a trained model on a world, unless that was done.

    Args:
        config: Of `train_seed`.
        folder: Of `train_seed`.
        workdir: Workdir of the benchmark.
        world: Seed of the world.

    Returns:
        The folder with `ranks.npz` and the other files of an evaluation.
    """
    results = evaluation_folder(config, folder, world)
    if world == config.data.world_seed:
        return results  # Training ends with it.
    config = world_config(config, workdir, world)
    if not is_evaluated(results, config):
        build.ensure(build.evaluation_data(config), workdir)
        evaluation.evaluate(config, folder, results)
    return results


def training_photos(config: Any, workdir: Path, world: int) -> dict[str, int]:
    """person_id → number of training photos; 0 for people never seen."""
    counts = config.data.photos_per_person
    base = copy.deepcopy(config)
    base.data.dir = str(world_folder(config, workdir, config.data.world_seed))
    data = build.evaluation_data(world_config(base, workdir, world))
    return {
        person['person_id']: counts[person['identity'] % len(counts)] if person['seen'] else 0
        for person in build.locate(data, workdir).read_people()
    }


def run(
    config: Any, workdir: Path, worlds: Sequence[int], seeds: Sequence[int], clips: bool
) -> str:
    """Trains, evaluates and reports, also into `WORKDIR/report.txt`, and renders the tables."""
    by_photos: dict[int, list[Path]] = {world: [] for world in worlds}
    by_clips: dict[int, list[Path]] = {world: [] for world in worlds}
    for seed in seeds:
        trained, folder = train_seed(config, workdir, seed, clips=clips)
        for world in worlds:
            by_photos[world].append(evaluate_world(trained, folder, workdir, world))
        if clips:
            tuned, folder = from_clips.clip_pad(trained, workdir, folder)
            train_once(tuned, folder)
            for world in worlds:
                by_clips[world].append(evaluate_world(tuned, folder, workdir, world))
    text = ''
    for world, folders in by_photos.items():
        photos = training_photos(config, workdir, world)
        text += f'World {world}\n\n{report.render(report.read(folders), photos)}\n\n'
        if clips:
            gains = report.gains(report.read(by_clips[world])).text()
            text += f'World {world}, fine-tuned on clips\n\n{gains}\n\n'
    atomic.write_bytes(workdir / 'report.txt', text.encode())
    return text + over_runs_tables(config, workdir, worlds, seeds, clips)


def over_runs_tables(
    config: Any, workdir: Path, worlds: Sequence[int], seeds: Sequence[int], clips: bool
) -> str:
    """The paper's table of existing evaluations, and the one of CLIP-PAD fine-tuned on clips.

    Raises:
        UserError: One of them is missing.
    """
    tables = {'CLIP-PAD trained on photos': ''}
    if clips:
        tables['CLIP-PAD fine-tuned on the clips of CE'] = from_clips.CLIP_PAD
    text = ''
    for title, subfolder in tables.items():
        runs = []
        for seed in seeds:
            for world in worlds:
                folder = evaluation_folder(config, workdir / f'seed{seed}' / subfolder, world)
                if not (folder / 'ranks.npz').is_file():
                    option = ' --clips' if subfolder else ''
                    raise errors.UserError(
                        f'{folder}: there is no ranks.npz: python tools/judge.py run --workdir '
                        f'{workdir} --worlds {world} --seeds {seed}{option} makes it'
                    )
                runs.append((seed, report.read([folder])))
        text += f'{title}\n\n{over_runs.render(runs)}\n\n'
    return text.rstrip()


def ablate(config: Any, workdir: Path, worlds: Sequence[int], seeds: Sequence[int]) -> str:
    """Trains every variant with every seed, for few steps, and evaluates on every world.

    `WORKDIR/ablations.txt` has the table after each seed.
    """
    config = copy.deepcopy(config)
    # A control would embed every gallery once more.
    config.eval.controls, config.eval.methods = (), ()
    results = {variant: {world: [] for world in worlds} for variant in ablations.VARIANTS}
    text = ''
    for number, seed in enumerate(seeds, 1):
        for variant, by_world in results.items():
            trained, folder = train_seed(config, workdir, seed, variant)
            for world in worlds:
                by_world[world].append(evaluate_world(trained, folder, workdir, world))
        ranked = {
            variant: [report.read(folders) for folders in by_world.values()]
            for variant, by_world in results.items()
        }
        done = ', '.join(map(str, seeds[:number]))
        text = f'Initial seeds: {done}; {ablations.render(ranked).text()}\n'
        atomic.write_bytes(workdir / 'ablations.txt', text.encode())
    return text


def draw_curves(config: Any, workdir: Path, world: int, seed: int, figure: Path | None) -> str:
    """Measures the curves of one model on one world, and draws them to a file."""
    trained, folder = train_seed(config, workdir, seed)
    trained = world_config(trained, workdir, world)
    # No curve is of them, and a control would embed the gallery once more.
    trained.eval.controls, trained.eval.methods = (), ()
    build.ensure(build.evaluation_data(trained), workdir)
    measured = curves.measure(folder, trained, training_photos(config, workdir, world))
    if figure:
        curves.draw(measured, figure)
    return curves.render(measured)


def evaluate_two_people(config: Any, workdir: Path, world: int, seed: int) -> None:
    """Evaluates one model on queries about two people in a world, and prints the tables."""
    trained, folder = train_seed(config, workdir, seed)
    trained = world_config(trained, workdir, world)
    trained.eval.controls, trained.eval.methods = (), ()
    with trained.eval.unlocked():
        trained.eval.two_people = cast(Any, configs.load(str(TWO_PEOPLE))).eval.two_people
    trained.eval.two_people.dir = str(workdir / f'pairs{world}')
    build.ensure(build.evaluation_data(trained), workdir)
    evaluation.evaluate(trained, folder, folder / f'two_people{world}')


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    runtime.silence_logs()
    parser = errors.CommandParser(__doc__ or '')
    parser.add_argument('what', choices=WHAT)
    parser.add_argument('--workdir', type=errors.given_path, default=Path('runs/synthetic_cast'))
    parser.add_argument('--worlds', type=errors.numbers, default=(), help='seeds of the worlds')
    parser.add_argument(
        '--seeds', type=errors.numbers, default=(0,), help='initial seeds of training'
    )
    parser.add_argument(
        '--clips', action='store_true', help='also CE, and CLIP-PAD fine-tuned on the same clips'
    )
    parser.add_argument(
        '--figure', type=errors.given_path, help='curves as a picture, .svg or .png'
    )
    words = sys.argv[1:] if arguments is None else arguments
    overrides = [word for word in words if word.startswith('--config.')]
    options = parser.parse_args([word for word in words if word not in overrides])
    short = ablations.SHORT if options.what == 'ablations' else {}
    given = [*(f'--config.{key}={value}' for key, value in short.items()), *overrides]
    config = cast(Any, configs.parse(['--config', str(CONFIG), *given]).config)
    print(version.describe(config), file=sys.stderr)
    workdir = options.workdir
    worlds = options.worlds or [config.data.world_seed]
    if options.figure and options.figure.suffix not in ('.svg', '.png'):
        raise errors.UserError(f'--figure {options.figure}: expected a .svg or .png file')
    if options.figure and len(worlds) > 1:
        raise errors.UserError('--figure shows one world: give one to --worlds')
    if options.what == 'difficulty':
        for world in worlds:
            print(f'World {world}\n{measure_difficulty(config, workdir, world)}')
    elif options.what == 'curves':
        for world in worlds:
            text = draw_curves(config, workdir, world, options.seeds[0], options.figure)
            print(f'World {world}\n{text}')
    elif options.what == 'table':
        print(over_runs_tables(config, workdir, worlds, options.seeds, options.clips))
    elif options.what == 'two_people':
        for world in worlds:
            evaluate_two_people(config, workdir, world, options.seeds[0])
    elif options.what == 'ablations':
        print(ablate(config, workdir, worlds, options.seeds))
    else:
        print(run(config, workdir, worlds, options.seeds, options.clips))


if __name__ == '__main__':
    errors.run_command(main)
