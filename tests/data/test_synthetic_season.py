import collections
import json

import numpy as np
import pytest

from cpad_jax.data import annotations, synthetic_season
from cpad_jax.errors import UserError
from cpad_jax.media import video
from cpad_jax.synthetic.season import Season, SeasonSpec, subset
from cpad_jax.synthetic.world import Performer, World, WorldSpec
from cpad_jax.training import configs

WORLD = WorldSpec(movies=1, shows=0, clips_per_title=1, train_people=20, cast_seen=16,
                  cast_unseen=8)  # fmt: skip
TINY = SeasonSpec(WORLD, episodes=2, minutes=0.05, cast=8)


def test_a_season_is_as_long_as_it_says_and_its_cast_recurs():
    season = Season(SeasonSpec(WORLD, episodes=6, minutes=20, cast=12))
    for episode in season.episodes:
        assert 20 * 60 <= sum(shot.seconds for shot in episode.shots) < 22 * 60
    episodes = collections.defaultdict(set)
    crowd = collections.Counter()
    for number, episode in enumerate(season.episodes):
        for shot in episode.shots:
            crowd[len(shot.performers)] += 1
            for performer in shot.performers:
                episodes[performer.person].add(number)
    assert set(episodes) <= set(World(WORLD).cast)
    often = [len(episodes[person]) for person in season.cast]
    assert min(often) >= 1 and 3 <= np.mean(often) <= 4
    assert sum(crowd[n] for n in (3, 4, 5)) > 0.3 * crowd.total() and max(crowd) == 5


def test_a_season_depends_on_its_seed_alone():
    first, again = Season(TINY), Season(TINY)
    assert first.episodes == again.episodes and first.cast == again.cast
    other = Season(SeasonSpec(WORLD, seed=1, episodes=2, minutes=0.05, cast=8))
    assert other.episodes != first.episodes and other.title != first.title
    # More episodes are more of the same.
    longer = Season(SeasonSpec(WORLD, episodes=3, minutes=0.05, cast=8))
    assert longer.episodes[:2] == first.episodes


def test_some_of_a_shot_keep_who_they_act_on():
    hug = (Performer(1, (), -1, 0), Performer(2, (6,), 2, 0), Performer(3, (6,), 1, 0, 'HugPerson'))
    assert [p.target for p in subset(hug, [1, 2])] == [1, 0]
    assert [p.target for p in subset(hug, [0, 1])] == [-1, -1]


@pytest.fixture(scope='module')
def filmed(tmp_path_factory):
    folder = tmp_path_factory.mktemp('season')
    return folder, synthetic_season.ensure_season(folder, TINY, processes=1)


def test_the_table_says_what_the_videos_show(filmed):
    _, paths = filmed
    rows = list(annotations.read(paths.table))
    season = Season(TINY)
    for number, episode in enumerate(season.episodes):
        own = [row for row in rows if row.video == f'{episode.episode_id}.mp4']
        assert own[0].start == 0 and len(own) == len(episode.shots)
        assert all(a.end == b.start for a, b in zip(own, own[1:], strict=False))
        length = video.probe(paths.videos / own[0].video).duration
        assert own[-1].end == pytest.approx(length, abs=0.05)
        for row, shot in zip(own, episode.shots, strict=True):
            assert row.end - row.start == pytest.approx(shot.seconds, abs=0.051)
            assert row.place == season.sets[shot.set] and row.title == season.title
            assert 1 <= len(row.people) <= len(shot.performers)
        assert number or sum(len(person.actions) for row in own for person in row.people)


def test_cuts_lie_where_the_table_says(filmed):
    _, paths = filmed
    row = next(row for row in annotations.read(paths.table) if row.start > 0)
    times = [row.start - 0.15, row.start - 0.05, row.start + 0.05, row.start + 0.15]
    frames, begins = video.sample_frames(paths.videos / row.video, times=times)
    np.testing.assert_allclose(begins[2], row.start, atol=1e-3)
    steps = [np.abs(a.astype(int) - b).mean() for a, b in zip(frames, frames[1:], strict=False)]
    assert steps[1] > 2 * max(steps[0], steps[2])


def test_what_is_there_is_used_again_and_another_season_refused(filmed, monkeypatch):
    folder, paths = filmed
    monkeypatch.setattr(synthetic_season.video, 'write_frames', None)  # Filming would fail.
    assert synthetic_season.ensure_season(folder, TINY, processes=1) == paths
    paths.table.rename(folder / 'aside')
    assert synthetic_season.ensure_season(folder, TINY, processes=1) == paths
    assert paths.table.read_bytes() == (folder / 'aside').read_bytes()
    with pytest.raises(UserError, match='another season is there'):
        synthetic_season.ensure_season(folder, SeasonSpec(WORLD, seed=1, cast=8), processes=1)
    (folder / 'season.json').write_text(json.dumps([]))
    with pytest.raises(UserError, match='not the description of a drawn season'):
        synthetic_season.ensure_season(folder, TINY, processes=1)


@pytest.mark.parametrize(
    ('options', 'message'),
    [({'episodes': 0}, 'episodes of a season'), ({'minutes': 0}, 'minutes of an episode'),
     ({'cast': 25}, 'only 24 people act'), ({'cast': 3}, 'expected 4 or more')],
)  # fmt: skip
def test_seasons_that_cannot_be_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        SeasonSpec(WORLD, **options)


def test_the_season_of_the_configuration_is_large_enough():
    config = configs.load('configs/season.py')
    season = config.eval.season
    assert (season.episodes, season.minutes >= 20) == (12, True)
    assert tuple(season.clips_per_minute) == (2, 4) and tuple(season.relevant) == (5, 25)
