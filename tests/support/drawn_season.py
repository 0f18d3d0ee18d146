"""A search of a season with everything that its report shows: made-up clips and nasty names."""

from pathlib import Path

import numpy as np

from cpad_jax.methods.conditions import Condition
from cpad_jax.protocols.season import report, search
from cpad_jax.protocols.season.queries import SeasonQuery
from cpad_jax.protocols.season.search import Segmentation
from cpad_jax.protocols.season.windows import Windows
from cpad_jax.ranking.method import CLIP, NO_PERSON, PAD_IMAGE, PAD_TEXT, PAD_TEXT_IMAGE
from cpad_jax.report import strips
from tests.support import drawn_outcome

VIDEOS = [Path(f'/films/{name}.mp4') for name in ('s1e1', 's1e2', 'a <b>very<b> long name')]
SECONDS = (600.0, 1200.0, 90.5)
FACTS = {
    'dataset': 'drawn', 'season': 'a <i>show</i>', 'backbone': 'testing', 'num_references': 5,
    'min_share': 0.1, 'moment': 2.0, 'minutes': 31.51,
}  # fmt: skip
METHODS = (
    (NO_PERSON, False), (CLIP, False), (PAD_TEXT, False),
    (PAD_IMAGE, False), (PAD_TEXT_IMAGE, False), (PAD_IMAGE, True),
    (PAD_TEXT_IMAGE, True),
)  # fmt: skip

BEST = 7.0  # Seconds into each clip is its only moment.


def segmentations():
    """Of 20 or 30 seconds, in two ways."""
    return [
        Segmentation(60 / length, cut, [
            [(t, min(t + length, end)) for t in np.arange(0, end, length)] for end in SECONDS
        ])
        for length in (30.0, 20.0) for cut in ('equal segments', 'at shots')
    ]  # fmt: skip


def make(seed=0):
    """A `report.Searched`: methods with photos find half of what is asked."""
    rng, cut = np.random.default_rng(seed), segmentations()
    asked = [
        SeasonQuery(f'p{number % 6}', drawn_outcome.NAMES[number % 6], action, tuple(
            np.sort(rng.choice(way.num_clips, 5 + number, replace=False)) for way in cut
        ))
        for number, action in enumerate(('Eat', 'Run', 'entering the room', 'Kiss') * 3)
    ]  # fmt: skip

    width = max(way.num_clips for way in cut)

    class Frames:
        def windows(self, segments, seconds):
            starts = [start for spans in segments for start, _ in spans]
            found = np.eye(len(starts), width, dtype=np.float32)
            return Windows(found, np.array(starts) + BEST, np.arange(len(starts)))

    class Model:
        """Looks where the query's clips are, the more so the later the condition."""

        def encode_query(self, text, person):
            number, row = person
            found = rng.uniform(0, 1, width)
            good = number % 2 == 0 and row > 2
            found[asked[number].relevant[0]] += 0.8 if good else -0.2
            return (found / np.linalg.norm(found)).astype(np.float32)

    class Turn:
        """Whose turn it is: conditions ask the queries in their order."""

        def __init__(self, row):
            self.row, self.number = row, -1

        def __call__(self, person_id):
            self.number += 1
            return self.number, self.row

    conditions = [Condition(*method, Turn(row)) for row, method in enumerate(METHODS)]
    values, kept = search.search(Model(), Frames(), cut, asked, conditions, 2.0)
    seen = {query.person_id: query.person_id != 'p5' for query in asked}
    rows = search.result_rows(cut, asked, conditions, values, seen, FACTS, 50, 0)
    differences = search.compare(cut, asked, conditions, values, 50, 0)
    return report.Searched(rows, differences, VIDEOS, cut, asked, conditions, values, kept)


def shown(searched, seed=0):
    """The queries that are drawn, with pictures of noise."""
    rng = np.random.default_rng(1)

    def picture(right):
        return strips.Picture(rng.integers(0, 256, (120, 160, 3), np.uint8), 's1e1 0:30', right)

    return [
        report.Shown(number, [picture(None), *(picture(i == 2) for i in range(5))])
        for number in report.choose(searched, seed)
    ]
