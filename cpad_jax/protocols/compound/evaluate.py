"""Evaluates a workdir: embeds the gallery and the queries, ranks, and writes what came out."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import atomic
from cpad_jax.data import build, readers, synthetic_cast
from cpad_jax.errors import UserError
from cpad_jax.features import store
from cpad_jax.media import images
from cpad_jax.methods import clip_pad, registry
from cpad_jax.methods.ce import export, scorer
from cpad_jax.methods.clip import PlainCLIP
from cpad_jax.methods.context import Setting
from cpad_jax.models import clip_pad_api
from cpad_jax.printable import say
from cpad_jax.protocols import no_person
from cpad_jax.protocols.compound import examples, queries, results, table
from cpad_jax.protocols.compound import report as compound_report
from cpad_jax.protocols.compound import report_page as report
from cpad_jax.ranking import galleries as ranking_galleries
from cpad_jax.ranking import method as ranking_method
from cpad_jax.ranking import metrics, names_read, query_photos
from cpad_jax.ranking import query as ranking_query
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.ranking import scorers as ranking_scorers
from cpad_jax.ranking.references import photos_by_identity, read_people
from cpad_jax.report import learning, run_facts, strips
from cpad_jax.training import validation_curve


def choose_examples(
    asked: Sequence[ranking_query.Query], first: np.ndarray, seed: int
) -> list[int]:
    """Which queries the picture shows: one of a seen person per scenario, and both outcomes.

    Args:
        asked: Q queries.
        first: [Q] rank of the first right clip.
        seed: Seed of the draw, which does not look at `first`. Only where all that it drew have a
            right clip among the first five, or none has, one of the other kind is drawn too.

    Returns:
        Numbers of queries.
    """
    rng = np.random.default_rng((seed, 7))
    chosen = []
    for scenario in dict.fromkeys(query.scenario for query in asked):
        which = ranking_rows.group(asked, scenario, 'seen')
        if len(which):
            chosen.append(int(rng.choice(which)))
    found = first <= 5
    for wanted in (True, False):
        if (found[chosen] != wanted).all() and (found == wanted).any():
            chosen.append(int(rng.choice(np.flatnonzero(found == wanted))))
    return chosen


def _middle(clips: readers.ClipReader, number: int) -> np.ndarray:
    """The middle frame of a clip: uint8 [H, W, 3]."""
    data = clips[number]['frames']
    return images.decode_jpeg(data[len(data) // 2])


def _what_is_seen(
    query: ranking_query.Query, clip: Mapping[str, Any], clips: readers.ClipReader
) -> str:
    """What of a query is true of a clip, e.g. 'the person, not doing it; the place'."""
    person = next((p for p in clip['people'] if p['person_id'] == query.person_id), None)
    words = 'the person' if person else 'somebody else'
    if query.action is not None:
        action = clips.actions.index(query.action)
        known = person is not None and clips.relevance == 'person'
        words += (
            ', doing it' if action in (person if known else clip)['actions'] else (', not doing it')
        )
    if query.place is not None:
        there = clip['place'] == clips.places.index(query.place)
        words += '; the place' if there else '; another place'
    return words


def _draw_examples(
    path: Path,
    asked: Sequence[ranking_query.Query],
    chosen: Sequence[int],
    shown: ranking_scorers.Cosine,
    first: np.ndarray,
    clips: readers.ClipReader,
    photos: readers.IdentityReader,
) -> None:
    numbers = {photos[n]['image_id']: n for n in range(len(photos))}
    drawn = []
    for number in chosen:
        query = asked[number]
        best = shown.best(query, 5)
        frames = [_middle(clips, clip) for clip in best]
        text = clip_pad.query_text(query.name, query.action, query.place, person_token=True)
        drawn.append(
            examples.Example(
                text=text,
                note=f'first right clip at rank {int(first[number])} of {len(clips)}',
                photo=images.decode_jpeg(photos[numbers[query.references[0]]]['image']),
                frames=frames,
                right=[clip in query.relevant for clip in best],
            )
        )
    examples.draw(path, drawn)


@dataclasses.dataclass(frozen=True)
class EvalContext:
    """What an evaluation asks, and of what.

    Attributes:
        model: The model that is evaluated.
        clips: Reader of the gallery's clips.
        photos: Reader of the photos that stand for people.
        labels: What each clip's record says, without its pictures.
        galleries: None → embeddings [N, D] of the clips; name of a control → of spoiled ones.
        plain_gallery: Embeddings [N, D] of the clips by CLIP itself: without visual prompts the
            very same.
        asked: The queries.
        encoder: Embeds them.
        paper: The rows of the paper.
        controls: The controls, which `encoder` encodes.
        setting: What other ways to say who are made of.
        further: These.
        facts: What is the same in every row of `results.json`.
    """

    model: clip_pad_api.PersonalizedCLIP
    clips: readers.ClipReader
    photos: readers.IdentityReader
    labels: list[dict[str, Any]]
    galleries: dict[str | None, np.ndarray]
    plain_gallery: np.ndarray
    asked: list[ranking_query.Query]
    encoder: clip_pad.QueryEncoder
    paper: tuple[ranking_scorers.Scorer, ...]
    controls: tuple[ranking_method.Method, ...]
    setting: Setting
    further: tuple[ranking_scorers.Scorer, ...]
    facts: dict[str, Any]

    def gallery(self, method: ranking_method.Method) -> np.ndarray:
        """The embeddings [N, D] that a method or control ranks."""
        if method.name == ranking_method.CLIP.name:
            return self.plain_gallery
        return self.galleries.get(method.control, self.galleries[None])

    @property
    def scorers(self) -> tuple[ranking_scorers.Scorer, ...]:
        """What ranks the clips, one for each method and control."""
        controls = (ranking_scorers.Cosine(m, self.encoder, self.gallery(m)) for m in self.controls)
        return (*self.paper, *controls, *self.further)


def check(config: Any) -> None:
    """Makes sure, before long work, that `config.eval` names rows and scenarios that there are.

    Raises:
        UserError: It does not; or `config.eval.ce` is no trained Collaborative Experts.
    """
    options = config.eval
    ranking_method.controls(options.controls)
    registry.rows(options.methods)
    queries.check(options.scenarios, 'config.eval.scenarios')
    if options.ce:
        export.check_there(scorer.model_folder(options.ce))


def prepare(workdir: Path, config: Any) -> EvalContext:
    """Embeds the gallery and the photos, and builds the queries.

    Args:
        workdir: Of a finished identity learning.
        config: As in `evaluate`.

    Raises:
        UserError: There is no model, or the data allows no query.
    """
    check(config)
    options, controls = config.eval, ranking_method.controls(config.eval.controls)
    model = clip_pad_api.load(workdir, dtype=config.dtype)
    data = build.evaluation_data(config)
    paths = build.locate(data, workdir)
    clips = readers.ClipReader(paths.part('clips'), 'test')
    photos = readers.IdentityReader(paths.part('identities'), 'references')
    cache = store.folder(config, workdir)
    embed = functools.partial(
        ranking_galleries.embed_galleries, clips, f'{paths.fingerprint}/clips/test',
        directory=cache,
        frames_per_clip=config.features.frames_per_clip, batch_size=config.features.batch_size,
        dtype=config.dtype, seed=config.seed,
    )  # fmt: skip
    embedded = embed(model.image_clip, controls=controls)
    prompted = model.image_clip is not model.clip
    plain = embed(model.clip, controls=())[None] if prompted else embedded[None]
    face_features = store.photo_features(config, paths, photos, model.clip, cache)
    by_image, by_identity = photos_by_identity(face_features, photos)
    trained = build.locate(config.data, workdir)
    people = read_people(paths, trained, model.names)
    references = {
        person_id: by_identity.get(person['identity'], []) for person_id, person in people.items()
    }
    labelled = [ranking_query.labels(clips[number]) for number in range(len(clips))]
    asked = queries.build_queries(
        labelled, people, references,
        scenarios=options.scenarios, num_references=options.num_references,
        min_distractors=options.min_distractors, actions=clips.actions, places=clips.places,
        relevance=clips.relevance,
    )  # fmt: skip
    if not asked:
        raise UserError(
            f'{paths.clips}: no query has {options.min_distractors} clips of the same person '
            'otherwise and as many of the same action or place without them: build a larger data '
            'set, or lower --config.eval.min_distractors'
        )
    pictures = dict(zip(face_features.image_ids, face_features.images, strict=True))
    read = names_read.read(
        model.clip, data,
        {person_id: people[person_id]['name'] for person_id in {q.person_id for q in asked}},
        {k: [pictures[p['image_id']] for p in v] for k, v in references.items()},
    )  # fmt: skip
    asked = [dataclasses.replace(query, read=read[query.person_id]) for query in asked]
    spoiled = query_photos.spoiled(config, paths, photos, asked, controls, model, cache)
    controls = tuple(
        c for c in controls if c not in ranking_method.SPOILED_PHOTOS or c.control in spoiled
    )
    encoder = clip_pad.QueryEncoder(
        model,
        names={person_id: person['name'] for person_id, person in people.items()},
        photos=by_image,
        references={k: [p['image_id'] for p in v] for k, v in references.items()},
        num_references=options.num_references,
        impostors=queries.impostors(asked, config.seed),
        spoiled=spoiled,
    )
    setting = Setting(
        config, cache, model, trained, paths, clips, embedded[None], plain, encoder, by_image,
        pictures,
    )  # fmt: skip
    paper = registry.make(registry.paper_rows(setting), setting)
    further = registry.make(registry.possible(options.methods), setting)
    facts = {
        'dataset': data['name'],
        'dataset_version': paths.version,
        'split': 'test',
        'seed': data['world_seed'] if data['name'] == synthetic_cast.SYNTHETIC_CAST else None,
        'backbone': model.clip.config.name,
        'face_feature': model.face_feature,
        'num_references': options.num_references,
        'relevance': clips.relevance,
        'num_clips': len(clips),
    }
    return EvalContext(
        model, clips, photos, labelled, embedded, plain, asked, encoder, paper, controls, setting,
        further, facts,
    )  # fmt: skip


def _failures(
    material: EvalContext, shown: ranking_scorers.Cosine, first: np.ndarray, seed: int
) -> list[strips.Failure]:
    """The failing queries that the report shows: photo, five best clips, one that is right."""
    clips, photos = material.clips, material.photos
    numbers = {photos[n]['image_id']: n for n in range(len(photos))}
    found = []
    for number in strips.choose(material.asked, first, seed):
        query = material.asked[number]
        photo = photos[numbers[query.references[0]]]['image']
        pictures = [strips.Picture(images.decode_jpeg(photo), 'the photo that asks')]
        for clip in shown.best(query, 5):
            words = _what_is_seen(query, material.labels[clip], clips)
            pictures.append(
                strips.Picture(_middle(clips, clip), words, right=clip in query.relevant)
            )
        pictures.append(
            strips.Picture(_middle(clips, query.relevant[0]), 'a clip that should stand here')
        )
        asked = clip_pad.query_text(query.name, query.action, query.place, person_token=True)
        found.append(strips.Failure(query, asked, int(first[number]), pictures))
    return found


def _ask_for_nobody(material: EvalContext, samples: int, seed: int) -> list[dict[str, Any]]:
    """The rows of `no_person.json`: what has learned from clips, beside plain CLIP."""
    clips, model, seen = material.clips, material.model, material.plain_gallery
    found = [row for row in material.paper if row.method == ranking_method.CE]
    if model.saved.config.clip_width:
        found.append(PlainCLIP(model.clip, model.adapt_clips(seen), no_person.ADAPTED))
    if not found:
        return []
    asked = no_person.build_queries(material.labels, clips.actions, clips.places, clips.relevance)
    return no_person.compare([*found, PlainCLIP(model.clip, seen)], asked, samples, seed)


def evaluate(workdir: Path, config: Any, folder: Path | None = None) -> list[dict[str, Any]]:
    """Evaluates the model in a workdir, prints the table and writes what came out.

    Args:
        workdir: Of a finished identity learning.
        config: The configuration; `data`, `features`, `eval`, `seed` and `dtype` are read.
        folder: Where the files go; None for `WORKDIR/eval`.

    Returns:
        The rows of `results.json`.

    Raises:
        UserError: There is no model, or the data allows no query.
    """
    workdir, start = Path(workdir), time.perf_counter()
    material = prepare(workdir, config)
    asked, samples = material.asked, config.eval.bootstrap_samples
    values: dict[ranking_method.Method, dict[str, np.ndarray]] = {}
    ranks: dict[str, np.ndarray] = {}

    def use(method: ranking_method.Method, own: list[np.ndarray]) -> None:
        values[method] = metrics.query_metrics(own)
        ranks[method.key] = np.concatenate(own)

    ranking_scorers.rank_all(material.scorers, asked, use)
    rows = ranking_rows.result_rows(asked, values, material.facts, samples, config.seed)
    comparisons = results.compare(asked, values, samples, config.seed)
    folder = folder or workdir / 'eval'
    atomic.write_json(folder / 'results.json', rows)
    atomic.write_json(folder / 'comparisons.json', comparisons)
    atomic.write_bytes(folder / 'table.md', table.render(rows, comparisons, markdown=True).encode())
    without = _ask_for_nobody(material, samples, config.seed)
    if without:
        atomic.write_json(folder / 'no_person.json', without)
    with atomic.writing(folder / 'ranks.npz') as temporary:
        np.savez(
            temporary,
            query_id=np.array([query.query_id for query in asked]),
            seen=np.array([query.seen for query in asked]),
            read=np.array([bool(query.read) for query in asked]),
            num_relevant=np.array([len(query.relevant) for query in asked]),
            **ranks,
        )
    first = values[ranking_method.PAD_TEXT_IMAGE]['median_rank']
    shown = ranking_scorers.Cosine(
        ranking_method.PAD_TEXT_IMAGE, material.encoder, material.galleries[None]
    )
    _draw_examples(
        folder / 'examples.jpg', asked, choose_examples(asked, first, config.seed), shown, first,
        material.clips, material.photos,
    )  # fmt: skip
    found = compound_report.Outcome(
        rows, comparisons, asked, {method: own['median_rank'] for method, own in values.items()},
        samples, config.seed,
    )  # fmt: skip
    failing = _failures(material, shown, first, config.seed)
    said = run_facts.collect(config, material.facts, time.perf_counter() - start)
    more = [no_person.section(without)] if without else []
    if config.eval.ce:
        ce = Path(config.eval.ce)
        more.append(learning.section(validation_curve.read(ce), validation_curve.chosen_step(ce)))
    html = report.build(found, shown.method, failing, said, config, more)
    atomic.write_bytes(folder / 'report.html', html.encode('utf-8', 'replace'))
    say(table.render(rows, comparisons))
    if without:
        say(no_person.render(without))
    return rows
