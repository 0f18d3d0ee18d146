"""Searches a season: long videos cut into so many clips per minute, and a person doing something.

The paper's "real world" scenario. R@K is the share of all relevant clips inside the first K, and
"last rank" the rank of the last relevant one. Photos that say who somebody is come from the data
set of photos, never from a title of the season.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import atomic, progress
from cpad_jax.data import build, synthetic_season
from cpad_jax.data.synthetic_cast import SYNTHETIC_CAST, world_spec
from cpad_jax.data.synthetic_season import SeasonPaths
from cpad_jax.errors import UserError
from cpad_jax.features import store
from cpad_jax.media import images
from cpad_jax.models import clip_pad_api
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person import Person
from cpad_jax.models.person_adapter import padded
from cpad_jax.printable import say
from cpad_jax.protocols.season import pictures as season_pictures
from cpad_jax.protocols.season import queries, report, search, segmentation, table
from cpad_jax.protocols.season.frames import SeasonFrames
from cpad_jax.protocols.season.search import TUNED, Condition, Segmentation
from cpad_jax.ranking import names_read
from cpad_jax.ranking.method import (
    CLIP,
    IMAGE,
    NO_PERSON,
    NONE,
    PAD_IMAGE,
    PAD_TEXT,
    PAD_TEXT_IMAGE,
    TEXT,
    TEXT_IMAGE,
)
from cpad_jax.ranking.references import Reference, read_references
from cpad_jax.report import run_facts
from cpad_jax.synthetic.season import SeasonSpec
from cpad_jax.training.fine_tuning import FineTuner

METHODS = (
    NO_PERSON, CLIP, PAD_TEXT, PAD_IMAGE, PAD_TEXT_IMAGE,
)  # fmt: skip


# Fine-tunes on a person from a guess: what to search with afterwards in place of the guess.
FineTune = Callable[[Reference, Person], Person]


def locate(config: Any, workdir: Path) -> SeasonPaths:
    """Finds the season of a configuration; films it where it is a drawn one.

    Args:
        config: `eval.season` and `data` are read. Where `eval.season.videos` is empty the season is
            drawn, of the world that is evaluated on.
        workdir: The run's folder; the drawn season lies in `WORKDIR/season1` (of
            seed 1; `season` of seed 0) unless `eval.season.dir` says where.

    Raises:
        UserError: Videos without a table, a table without videos, or nothing to draw from.
    """
    options = config.eval.season
    if bool(options.videos) != bool(options.annotations):
        given, missing = ('videos', 'annotations') if options.videos else ('annotations', 'videos')
        raise UserError(
            f'config.eval.season.{given} is given and config.eval.season.{missing} is not: give '
            'both, the folder of the videos and the table of who does what in them, or neither'
        )
    if options.videos:
        return SeasonPaths(Path(options.videos), Path(options.annotations))
    data = build.evaluation_data(config)
    if data['name'] != SYNTHETIC_CAST:
        raise UserError(
            f'{data["name"]} has no drawn season: give config.eval.season.videos, a folder, and '
            'config.eval.season.annotations, the table of who does what in them (docs/season.md)'
        )
    spec = SeasonSpec(
        world_spec(data), options.seed, options.episodes, options.minutes, options.cast
    )
    made = Path(workdir) / (f'season{options.seed}' if options.seed else 'season')
    return synthetic_season.ensure_season(options.dir or made, spec)


def segment(
    frames: SeasonFrames, per_minute: Sequence[float], cuts: Sequence[str]
) -> list[Segmentation]:
    """Cuts a season in every way that is asked for.

    Args:
        frames: Of the season.
        per_minute: Clips per minute.
        cuts: Some of `segmentation.CUTS`.
    """
    shots = frames.shots() if segmentation.AT_SHOTS in cuts else []
    found = []
    for number in per_minute:
        for name in cuts:
            if name == segmentation.EQUAL:
                pieces = [segmentation.equal_segments(d, number) for d in frames.durations]
            else:
                pieces = [segmentation.shot_segments(own, number) for own in shots]
            found.append(Segmentation(number, name, pieces))
    return found


def conditions(
    model: PersonalizedCLIP,
    references: Mapping[str, Reference],
    fine_tune: FineTune | None,
) -> list[Condition]:
    """The rows of the table.

    Args:
        model: The model.
        references: person_id → photos.
        fine_tune: Fine-tunes on a person; None for no such rows.
    """
    nobody = {person_id: None for person_id in references}
    names = [reference.name for reference in references.values()]
    by_photos = _from_photos(model, references)
    by_name = _named(model, by_photos, model.name_tokens(names), 'text')
    shown = np.stack([person.tokens for person in by_photos.values()])
    by_both = _named(model, by_photos, model.with_names(names, shown), 'text+image')
    behind = {
        NONE: nobody, TEXT: by_name, IMAGE: by_photos,
        TEXT_IMAGE: by_both,
    }  # fmt: skip
    found = [
        Condition(
            method, False,
            (nobody if method.name == CLIP.name else behind[method.person_query]).get,
        )
        for method in METHODS
    ]  # fmt: skip
    if fine_tune is not None:
        stage = {'stage': 'fine-tuning on people', 'unit': 'person'}
        with progress.bar(total=len(TUNED) * len(references), **stage) as bar:
            for method in TUNED:
                tuned = {}
                for person_id, guess in behind[method.person_query].items():
                    tuned[person_id] = fine_tune(references[person_id], guess)
                    bar.update()
                found.append(Condition(method, True, tuned.get))
    return found


def _named(
    model: PersonalizedCLIP, people: Mapping[str, Person], tokens: np.ndarray, form: str
) -> dict[str, Person]:
    """The same people by other tokens, which say their names where those were learned."""
    return {
        person_id: Person(person.name, own, form, name_in_token=model.knows(person.name))
        for (person_id, person), own in zip(people.items(), tokens, strict=True)
    }


def fine_tuning(model: PersonalizedCLIP) -> FineTune | None:
    """Fine-tunes tokens by the reference photos; None for a model that keeps no other people."""
    if model.saved.background is None:
        return None
    tuner = FineTuner(model)

    @functools.cache
    def seen(reference: Reference) -> np.ndarray:
        pictures = [images.decode_jpeg(photo['image']) for photo in reference.photos]
        return model.image_clip.encode_image(model.image_clip.preprocess(pictures))

    def fine_tune(reference: Reference, guess: Person) -> Person:
        tuned = tuner.fit(guess.tokens, seen(reference), reference.name).person
        return dataclasses.replace(tuned, name_in_token=guess.name_in_token)

    return fine_tune


def _from_photos(model: PersonalizedCLIP, references: Mapping[str, Reference]) -> dict[str, Person]:
    """The adapter's guess of everybody."""
    photos = [reference.features for reference in references.values()]
    tokens = model.tokens(*padded(photos, photos[0].shape[1]))
    return {
        person_id: Person(reference.name, own, 'image', len(reference.features))
        for (person_id, reference), own in zip(references.items(), tokens, strict=True)
    }


def evaluate(workdir: Path, config: Any) -> list[dict[str, Any]]:
    """Searches the season with the model in a workdir, prints the table and writes what came out.

    Every cutting is searched before and after fine-tuning on the person's photos, if the model
    keeps photos of other people to tell a person apart from.

    Args:
        workdir: Of a finished identity learning.
        config: The configuration; `eval.season` says which season and how.

    Returns:
        The rows of `WORKDIR/eval/season.json`.

    Raises:
        UserError: There is no model or no season, or the season allows no query.
    """
    workdir, options, start = Path(workdir), config.eval.season, time.perf_counter()
    _check(options)
    model = clip_pad_api.load(workdir, dtype=config.dtype)
    paths = locate(config, workdir)
    truth = queries.read_truth(paths.table, paths.videos)
    references, seen = read_references(workdir, config, model, sorted(truth.names), truth.titles)
    frames = SeasonFrames(
        truth.videos, model.image_clip, store.folder(config, workdir),
        rate=options.frame_rate, batch_size=config.features.batch_size, dtype=config.dtype,
    )  # fmt: skip
    cuttings = segment(frames, options.clips_per_minute, options.cuts)
    fewest, most = options.relevant
    asked = queries.build_queries(
        truth, [way.pieces for way in cuttings], list(references), options.min_share,
        fewest, most,
    )  # fmt: skip
    if not asked:
        raise UserError(
            f'{paths.table}: nobody of whom there are photos does anything in {fewest} to {most} '
            'clips; see config.eval.season.relevant and config.eval.season.min_share'
        )
    about = {query.person_id for query in asked}
    references = {person_id: own for person_id, own in references.items() if person_id in about}
    rows = conditions(model, references, fine_tuning(model))
    facts = {
        'dataset': build.evaluation_data(config)['name'],
        'season': '+'.join(sorted(truth.titles)),
        'backbone': model.clip.config.name,
        'num_references': config.eval.num_references,
        'min_share': options.min_share,
        'moment': options.moment,
        'minutes': round(sum(frames.durations) / 60, 2),
    }
    values, kept = search.search(model, frames, cuttings, asked, rows, options.moment)
    draws = {'samples': config.eval.bootstrap_samples, 'seed': config.seed}
    read = names_read.read(
        model.clip, build.evaluation_data(config), {k: own.name for k, own in references.items()},
        {k: own.pictures for k, own in references.items()},
    )  # fmt: skip
    found = search.result_rows(cuttings, asked, rows, values, seen, facts, **draws, read=read)
    differences = search.compare(cuttings, asked, rows, values, **draws)
    folder = workdir / 'eval'
    atomic.write_json(folder / 'season.json', found)
    atomic.write_json(folder / 'season_comparisons.json', differences)
    with atomic.writing(folder / 'season_ranks.npz') as temporary:
        np.savez(temporary, query_id=np.array([query.query_id for query in asked]), **kept)
    searched = report.Searched(
        found, differences, truth.videos, cuttings, asked, rows, values, kept
    )
    photos = {person_id: own.photos[0]['image'] for person_id, own in references.items()}
    shown = season_pictures.draw(searched, photos, config.seed)
    said = run_facts.collect(config, _facts(config, workdir, model), time.perf_counter() - start)
    html = report.build(searched, shown, said, config)
    atomic.write_bytes(folder / 'season.html', html.encode('utf-8', 'replace'))
    text = table.render(found, differences)
    atomic.write_bytes(folder / 'season.md', table.markdown(found, differences).encode())
    say(text)
    return found


def _facts(config: Any, workdir: Path, model: PersonalizedCLIP) -> dict[str, Any]:
    """What `run_facts.collect` says of the photos and the model."""
    data = build.evaluation_data(config)
    return {
        'dataset': data['name'],
        'dataset_version': build.locate(data, workdir).version,
        'split': 'references',
        'seed': data['world_seed'] if data['name'] == SYNTHETIC_CAST else None,
        'backbone': model.clip.config.name,
        'face_feature': model.face_feature,
    }


def _check(options: Any) -> None:
    if not 0 < options.min_share <= 1:
        raise UserError(
            f'config.eval.season.min_share is {options.min_share}, expected above 0, at most 1'
        )
    if not 0 < options.frame_rate <= 100:
        raise UserError(
            f'config.eval.season.frame_rate is {options.frame_rate}, expected frames per second, '
            'above 0, at most 100'
        )
    if not 0 <= options.moment <= 3600:
        raise UserError(
            f'config.eval.season.moment is {options.moment}, expected the seconds of a moment, at '
            'most 3600, or 0 for whole clips'
        )
    if len(options.relevant) != 2 or not 1 <= options.relevant[0] <= options.relevant[1]:
        raise UserError(
            f'config.eval.season.relevant is {tuple(options.relevant)}, expected the fewest and '
            'the most clips that answer a query, such as 5,25'
        )
    for name in options.cuts:
        if name not in segmentation.CUTS:
            raise UserError(
                f'config.eval.season.cuts names {name!r}, expected some of '
                f'{", ".join(segmentation.CUTS)}'
            )
    if min(options.clips_per_minute, default=1) <= 0:
        raise UserError(
            f'config.eval.season.clips_per_minute is {tuple(options.clips_per_minute)}, expected '
            'numbers above 0'
        )
    for key in ('clips_per_minute', 'cuts'):
        if not len(options[key]):
            raise UserError(f'config.eval.season.{key} is empty, expected at least one')
