"""Queries about two people, about one without the other, and queries that nothing answers.

A small protocol beside the main one. Pairs are asked of a gallery of their own, in which most
shots hold two or three people (`config.eval.two_people`); whether a query has an answer at all is
asked of the main gallery.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import atomic
from cpad_jax.data import build, readers, synthetic_cast
from cpad_jax.data.built_dataset import DatasetPaths
from cpad_jax.errors import UserError
from cpad_jax.features import store
from cpad_jax.methods import face_similarity
from cpad_jax.methods.face_similarity import NameSimilarity
from cpad_jax.methods.querybank import QueryBank
from cpad_jax.models import face_features
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person_adapter import padded
from cpad_jax.printable import say
from cpad_jax.protocols.compound import evaluate as compound_evaluate
from cpad_jax.protocols.compound import queries as compound_queries
from cpad_jax.protocols.open_set import evaluate as open_set_evaluate
from cpad_jax.protocols.open_set import scores as open_set_scores
from cpad_jax.protocols.pairs import queries, results, scores, table
from cpad_jax.protocols.pairs.scores import PairAsker
from cpad_jax.ranking import method
from cpad_jax.ranking import query as ranking_query
from cpad_jax.ranking import references as ranking_references
from cpad_jax.ranking.references import Reference
from cpad_jax.report import page, run_facts

FOLDER = 'two_people'


def locate(config: Any, workdir: Path) -> DatasetPaths:
    """Finds the gallery of pairs; films it where it is a drawn one.

    Args:
        config: `eval.two_people` and `data` are read. A data set of real clips is its own gallery.
        workdir: The run's folder.
    """
    data, options = build.evaluation_data(config), config.eval.two_people
    if data['name'] != synthetic_cast.SYNTHETIC_CAST:
        return build.locate(data, workdir)
    directory = options.dir or Path(workdir) / FOLDER / 'data'
    spec = synthetic_cast.world_spec({**data, **options.world})
    return synthetic_cast.ensure_synthetic_cast(directory, spec, parts=('clips',))


def tokens(
    model: PersonalizedCLIP, references: Mapping[str, Reference]
) -> dict[str, dict[str, np.ndarray]]:
    """What stands for everybody: form → person_id → float32 [K, W].

    Args:
        model: The model.
        references: person_id → photos, of one person or more.
    """
    photos = [own.features for own in references.values()]
    shown = model.tokens(*padded(photos, photos[0].shape[1]))
    both = model.with_names([own.name for own in references.values()], shown)
    return {
        method.IMAGE: dict(zip(references, shown, strict=True)),
        method.TEXT_IMAGE: dict(zip(references, both, strict=True)),
    }


def ask_pairs(config: Any, workdir: Path, model: PersonalizedCLIP) -> dict[str, Any]:
    """What `results.json` says of pairs: 'pairs', 'comparisons', 'bounds' and 'order'.

    Raises:
        UserError: The gallery allows no query about two people.
    """
    paths, options = locate(config, workdir), config.eval.two_people
    clips = readers.ClipReader(paths.part('clips'), 'test')
    labels = [ranking_query.labels(clips[number]) for number in range(len(clips))]
    there = sorted({person['person_id'] for clip in labels for person in clip['people']})
    titles = frozenset(clip['title'] for clip in labels)
    references, _ = ranking_references.read_references(workdir, config, model, there, titles)
    asked = queries.build_queries(labels, references, clips.actions, options.min_others)
    if not asked:
        raise UserError(
            f'{paths.clips}: no two people of whom there are photos are in one clip and each in '
            f'{options.min_others} or more with others; see config.eval.two_people.min_others'
        )
    cache, fingerprint = store.folder(config, workdir), f'{paths.fingerprint}/clips/test'
    frames = config.features.frames_per_clip
    embed = functools.partial(
        store.clip_features, clips, fingerprint, directory=cache,
        frames_per_clip=frames,
        batch_size=store.at_once(config.features.batch_size, frames),
        dtype=config.dtype, stage='embedding clips of pairs',
    )  # fmt: skip
    gallery = embed(model.image_clip).embeddings
    plain = gallery if model.image_clip is model.clip else embed(model.clip).embeddings
    names = {person_id: own.name for person_id, own in references.items()}
    faces = None
    if model.face_feature == face_features.CLIP:
        tracks = face_similarity.clip_tracks(config, cache, model.clip, clips, fingerprint)
        seen = face_similarity.ClipFaces(model, tracks)
        encoded = seen.encode_people([own.features for own in references.values()])
        alike = dict(zip(references, seen.similarity(encoded), strict=True))
        bank = QueryBank(model, plain, temperature=config.eval.word_bank.open)
        by_name = NameSimilarity(model.clip, tracks).similarity(
            [own.name for own in references.values()]
        )
        faces = scores.SeenFaces(
            alike, bank, **config.eval.with_faces,
            by_name=dict(zip(references, by_name, strict=True)),
            name=config.eval.clip_name_on_faces.faces,
        )  # fmt: skip
    asker = PairAsker(model, names, tokens(model, references), gallery, plain, faces)
    draws = {'samples': config.eval.bootstrap_samples, 'seed': config.seed}
    found = results.search(asker, asked)
    doings = queries.directed(labels, references, clips.actions)
    return {
        'num_clips': len(clips),
        'pairs': results.result_rows(found, asked, **draws),
        'comparisons': results.compare(found, asked, **draws),
        'bounds': results.bound_rows(asker, asked, labels, clips.actions),
        'order': results.order_rows(asker, doings, **draws) if doings else [],
    }


@dataclasses.dataclass(frozen=True)
class Detection:
    """Queries of the main gallery with their answers and without: rows, and trials by row."""

    rows: list[dict[str, Any]]
    trials: list[Any]


def detect(config: Any, material: compound_evaluate.EvalContext) -> Detection:
    """Asks the main gallery with answers and without."""
    options, model = config.eval.two_people, material.model
    names = {person['name'] for clip in material.labels for person in clip['people']}
    strangers, others = open_set_evaluate.cohort(
        model, sorted(names), options.strangers, config.seed
    )
    text = open_set_scores.TextScorer(model, material.encoder, material.galleries[None])
    rows, trials = [], []
    for scenario in options.scenarios:
        asked = [query for query in material.asked if query.scenario == scenario]
        if not asked:
            continue
        words = sorted({(q.action, q.place) for q in asked}, key=str)
        askers = [text]
        if model.face_feature == face_features.CLIP:
            setting, options_of = material.setting, config.eval.with_faces
            askers.append(
                open_set_scores.fused_scorer(
                    text, setting.words, setting.faces, others, words, options_of
                )
            )
            match = NameSimilarity(model.clip, setting.face_tracks)
            weight = config.eval.clip_name_on_faces.faces
            askers.append(
                open_set_scores.name_fused_scorer(match, setting.words, strangers, weight)
            )
        for asker in askers:
            background = open_set_evaluate.ask_for(asker, others, words)
            found = open_set_evaluate.evaluate(asker, asked, background)
            rows += open_set_evaluate.rows(
                found, asked, material.labels, material.clips.actions, material.clips.places,
                config.eval.bootstrap_samples, config.seed, asker.name,
            )  # fmt: skip
            trials += found.values()
    return Detection(rows, trials)


def evaluate(workdir: Path, config: Any, folder: Path | None = None) -> dict[str, Any]:
    """Asks the model in a workdir, prints the tables and writes what came out.

    Args:
        workdir: Of a finished identity learning.
        config: The configuration; `eval.two_people` says of what it is asked.
        folder: Where the files go; None for `WORKDIR/two_people`.

    Returns:
        What `results.json` holds.

    Raises:
        UserError: There is no model, or the data allows no query.
    """
    workdir, start = Path(workdir), time.perf_counter()
    _check(config.eval.two_people)
    material = compound_evaluate.prepare(workdir, config)
    found = {**material.facts, **ask_pairs(config, workdir, material.model)}
    detected = detect(config, material)
    found['detection'] = detected.rows
    folder = folder or workdir / FOLDER
    atomic.write_json(folder / 'results.json', found)
    text = table.render(found)
    atomic.write_bytes(folder / 'table.md', table.markdown(found).encode())
    said = run_facts.collect(config, material.facts, time.perf_counter() - start)
    html = page.render(
        f'Two people, and nobody: {config.name}',
        '<p>docs/two_people.md says what is asked.</p>',
        [
            *table.sections(found, detected.trials),
            page.Section('run', 'The run', run_facts.render(said, config)),
        ],
    )
    atomic.write_bytes(folder / 'report.html', html.encode('utf-8', 'replace'))
    say(text)
    return found


def _check(options: Any) -> None:
    least = {'min_others': 1, 'strangers': 2}
    for key, bound in least.items():
        if options[key] < bound:
            raise UserError(
                f'config.eval.two_people.{key} is {options[key]}, expected {bound} or more'
            )
    compound_queries.check(options.scenarios, 'config.eval.two_people.scenarios')
