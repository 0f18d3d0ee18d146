"""Trains, then evaluates: `python -m cpad_jax.train --config configs/quickstart.py`.

usage: python -m cpad_jax.train --config FILE [--workdir DIR] [--config.KEY=VALUE …]
       cpad-train is the same command

  --config      a configuration file, e.g. configs/quickstart.py, or the name of one that comes with
                the package, e.g. quickstart; FILE:ARGUMENT calls get_config('ARGUMENT')
  --workdir     folder of the run (default: runs/<config.name>); a run that was stopped goes on
                from its last checkpoint, and what is there already is used again
  --config.KEY  overrides one key, e.g. --config.train.steps=500
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpad_jax.errors import naming, require_training, run_command
from cpad_jax.locks import locked
from cpad_jax.training.runtime import keep_compiled, silence_logs, stage

if TYPE_CHECKING:
    from cpad_jax.data.built_dataset import DatasetPaths
    from cpad_jax.models.clip_pad_api import PersonalizedCLIP


class IdentityData(NamedTuple):
    """Data sets of identity learning.

    Attributes:
        training: The data set whose training photos are learned from.
        evaluation: The data set that is searched; it may have no clips.
        evaluation_name: Its name.
    """

    training: DatasetPaths
    evaluation: DatasetPaths
    evaluation_name: str


class ClipData(NamedTuple):
    """Data sets of learning from clips.

    Attributes:
        people: The data set whose training photos are learned from.
        clips: 'training' and 'validation' → the data sets of clips.
    """

    people: DatasetPaths
    clips: dict[str, DatasetPaths]


class FineTuningData(NamedTuple):
    """Data sets of fine-tuning on clips, and the model that it starts from."""

    model: PersonalizedCLIP
    people: DatasetPaths
    clips: dict[str, DatasetPaths]


class TaskFunctions(NamedTuple):
    """The functions that a value of `config.task` stands for.

    Attributes:
        prepare: (config, workdir) → data. Checks the configuration, then builds the data sets.
        learn: (config, workdir, data). Trains, and exports the model to `WORKDIR/model`.
        evaluate: (config, workdir, data). Evaluates the export; None for tasks without evaluation,
            which export anew in every run.
    """

    prepare: Callable[[Any, Path], Any]
    learn: Callable[[Any, Path, Any], None]
    evaluate: Callable[[Any, Path, Any], None] | None


def prepare_captions(config: Any, workdir: Path) -> Path:
    """Returns the folder of captioned pictures, drawn if need be."""
    from cpad_jax.models import zoo
    from cpad_jax.synthetic import caption_shards

    clip, data = zoo.get(config.backbone), config.data
    folder = Path(data.dir) if data.dir else workdir / 'captioned'
    stage(1, 3, f'captioned pictures in {folder}')
    if not data.dir:
        caption_shards.ensure_shards(
            folder, data.shards, data.seed, data.famous, clip.image_size, data.people_per_shot
        )
    return folder


def pretrain_clip(config: Any, workdir: Path, folder: Path) -> None:
    """Pre-trains a small CLIP on captioned pictures."""
    from cpad_jax.models import zoo
    from cpad_jax.training import captioned_shards, loop, pretraining

    training, held_out = captioned_shards.open_shards(
        folder, zoo.get(config.backbone).text.context_length, config.data.held_out
    )
    task = pretraining.Pretraining(config, training)
    stage(2, 3, f'learning: {config.train.steps} steps of {task.batch_size} pictures')
    params = loop.run(task, config, workdir, task.evaluator(held_out))
    stage(3, 3, f'exporting to {workdir / "model"}')
    task.export(params, workdir / 'model')


def prepare_identities(config: Any, workdir: Path) -> IdentityData:
    """Builds the data set to learn from, and the one to search."""
    from cpad_jax.data import build, readers
    from cpad_jax.eval import find_protocol
    from cpad_jax.models import face_features, pretrained, visual_prompts
    from cpad_jax.models.weights import folder as weights_folder

    find_protocol(config).check(config)
    evaluation_config = build.evaluation_data(config)  # Refuses an unknown name.
    folder = pretrained.find_clip(config.backbone)  # Before the data set is drawn.
    clip_config = weights_folder.read_config(folder / weights_folder.CONFIG_FILE)
    face_features.other_clip(config.features.face)
    visual_prompts.check(config.model.visual_prompts, clip_config)
    stage(1, 5, f'data set {config.data.name}')
    training = build.ensure(config.data, workdir)
    evaluation = build.ensure(evaluation_config, workdir)
    if config.eval.data.name:  # Missing parts are reported before learning.
        readers.open_clips(evaluation)
        readers.open_photos(evaluation, 'references')
    return IdentityData(training, evaluation, evaluation_config['name'])


def learn_identities(config: Any, workdir: Path, data: IdentityData) -> None:
    """Trains CLIP-PAD on photos of people."""
    from cpad_jax.data import readers
    from cpad_jax.features.store import FeatureStore
    from cpad_jax.models.pretrained import load_clip
    from cpad_jax.training import identity, loop

    paths = data.training
    stage(2, 5, f'features of the training photos by {config.backbone}')
    clip = load_clip(config.backbone, dtype=config.dtype)
    photos = readers.open_photos(paths, 'train')
    store = FeatureStore.of_run(config, workdir, clip)
    features = store.photos(photos, 'embedding photos (train)')
    task = identity.IdentityLearning(config, clip, features, photos)
    stage(3, 5, f'learning {len(features.names)} people: {config.train.steps} steps')
    params = loop.run(task, config, workdir)
    stage(4, 5, f'exporting to {workdir / "model"}')
    task.export(params, workdir / 'model')


def evaluate_identities(config: Any, workdir: Path, data: IdentityData) -> None:
    """Evaluates CLIP-PAD by compound queries.

    A data set without clips, such as vggface2, is learned from and not evaluated on, unless
    `config.eval.data` names another one for that.
    """
    from cpad_jax.eval import evaluate

    name = data.evaluation_name
    if data.evaluation.clips is None:
        why = f'{name} has photos of people and no clips'
        stage(5, 5, f'no evaluation: {why}; config.eval.data.name may name a data set that has')
        return
    stage(5, 5, f'evaluation on {name}')
    evaluate(config, workdir)


def _build_clip_data(config: Any, workdir: Path) -> ClipData:
    """Builds the data sets of people, of clips to learn from and select by, and of the test."""
    from cpad_jax.data import build

    splits = build.title_splits(config, workdir)
    stage(1, 5, f'data sets of the worlds {[data["world_seed"] for data in splits.values()]}')
    people = build.ensure(config.data, workdir)
    build.ensure(splits['test'], workdir)
    clips = {
        split: build.ensure(splits[split], workdir, parts=('clips',))
        for split in ('training', 'validation')
    }
    return ClipData(people, clips)


def prepare_experts(config: Any, workdir: Path) -> ClipData:
    """Builds the data sets of Collaborative Experts."""
    from cpad_jax.models import pretrained

    pretrained.find_clip(config.backbone)  # Before the data sets are drawn.
    return _build_clip_data(config, workdir)


def learn_experts(config: Any, workdir: Path, data: ClipData) -> None:
    """Trains Collaborative Experts on clips, and exports the checkpoint best on validation."""
    from cpad_jax.methods.ce import training as ce_training
    from cpad_jax.models.pretrained import load_clip

    stage(2, 5, f'features by {config.backbone}')
    clip = load_clip(config.backbone, dtype=config.dtype)
    _learn_from_clips(
        ce_training.prepare(config, workdir, clip, data.people, data.clips), config, workdir
    )


def evaluate_experts(config: Any, workdir: Path, data: ClipData) -> None:
    """Evaluates Collaborative Experts by queries about no person in particular.

    Queries about people are a row of CLIP-PAD's evaluation.
    """
    from cpad_jax.eval import evaluate

    stage(5, 5, 'test without people')
    evaluate(config, workdir)


def prepare_fine_tuning(config: Any, workdir: Path) -> FineTuningData:
    """Loads the CLIP-PAD to start from, and builds the data sets."""
    from cpad_jax.eval import find_protocol
    from cpad_jax.models import clip_pad_api

    find_protocol(config).check(config)
    model = clip_pad_api.load(config.start_from, dtype=config.dtype)
    return FineTuningData(model, *_build_clip_data(config, workdir))


def finetune_on_clips(config: Any, workdir: Path, data: FineTuningData) -> None:
    """Fine-tunes CLIP-PAD on clips, and exports the checkpoint best on validation."""
    from cpad_jax.training import clip_learning

    stage(2, 5, f'features by {data.model.clip.config.name}')
    task = clip_learning.prepare(config, workdir, data.model, data.people, data.clips)
    _learn_from_clips(task, config, workdir)


def evaluate_fine_tuning(config: Any, workdir: Path, data: FineTuningData) -> None:
    """Evaluates CLIP-PAD by compound queries."""
    from cpad_jax.eval import evaluate

    stage(5, 5, f'evaluation on {config.data.name}')
    evaluate(config, workdir)


def _learn_from_clips(task: Any, config: Any, workdir: Path) -> None:
    """Trains a task on clips, and exports the checkpoint best on validation."""
    from cpad_jax.training import loop, validation_curve

    stage(3, 5, f'learning from {len(task.sampler.training)} clips: {config.train.steps} steps')
    params = loop.run(task, config, workdir, task.evaluator(workdir))
    step, params = validation_curve.best(task, config, workdir, params)
    stage(4, 5, f'exporting step {step} to {workdir / "model"}')
    task.export(params, workdir / 'model')


TASKS = {
    'identity': TaskFunctions(prepare_identities, learn_identities, evaluate_identities),
    'pretrain_clip': TaskFunctions(prepare_captions, pretrain_clip, None),
    'ce': TaskFunctions(prepare_experts, learn_experts, evaluate_experts),
    'finetune_on_clips': TaskFunctions(
        prepare_fine_tuning, finetune_on_clips, evaluate_fine_tuning
    ),
}


def _is_learned(config: Any, workdir: Path) -> bool:
    """Whether the last step has a checkpoint, and the model was exported."""
    from cpad_jax.training import checkpoints

    done = checkpoints.latest_step(workdir / 'checkpoints') == config.train.steps
    return done and (workdir / 'model').is_dir()


def train(config: Any, workdir: Path) -> None:
    """Runs the task of a configuration: data, learning, evaluation.

    Args:
        config: From `configs.parse`.
        workdir: The folder of the run.

    Raises:
        UserError: The workdir belongs to another configuration, another training runs in it, or the
            data is not as expected.
    """
    from cpad_jax.training import configs

    others = 'another training runs in it; wait until that has ended, or give another --workdir'
    with naming(workdir), locked(workdir, others):
        configs.record(config, workdir)
        keep_compiled(workdir)
        task = TASKS[config.task]
        data = task.prepare(config, workdir)
        if task.evaluate is not None and _is_learned(config, workdir):
            stage(4, 5, f'learned before: {workdir / "model"}')
        else:
            task.learn(config, workdir, data)
        if task.evaluate is not None:
            task.evaluate(config, workdir, data)


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
