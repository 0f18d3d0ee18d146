"""What is learned from and what is asked are apart, in data as built and in words as written.

Beside these: no title in two splits (tests/test_train.py), the photos of a world's plan
(tests/synthetic/test_world.py), phrases one by one (tests/training/test_batches.py,
tests/synthetic/test_captions.py).
"""

import dataclasses
import itertools

import numpy as np
import pytest

from cpad_jax import train
from cpad_jax.data import readers
from cpad_jax.data.synthetic_cast import world_spec
from cpad_jax.features.store import FeatureStore
from cpad_jax.models import pretrained
from cpad_jax.protocols.compound import queries
from cpad_jax.ranking import references as ranking_references
from cpad_jax.ranking.query import labels
from cpad_jax.synthetic import caption_shards, captions, people, world
from cpad_jax.text import prompts, training_phrases
from cpad_jax.training import batches, compound_captions, configs, fine_tuning


@pytest.fixture(scope='module')
def photos(mini_world):
    """Records of the training photos and of the reference photos, as built."""
    folder = mini_world[0].part('identities')
    readers_of = (readers.IdentityReader(folder, split) for split in ('train', 'references'))
    return [[reader[n] for n in range(len(reader))] for reader in readers_of]


@pytest.fixture(scope='module')
def clips(mini_world):
    reader = readers.ClipReader(mini_world[0].part('clips'), 'test')
    return [labels(reader[number]) for number in range(len(reader))]


def test_no_photo_is_learned_from_and_asked_by(photos):
    learned, asked = photos
    assert len(learned) == 4 * 2 and len(asked) == 5 * 2
    for said in (
        lambda photo: photo['image'],
        lambda photo: photo['image_id'],
        lambda photo: (photo['identity'], photo['source']),  # One sitting: the same clothes.
    ):
        assert not {said(photo) for photo in learned} & {said(photo) for photo in asked}
    assert len({photo['image'] for photo in learned + asked}) == 18


def test_no_photo_of_a_query_comes_from_a_title_that_holds_its_answer(mini_world, photos, clips):
    people_by_id = {person['person_id']: person for person in mini_world[0].read_people()}
    titles = sorted({clip['title'] for clip in clips})
    # The worst that a data set could hold: everybody's first photo is from the first title, ….
    taken = {}
    for photo in photos[1]:
        taken.setdefault(photo['identity'], []).append(photo)
    doctored = [
        photo | {'source': title}
        for own in taken.values()
        for photo, title in zip(own, titles, strict=True)
    ]
    by_identity = ranking_references.photos_by_identity(doctored)
    references = {k: by_identity.get(p['identity'], []) for k, p in people_by_id.items()}
    source = {photo['image_id']: photo['source'] for photo in doctored}
    asked = queries.build_queries(clips, people_by_id, references, min_distractors=0)
    assert len(asked) > 10
    for query in asked:
        answers = {clips[number]['title'] for number in query.relevant}
        assert query.references and not answers & {source[i] for i in query.references}


def test_nobody_unseen_is_learned(mini_world, tmp_path, monkeypatch):
    paths, spec = mini_world
    sources = []

    def stop(store, source, *_):
        sources.append(source)
        raise InterruptedError

    monkeypatch.setattr(pretrained, 'load_clip', lambda *_, **__: None)
    monkeypatch.setattr(FeatureStore, 'photos', stop)
    with pytest.raises(InterruptedError):
        data = train.IdentityData(paths, paths, 'synthetic_cast')
        train.learn_identities(configs.load('configs/testing.py'), tmp_path, data)
    learned = [sources[0][number] for number in range(len(sources[0]))]
    unseen = [person for person in paths.read_people() if not person['seen']]
    assert len(unseen) == spec.cast_unseen and len(learned) == 4 * 2
    for said in ('identity', 'name'):
        assert not {person[said] for person in unseen} & {photo[said] for photo in learned}


def test_photos_of_pretraining_are_none_of_the_benchmarks(monkeypatch):
    spec = world_spec(configs.load('configs/synthetic_cast.py').data)
    # Photos are numbered by person, so fewer people have all numbers too.
    few = {'movies': 1, 'shows': 0, 'clips_per_title': 1, 'train_people': 640}
    drawn = world.World(dataclasses.replace(spec, **few))
    sittings = {plan.seed for split in ('train', 'references') for plan in drawn.photos(split)}
    used = []

    def stop(person, seed, artist):
        used.append(seed)
        raise InterruptedError

    monkeypatch.setattr(caption_shards, 'draw_portrait', stop)
    rng = np.random.default_rng(0)
    for _ in range(200):
        with pytest.raises(InterruptedError):
            caption_shards._portrait(rng, 600, 32)
    assert max(sittings) < min(used)
    # Two photos are of one sitting.
    assert not {seed // 2 for seed in sittings} & {seed // 2 for seed in used}


def test_no_query_is_written_in_any_training():
    pairs = list(itertools.product((None, *prompts.ALL_ACTIONS), (None, *prompts.PLACES)))[1:]
    asked = {prompts.query_text('', a, p, True).removeprefix('[TOK] ') for a, p in pairs}
    assert len(asked) == 14 * 11 - 1
    compound = compound_captions.CompoundCaptions(prompts.ALL_ACTIONS, prompts.PLACES)
    templates = (
        *training_phrases.PHOTOS, *batches.composition_phrases(), *fine_tuning.PHOTOS,
        *fine_tuning.DOING,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    pictured = []
    for number in range(200):
        place = str(rng.choice(prompts.PLACES))
        performers = world.draw_performers(rng, place, [1, 2, 3])
        outfit = people.draw_outfit(rng, people.person(number).looks)
        pictured += captions.scene_captions(rng, performers, place, 300)
        pictured += captions.portrait_captions(rng, number, outfit, 300)
    written = {*templates, *compound.texts, *(text for text, _ in pictured)}
    assert len(written) > 3000
    found = [(text, query) for text in written for query in asked if query in text]
    assert not found
