"""Ways to search a gallery for two people, and the scores of its clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from cpad_jax.methods.querybank import QueryBank
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.protocols.pairs.queries import ACTION, TOGETHER, WITHOUT, PairQuery
from cpad_jax.ranking import method
from cpad_jax.ranking.zscore import zscore
from cpad_jax.text.prompts import GENERIC_PERSON, PERSON_TOKEN, SOMEONE, pair_text

# One sentence with two tokens (or names), one of the two alone, and combinations of these.
SENTENCE, FIRST, SECOND = 'one sentence', 'A alone', 'B alone'
LEAST, SUM, PARTS, DIFFERENCE = 'least of both', 'sum of both', 'both there, A doing it', 'A less B'
FORMS = (method.IMAGE, method.TEXT_IMAGE)  # By tokens alone.
FACES = 'image + faces'
NAMES_ON_FACES = 'name on faces'  # By plain CLIP: the row 'CLIP + faces'.
_WAYS = {
    TOGETHER: (SENTENCE, LEAST, SUM, FIRST, SECOND),
    ACTION: (SENTENCE, PARTS, LEAST, SUM, FIRST, SECOND),
    WITHOUT: (SENTENCE, DIFFERENCE, FIRST),
}
_BY_NAME = (SENTENCE, PARTS, LEAST, DIFFERENCE)  # The ways of plain CLIP.
# Chosen on world 100. How much doing it counts beside being there, and what is unusual for a clip
# of somebody else, in spreads of the scores.
_DOING = 2.0
_UNUSUAL = 1.0


@dataclasses.dataclass(frozen=True)
class Way:
    """A row of the table.

    Attributes:
        name: How the two are combined, e.g. `SENTENCE`.
        form: One of `FORMS`, `FACES`, or for plain CLIP and names `method.TEXT` or
            `NAMES_ON_FACES`.
    """

    name: str
    form: str

    @property
    def key(self) -> str:
        """A short name that is unique among ways."""
        return f'{self.name}, {self.form}'


@dataclasses.dataclass(frozen=True)
class PairFaces:
    """What is added to a text with tokens, as in the row 'CLIP-PAD + faces'.

    Attributes:
        alike: person_id → float64 [N], of `ClipFaces.similarity`.
        bank: Of actions.
        faces: Weight of the faces.
        words: Weight of the bank.
        by_name: person_id → float64 [N], of `NameSimilarity.similarity`.
        name: Weight of the faces, that of the bank being 1, in 'CLIP + faces'.
    """

    alike: Mapping[str, np.ndarray]
    bank: QueryBank
    faces: float
    words: float
    by_name: Mapping[str, np.ndarray]
    name: float


def ways(scenario: str, forms: Sequence[str] = FORMS) -> tuple[Way, ...]:
    """The rows of a scenario."""
    names = _WAYS[scenario]
    return (
        *(Way(name, method.TEXT) for name in names if name in _BY_NAME),
        *(Way(name, form) for form in forms for name in names),
    )


def least(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Scores of "A and B": the lower of the two, standardised; all float [Q, N]."""
    return np.minimum(zscore(first), zscore(second))


def parts(doing: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Scores of "A hugging B": both are there, and A hugs someone.

    Args:
        doing: float [Q, N], scores of "A hugging someone".
        first: float [Q, N], scores of A.
        second: float [Q, N], scores of B.

    Returns:
        float [Q, N], larger is better. A and B count equally, so that their order is decided by who
        does it and not by whose face is clearer.
    """
    return least(first, second) + _DOING * zscore(doing)


def difference(wanted: np.ndarray, excluded: np.ndarray) -> np.ndarray:
    """Scores of "A without B": those of A, less those of B above the usual.

    Args:
        wanted: float [Q, N], scores of A.
        excluded: float [Q, N], scores of B.

    Returns:
        float [Q, N], larger is better.
    """
    return zscore(wanted) - np.maximum(zscore(excluded) - _UNUSUAL, 0)


class PairScorer:
    """Scores the clips of a gallery for queries about two people.

    Args:
        model: The model.
        names: person_id → name.
        tokens: One of `FORMS` → person_id → float32 [K, W].
        gallery: float32 [N, D] L2-normalised, the clips as CLIP-PAD sees them.
        plain_gallery: The same by CLIP itself; it differs where there are visual prompts.
        faces: Of the clips; None without rows with faces.

    Attributes:
        forms: The forms of its queries.
    """

    def __init__(
        self,
        model: PersonalizedCLIP,
        names: Mapping[str, str],
        tokens: Mapping[str, Mapping[str, np.ndarray]],
        gallery: np.ndarray,
        plain_gallery: np.ndarray,
        faces: PairFaces | None = None,
    ):
        self._model, self._names, self._tokens = model, names, tokens
        self._gallery, self._plain_gallery, self._faces = gallery, plain_gallery, faces
        self.forms = (*FORMS, *([FACES, NAMES_ON_FACES] if faces else []))
        self._known: dict[tuple[str, tuple[str, ...], str], np.ndarray] = {}

    def scores(self, way: Way, queries: Sequence[PairQuery]) -> np.ndarray:
        """Scores of the clips.

        Args:
            way: How the two are combined.
            queries: Queries of one scenario.

        Returns:
            float32 [Q, N], larger is better.
        """
        if way.name == LEAST:
            return least(*self._singles(way.form, queries))
        if way.name == SUM:
            return np.add(*self._singles(way.form, queries))
        if way.name == DIFFERENCE:
            return difference(*self._singles(way.form, queries))
        if way.form == NAMES_ON_FACES and way.name != PARTS:
            return self._by_names_on_faces(way, queries)
        if way.name == PARTS and way.form == FACES:
            # Faces show who is there, so that the sentence may count as well.
            doing = self.scores(Way(FIRST, method.IMAGE), queries)
            return self.scores(Way(SENTENCE, FACES), queries) + _DOING * zscore(doing)
        if way.name == PARTS:
            there = [dataclasses.replace(query, scenario=TOGETHER) for query in queries]
            doing = self.scores(Way(FIRST, way.form), queries)
            return parts(doing, *self._singles(way.form, there))
        wordings = [self._wording(way, query) for query in queries]
        if way.form != FACES:
            return self._score(way.form, wordings)
        return self._with_faces(wordings, [query.action for query in queries])

    def _singles(self, form: str, queries: Sequence[PairQuery]) -> tuple[np.ndarray, np.ndarray]:
        return self.scores(Way(FIRST, form), queries), self.scores(Way(SECOND, form), queries)

    def _with_faces(
        self, wordings: Sequence[tuple[str, tuple[str, ...]]], actions: Sequence[str | None]
    ) -> np.ndarray:
        """Scores [Q, N] of texts, of who is seen, and of what is done.

        Of two people in one sentence the less similar one counts.
        """
        faces, scores = self._face_scores(), zscore(self._score(method.IMAGE, wordings))
        # [Q, M, N] of M people per query.
        alike = np.stack([[faces.alike[one] for one in who] for _, who in wordings])
        scores = scores + faces.faces * zscore(alike).min(axis=1)
        if None in actions:
            return scores
        posteriors = faces.bank.log_posterior([(action, None) for action in actions])
        return scores + faces.words * posteriors

    def _by_names_on_faces(self, way: Way, queries: Sequence[PairQuery]) -> np.ndarray:
        """Scores [Q, N] of who is seen, by plain CLIP and the names, and of what is done.

        Faces show who is there and not which of two does it, so one sentence is both people.
        """
        faces = self._face_scores()
        whom = {FIRST: ('first',), SECOND: ('second',)}.get(way.name, ('first', 'second'))
        alike = np.stack(
            [[faces.by_name[getattr(query, one)] for one in whom] for query in queries]
        )  # [Q, M, N]
        scores = faces.name * zscore(alike).min(axis=1)
        actions = [query.action for query in queries]
        if None in actions:
            return scores
        return scores + faces.bank.log_posterior([(action, None) for action in actions])

    def _face_scores(self) -> PairFaces:
        if self._faces is None:
            raise ValueError('there are no faces, and so no form with faces')
        return self._faces

    def _wording(self, way: Way, query: PairQuery) -> tuple[str, tuple[str, ...]]:
        """The text, and who stands behind its [TOK]s."""
        a, b = (self._says(way.form, person_id) for person_id in (query.first, query.second))
        if way.name == FIRST:
            text = pair_text(a, SOMEONE, query.action) if query.scenario == ACTION else a
            return text, (query.first,)
        if way.name == SECOND:
            text = pair_text(GENERIC_PERSON, b, query.action) if query.scenario == ACTION else b
            return text, (query.second,)
        if query.scenario == WITHOUT:
            return f'{a} without {b}', (query.first, query.second)
        return pair_text(a, b, query.action), (query.first, query.second)

    def _says(self, form: str, person_id: str) -> str:
        """What stands for a person in a text: 'Orla Brandt', '[TOK]' or 'Orla Brandt [TOK]'."""
        name = self._names[person_id]
        if form == method.TEXT:
            return name
        if form in (method.IMAGE, FACES) or self._model.knows(name):
            return PERSON_TOKEN  # The token carries a learned name.
        return f'{name} {PERSON_TOKEN}'

    def _score(self, form: str, wordings: Sequence[tuple[str, tuple[str, ...]]]) -> np.ndarray:
        """Scores [Q, N]; texts are embedded once."""
        keys = [(text, people, form) for text, people in wordings]
        for count in (1, 2):
            new = sorted({k for k in keys if k not in self._known and len(k[1]) == count})
            if new:
                embedded = self._model.encode_queries(
                    [text for text, _, _ in new], self._behind(form, [who for _, who, _ in new])
                )
                self._known |= dict(zip(new, embedded, strict=True))
        gallery = self._plain_gallery if form == method.TEXT else self._gallery
        return np.stack([self._known[key] for key in keys]) @ gallery.T

    def _behind(self, form: str, people: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Tokens [Q, M, K, W] of M people per query."""
        if form == method.TEXT:  # No [TOK] stands in plain CLIP's queries.
            shape = (len(people), len(people[0]), *self._model.default_token.shape)
            return np.zeros(shape, np.float32)
        tokens = self._tokens[form]
        return np.stack([[tokens[person_id] for person_id in who] for who in people])
