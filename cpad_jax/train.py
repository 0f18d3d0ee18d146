"""Learns, then evaluates: `python -m cpad_jax.train --config configs/quickstart.py`.

usage: python -m cpad_jax.train --config FILE [--workdir DIR] [--config.KEY=VALUE …]
       cpad-train is the same command

  --config      a configuration file, e.g. configs/quickstart.py, or the name of one that comes with
                the package, e.g. quickstart; FILE:ARGUMENT calls get_config('ARGUMENT')
  --workdir     where everything goes (default: runs/<config.name>); a run that was stopped goes on
                from its last checkpoint, and what is there already is used again
  --config.KEY  overrides one key, e.g. --config.train.steps=500
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpad_jax.errors import naming, require_training, run_command
from cpad_jax.locks import locked
from cpad_jax.training.runtime import keep_compiled, silence_logs, stage

if TYPE_CHECKING:
    from cpad_jax.data.built_dataset import DatasetPaths
    from cpad_jax.models.clip_pad_api import PersonalizedCLIP


def pretrain(config: Any, workdir: Path) -> None:
    """Pre-trains a small CLIP on captioned pictures, and exports it to `WORKDIR/model`."""
    from cpad_jax.models import zoo
    from cpad_jax.synthetic import caption_shards
    from cpad_jax.training import captioned_shards, loop, pretraining

    clip, data = zoo.get(config.backbone), config.data
    folder = Path(data.dir) if data.dir else workdir / 'captioned'
    stage(1, 3, f'captioned pictures in {folder}')
    if not data.dir:
        caption_shards.ensure_shards(
            folder, data.shards, data.seed, data.famous, clip.image_size, data.people_per_shot
        )
    training, held_out = captioned_shards.open_shards(
        folder, clip.text.context_length, data.held_out
    )
    task = pretraining.Pretraining(config, training)
    stage(2, 3, f'learning: {config.train.steps} steps of {task.batch_size} pictures')
    params = loop.run(task, config, workdir, task.evaluator(held_out))
    stage(3, 3, f'exporting to {workdir / "model"}')
    task.export(params, workdir / 'model')


def learn_identities(config: Any, workdir: Path) -> None:
    """Learns who people are, exports the model to `WORKDIR/model`, and evaluates it.

    A data set without clips, such as vggface2, is learned from and not evaluated on, unless
    `config.eval.data` names another one for that.
    """
    from cpad_jax.data import build, readers
    from cpad_jax.models import face_features, pretrained, visual_prompts
    from cpad_jax.models.weights import folder as weights_folder
    from cpad_jax.protocols.compound import evaluate
    from cpad_jax.training import checkpoints

    evaluate.check(config)
    folder = pretrained.find_clip(config.backbone)  # Rather now than after the data set was drawn.
    clip_config = weights_folder.read_config(folder / weights_folder.CONFIG_FILE)
    face_features.other_clip(config.features.face)
    visual_prompts.check(config.model.get('visual_prompts', 0), clip_config)
    stage(1, 5, f'data set {config.data.name}')
    paths = build.ensure(config.data, workdir)
    asked = build.evaluation_data(config)
    evaluated = build.ensure(asked, workdir)
    if config.eval.data.name:  # Here, too, what is missing is said rather now than after learning.
        readers.ClipReader(evaluated.part('clips'), 'test')
        readers.IdentityReader(evaluated.part('identities'), 'references')
    done = checkpoints.latest_step(workdir / 'checkpoints') == config.train.steps
    if done and (workdir / 'model').is_dir():
        stage(4, 5, f'learned before: {workdir / "model"}')
    else:
        _learn_identities(config, workdir, paths)
    if evaluated.clips is None:
        why = f'{asked["name"]} has photos of people and no clips'
        stage(5, 5, f'no evaluation: {why}; config.eval.data.name may name a data set that has')
        return
    stage(5, 5, f'evaluation on {asked["name"]}')
    evaluate.evaluate(workdir, config)


def _learn_identities(config: Any, workdir: Path, paths: DatasetPaths) -> None:
    from cpad_jax.data import readers
    from cpad_jax.features import store
    from cpad_jax.models.pretrained import load_clip
    from cpad_jax.training import identity, loop

    stage(2, 5, f'features of the training photos by {config.backbone}')
    clip = load_clip(config.backbone, dtype=config.dtype)
    photos = readers.IdentityReader(paths.part('identities'), 'train')
    cache = store.folder(config, workdir)
    features = store.photo_features(config, paths, photos, clip, cache)
    task = identity.IdentityLearning(config, clip, features, photos)
    stage(3, 5, f'learning {len(features.names)} people: {config.train.steps} steps')
    params = loop.run(task, config, workdir)
    stage(4, 5, f'exporting to {workdir / "model"}')
    task.export(params, workdir / 'model')


def _title_splits(config: Any, workdir: Path) -> tuple[DatasetPaths, dict[str, DatasetPaths]]:
    """Whose photos are learned from, and the clips to learn from and to select by; all is built."""
    from cpad_jax.data import build

    splits = build.title_splits(config, workdir)
    stage(1, 5, f'data sets of the worlds {[data["world_seed"] for data in splits.values()]}')
    people = build.ensure(config.data, workdir)
    build.ensure(splits['test'], workdir)
    return people, {
        split: build.ensure(splits[split], workdir, parts=('clips',))
        for split in ('training', 'validation')
    }


def learn_experts(config: Any, workdir: Path) -> None:
    """Learns Collaborative Experts from clips, exports the best to `WORKDIR/model`, and tests it.

    The test asks what nobody in particular does; with people it is a row of CLIP-PAD's evaluation.
    """
    from cpad_jax.models import pretrained
    from cpad_jax.protocols import no_person
    from cpad_jax.training import checkpoints

    pretrained.find_clip(config.backbone)  # Rather now than after the data sets were drawn.
    people, clips = _title_splits(config, workdir)
    done = checkpoints.latest_step(workdir / 'checkpoints') == config.train.steps
    if done and (workdir / 'model').is_dir():
        stage(4, 5, f'learned before: {workdir / "model"}')
    else:
        _learn_experts(config, workdir, people, clips)
    stage(5, 5, 'test without people')
    no_person.evaluate(workdir, config)


def _learn_experts(
    config: Any, workdir: Path, people: DatasetPaths, clips: dict[str, DatasetPaths]
) -> None:
    from cpad_jax.methods.ce import training as ce_training
    from cpad_jax.models.pretrained import load_clip
    from cpad_jax.training import loop, validation_curve

    stage(2, 5, f'features by {config.backbone}')
    clip = load_clip(config.backbone, dtype=config.dtype)
    task = ce_training.prepare(config, workdir, clip, people, clips)
    stage(3, 5, f'learning from {len(task.asks.training)} clips: {config.train.steps} steps')
    params = loop.run(task, config, workdir, task.evaluator(workdir))
    step, params = validation_curve.best(task, config, workdir, params)
    stage(4, 5, f'exporting step {step} to {workdir / "model"}')
    task.export(params, workdir / 'model')


def learn_from_clips(config: Any, workdir: Path) -> None:
    """Teaches a learned CLIP-PAD by clips, exports the best one, and evaluates it."""
    from cpad_jax.models import clip_pad_api
    from cpad_jax.protocols.compound import evaluate
    from cpad_jax.training import checkpoints

    evaluate.check(config)
    model = clip_pad_api.load(config.start_from, dtype=config.dtype)
    people, clips = _title_splits(config, workdir)
    done = checkpoints.latest_step(workdir / 'checkpoints') == config.train.steps
    if done and (workdir / 'model').is_dir():
        stage(4, 5, f'learned before: {workdir / "model"}')
    else:
        _learn_from_clips(config, workdir, model, people, clips)
    stage(5, 5, f'evaluation on {config.data.name}')
    evaluate.evaluate(workdir, config)


def _learn_from_clips(
    config: Any,
    workdir: Path,
    model: PersonalizedCLIP,
    people: DatasetPaths,
    clips: dict[str, DatasetPaths],
) -> None:
    from cpad_jax.training import clip_learning, loop, validation_curve

    stage(2, 5, f'features by {model.clip.config.name}')
    task = clip_learning.prepare(config, workdir, model, people, clips)
    stage(3, 5, f'learning from {len(task.asks.training)} clips: {config.train.steps} steps')
    params = loop.run(task, config, workdir, task.evaluator(workdir))
    step, params = validation_curve.best(task, config, workdir, params)
    stage(4, 5, f'exporting step {step} to {workdir / "model"}')
    task.export(params, workdir / 'model')


TASKS = {
    'identity': learn_identities,
    'clip': pretrain,
    'ce': learn_experts,
    'clips': learn_from_clips,
}


def train(config: Any, workdir: Path) -> None:
    """Does all that the configuration asks for.

    Args:
        config: From `configs.parse`.
        workdir: Where everything goes.

    Raises:
        UserError: The workdir belongs to another configuration, another training runs in it, or the
            data is not as expected.
    """
    from cpad_jax.training import configs

    others = 'another training runs in it; wait until that has ended, or give another --workdir'
    with naming(workdir), locked(workdir, others):
        configs.record(config, workdir)
        keep_compiled(workdir)
        TASKS[config.task](config, workdir)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line.

    Args:
        argv: Arguments without the program's name; those of the process by default.
    """
    argv = sys.argv[1:] if argv is None else argv
    if '--help' in argv or '-h' in argv:
        print(__doc__)
        return
    silence_logs()
    require_training()
    from cpad_jax.training import configs

    config, workdir = configs.parse(argv)
    train(config, workdir)


if __name__ == '__main__':
    run_command(main)
