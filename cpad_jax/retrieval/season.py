"""Searches a season: long videos cut into so many clips per minute, and a person doing something.

The poster's "real world" scenario. R@K is the share of all relevant clips inside the first K, and
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
from cpad_jax.data import build, readers, season_filming
from cpad_jax.data.drawn_world import SYNTHETIC_CAST, world_spec
from cpad_jax.data.season_filming import SeasonPaths
from cpad_jax.data.synthetic.season import SeasonSpec
from cpad_jax.errors import UserError
from cpad_jax.media import images
from cpad_jax.models import personalised
from cpad_jax.models.person import padded
from cpad_jax.models.personalised import Person, PersonalisedCLIP
from cpad_jax.printable import say
from cpad_jax.retrieval import (
    cutting,
    evaluation,
    names_read,
    queries,
    scenarios,
    season_pictures,
    season_queries,
    season_search,
    season_table,
)
from cpad_jax.retrieval.report import run_facts, season_page
from cpad_jax.retrieval.season_frames import SeasonFrames
from cpad_jax.retrieval.season_search import TUNED, Condition, Cutting
from cpad_jax.training import feature_cache
from cpad_jax.training.fine_tuning import FineTuner

METHODS = (
    queries.NO_PERSON, queries.CLIP, queries.PAD_TEXT, queries.PAD_IMAGE, queries.PAD_TEXT_IMAGE,
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The photos that say who somebody is.

    Attributes:
        person_id: Whose they are.
        name: Of the person.
        photos: Records of the `identities` schema, best first.
        features: float32 [R, Df], the face features of these photos.
        pictures: float [R, D], CLIP embeddings of the whole photos.
    """

    person_id: str
    name: str
    photos: Sequence[Mapping[str, Any]]
    features: np.ndarray
    pictures: np.ndarray | None = None


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
    return season_filming.ensure_season(options.dir or made, spec)


def cut(frames: SeasonFrames, per_minute: Sequence[float], cuts: Sequence[str]) -> list[Cutting]:
    """Cuts a season in every way that is asked for.

    Args:
        frames: Of the season.
        per_minute: Clips per minute.
        cuts: Some of `cutting.CUTS`.
    """
    shots = frames.shots() if cutting.AT_SHOTS in cuts else []
    found = []
    for number in per_minute:
        for name in cuts:
            if name == cutting.EQUAL:
                pieces = [cutting.equal_pieces(d, number) for d in frames.durations]
            else:
                pieces = [cutting.pieces_at_shots(own, number) for own in shots]
            found.append(Cutting(number, name, pieces))
    return found


def conditions(
    model: PersonalisedCLIP,
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
        queries.NONE: nobody, queries.TEXT: by_name, queries.IMAGE: by_photos,
        queries.TEXT_IMAGE: by_both,
    }  # fmt: skip
    found = [
        Condition(
            method, False,
            (nobody if method.name == queries.CLIP.name else behind[method.person_query]).get,
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
    model: PersonalisedCLIP, people: Mapping[str, Person], tokens: np.ndarray, form: str
) -> dict[str, Person]:
    """The same people by other tokens, which say their names where those were learned."""
    return {
        person_id: Person(person.name, own, form, name_in_token=model.knows(person.name))
        for (person_id, person), own in zip(people.items(), tokens, strict=True)
    }


def fine_tuning(model: PersonalisedCLIP) -> FineTune | None:
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


def _from_photos(model: PersonalisedCLIP, references: Mapping[str, Reference]) -> dict[str, Person]:
    """The adapter's guess of everybody."""
    photos = [reference.features for reference in references.values()]
    tokens = model.tokens(*padded(photos, photos[0].shape[1]))
    return {
        person_id: Person(reference.name, own, 'image', len(reference.features))
        for (person_id, reference), own in zip(references.items(), tokens, strict=True)
    }


def read_references(
    workdir: Path, config: Any, model: PersonalisedCLIP, wanted: Sequence[str], titles: frozenset
) -> tuple[dict[str, Reference], dict[str, bool]]:
    """The photos that say who people are, none of them from a title of the season.

    Args:
        workdir: The run's folder.
        config: The configuration.
        model: The model that embeds the faces.
        wanted: person_ids; who has no photos is left out.
        titles: Of the season.

    Returns:
        (person_id → photos, person_id → whether identity learning saw the person).
    """
    data = build.evaluation_data(config)
    paths = build.locate(data, workdir)
    reader = readers.IdentityReader(paths.part('identities'), 'references')
    cache = feature_cache.folder(config, workdir)
    features = feature_cache.photo_features(config, paths, reader, model.clip, cache)
    by_image, by_identity = evaluation.photos_by_identity(features, reader)
    numbers = {str(image_id): number for number, image_id in enumerate(features.image_ids)}
    people = evaluation.read_people(paths, build.locate(config.data, workdir), model.names)
    found = {}
    for person_id in wanted:
        if person_id not in people:
            continue
        photos = by_identity.get(people[person_id]['identity'], [])
        chosen = scenarios.choose_references(photos, set(titles), config.eval.num_references)
        if chosen:
            found[person_id] = Reference(
                person_id, people[person_id]['name'], [reader[numbers[i]] for i in chosen],
                np.stack([by_image[i] for i in chosen]),
                features.images[[numbers[i] for i in chosen]],
            )  # fmt: skip
    return found, {person_id: bool(people[person_id]['seen']) for person_id in found}


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
    model = personalised.load(workdir, dtype=config.dtype)
    paths = locate(config, workdir)
    truth = season_queries.read_truth(paths.table, paths.videos)
    references, seen = read_references(workdir, config, model, sorted(truth.names), truth.titles)
    frames = SeasonFrames(
        truth.videos, model.image_clip, feature_cache.folder(config, workdir),
        rate=options.frame_rate, batch_size=config.features.batch_size, dtype=config.dtype,
    )  # fmt: skip
    cuttings = cut(frames, options.clips_per_minute, options.cuts)
    fewest, most = options.relevant
    asked = season_queries.build_queries(
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
    values, kept = season_search.search(model, frames, cuttings, asked, rows, options.moment)
    draws = {'samples': config.eval.bootstrap_samples, 'seed': config.seed}
    read = names_read.read(
        model.clip, build.evaluation_data(config), {k: own.name for k, own in references.items()},
        {k: own.pictures for k, own in references.items()},
    )  # fmt: skip
    found = season_search.result_rows(
        cuttings, asked, rows, values, seen, facts, **draws, read=read
    )
    differences = season_search.compare(cuttings, asked, rows, values, **draws)
    folder = workdir / 'eval'
    atomic.write_json(folder / 'season.json', found)
    atomic.write_json(folder / 'season_comparisons.json', differences)
    with atomic.writing(folder / 'season_ranks.npz') as temporary:
        np.savez(temporary, query_id=np.array([query.query_id for query in asked]), **kept)
    searched = season_page.Searched(
        found, differences, truth.videos, cuttings, asked, rows, values, kept
    )
    photos = {person_id: own.photos[0]['image'] for person_id, own in references.items()}
    shown = season_pictures.draw(searched, photos, config.seed)
    said = run_facts.collect(config, _facts(config, workdir, model), time.perf_counter() - start)
    html = season_page.build(searched, shown, said, config)
    atomic.write_bytes(folder / 'season.html', html.encode('utf-8', 'replace'))
    text = season_table.render(found, differences)
    atomic.write_bytes(folder / 'season.md', season_table.markdown(found, differences).encode())
    say(text)
    return found


def _facts(config: Any, workdir: Path, model: PersonalisedCLIP) -> dict[str, Any]:
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
        if name not in cutting.CUTS:
            raise UserError(
                f'config.eval.season.cuts names {name!r}, expected some of '
                f'{", ".join(cutting.CUTS)}'
            )
    if min(options.clips_per_minute, default=1) <= 0:
        raise UserError(
            f'config.eval.season.clips_per_minute is {tuple(options.clips_per_minute)}, expected '
            'numbers above 0'
        )
    for key in ('clips_per_minute', 'cuts'):
        if not len(options[key]):
            raise UserError(f'config.eval.season.{key} is empty, expected at least one')
