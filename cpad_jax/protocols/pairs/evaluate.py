"""The pairs protocol: two people, one without the other, and queries that nothing matches.

Pairs are searched in a gallery of their own, in which most shots hold two or three people
(`config.eval.two_people`); whether anything matches is decided in the main gallery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import build, readers, synthetic_cast
from cpad_jax.data.built_dataset import DatasetPaths
from cpad_jax.errors import UserError
from cpad_jax.methods.context import EvalContext
from cpad_jax.methods.face_similarity import ClipFaces, NameSimilarity
from cpad_jax.methods.querybank import QueryBank
from cpad_jax.models import face_features
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person_adapter import padded
from cpad_jax.protocols.compound import queries as compound_queries
from cpad_jax.protocols.compound.evaluate import PROTOCOL as COMPOUND
from cpad_jax.protocols.open_set import evaluate as open_set
from cpad_jax.protocols.pairs import queries as pair_queries
from cpad_jax.protocols.pairs import results, scores, table
from cpad_jax.protocols.pairs.queries import PairQuery
from cpad_jax.protocols.protocol import Outcome, Protocol, Report
from cpad_jax.ranking import method
from cpad_jax.ranking import query as ranking_query
from cpad_jax.ranking.references import Reference

FOLDER = 'two_people'


class PairsProtocol(Protocol[PairQuery]):
    """Queries about two people, in a gallery of pairs."""

    folder = FOLDER

    def check(self, config: Any) -> None:
        """See `Protocol`."""
        COMPOUND.check(config)
        _check(config.eval.two_people)

    def queries(self, context: EvalContext) -> list[PairQuery]:
        """See `Protocol`."""
        gallery, options = _gallery(context), context.config.eval.two_people
        built = pair_queries.build_queries(
            gallery.labels, gallery.references, gallery.clips.actions, options.min_others
        )
        if not built:
            raise UserError(
                f'{gallery.clips.directory}: no two people of whom there are photos are in one '
                f'clip and each in {options.min_others} or more with others; see '
                'config.eval.two_people.min_others'
            )
        return built

    def run(self, context: EvalContext, queries: Sequence[PairQuery]) -> Outcome:
        """See `Protocol`."""
        config, gallery = context.config, _gallery(context)
        scorer, draws = gallery.scorer, {
            'samples': config.eval.bootstrap_samples,
            'seed': config.seed,
        }  # fmt: skip
        values = results.search(scorer, queries)
        directed = pair_queries.directed(gallery.labels, gallery.references, gallery.clips.actions)
        detection = open_set.detect(context, COMPOUND.queries(context))
        rows = {
            **context.facts,
            'relevance': context.clips.relevance,
            'num_clips': len(gallery.clips),
            'pairs': results.result_rows(values, queries, **draws),
            'comparisons': results.compare(values, queries, **draws),
            'bounds': results.bound_rows(scorer, queries, gallery.labels, gallery.clips.actions),
            'order': results.order_rows(scorer, directed, **draws) if directed else [],
            'detection': detection.rows,
        }
        files = {'results.json': rows, 'table.md': table.markdown(rows)}
        report = Report(
            f'Two people, and no match: {config.name}',
            '<p>docs/two_people.md describes the protocol.</p>',
            table.sections(rows, detection.trials),
        )
        return Outcome(rows, files, table.render(rows), report)


PROTOCOL = PairsProtocol()


def _gallery(context: EvalContext) -> PairGallery:
    return context.once('pairs', lambda: PairGallery(context))


class PairGallery:
    """The gallery of pairs, and what scores it.

    Args:
        context: Of the evaluation.

    Attributes:
        clips: Its clips.
        labels: Their labels.
        references: person_id → photos, of everybody in the clips of whom there are photos.
    """

    def __init__(self, context: EvalContext):
        self._context = context
        self.clips = readers.open_clips(locate(context.config, context.workdir))
        self.labels = [
            ranking_query.labels(self.clips[number]) for number in range(len(self.clips))
        ]
        people = sorted({person['person_id'] for clip in self.labels for person in clip['people']})
        titles = frozenset(clip['title'] for clip in self.labels)
        self.references = context.references(people, titles)

    @property
    def scorer(self) -> scores.PairScorer:
        """Scores the clips for queries about two people."""
        context, model, stage = self._context, self._context.model, 'embedding clips of pairs'
        embeddings = context.image_store.clips(self.clips, stage).embeddings
        plain = embeddings
        if model.image_clip is not model.clip:
            plain = context.store.clips(self.clips, stage).embeddings
        names = {person_id: person.name for person_id, person in self.references.items()}
        faces = None
        if model.face_feature == face_features.CLIP:
            faces = self._faces(QueryBank(
                model, plain, temperature=context.config.eval.word_bank.open
            ))  # fmt: skip
        tokens = person_tokens(model, self.references)
        return scores.PairScorer(model, names, tokens, embeddings, plain, faces)

    def _faces(self, bank: QueryBank) -> scores.PairFaces:
        context, options = self._context, self._context.config.eval
        tracks = context.store.faces(self.clips)
        faces = ClipFaces(context.model, tracks)
        encoded = faces.encode_people([person.features for person in self.references.values()])
        by_name = NameSimilarity(context.model.clip, tracks).similarity(
            [person.name for person in self.references.values()]
        )
        return scores.PairFaces(
            dict(zip(self.references, faces.similarity(encoded), strict=True)),
            bank,
            faces=options.with_faces.faces,
            words=options.with_faces.words,
            by_name=dict(zip(self.references, by_name, strict=True)),
            name=options.clip_name_on_faces.faces,
        )


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


def person_tokens(
    model: PersonalizedCLIP, references: Mapping[str, Reference]
) -> dict[str, dict[str, np.ndarray]]:
    """The tokens of people: form → person_id → float32 [K, W].

    Args:
        model: The model.
        references: person_id → photos, of one person or more.
    """
    photos = [person.features for person in references.values()]
    by_photos = model.tokens(*padded(photos, photos[0].shape[1]))
    names = [person.name for person in references.values()]
    by_both = model.with_names(names, by_photos)
    return {
        method.IMAGE: dict(zip(references, by_photos, strict=True)),
        method.TEXT_IMAGE: dict(zip(references, by_both, strict=True)),
    }


def _check(options: Any) -> None:
    least = {'min_others': 1, 'cohort': 2}
    for key, bound in least.items():
        if options[key] < bound:
            raise UserError(
                f'config.eval.two_people.{key} is {options[key]}, expected {bound} or more'
            )
    compound_queries.check(options.scenarios, 'config.eval.two_people.scenarios')
