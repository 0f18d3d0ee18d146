import dataclasses

import numpy as np
import pytest

from cpad_jax.methods import polar, reference_photos, registry
from cpad_jax.ranking import scorers
from cpad_jax.text.prompts import query_text
from tests.support import drawn_photos


@pytest.fixture(scope='module')
def setting(tmp_path_factory):
    return drawn_photos.setting(tmp_path_factory.mktemp('polar'))


@pytest.fixture(scope='module')
def encoded(setting):
    """What came out for the drawn queries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_photos, 'PEOPLE', 8)
        (scorer,) = registry.make(['polar'], setting)
        assert isinstance(scorer, scorers.Cosine) and scorer.method == polar.METHOD
        return scorer.encoder.encode(scorer.method, drawn_photos.queries())


def test_the_update_brings_queries_to_the_photos(setting, encoded):
    queries = drawn_photos.queries()
    np.testing.assert_allclose(np.linalg.norm(encoded, axis=1), 1, atol=1e-5)
    texts = [query_text('sks person', q.action, None, person_token=False) for q in queries]
    clip = setting.model.clip
    plain = clip.encode_text(clip.tokenize(texts), normalize=True)
    photos = drawn_photos.UNSEEN.mean(axis=1)[[int(q.person_id) for q in queries]]
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    assert ((encoded * photos).sum(axis=1) > (plain * photos).sum(axis=1) + 0.1).all()
    # What a person does is still heard, and each is nearest to their own photos.
    assert np.abs(encoded[0::2] - encoded[1::2]).max(axis=1).min() > 1e-3
    near = drawn_photos.nearness(encoded[0::2])
    assert (near.argmax(axis=1) == np.arange(drawn_photos.PEOPLE)).all()


def test_updates_do_not_depend_on_other_people_and_seeds_repeat(monkeypatch, setting, encoded):
    monkeypatch.setattr(reference_photos, 'PEOPLE', 8)
    again = polar.Encoder(setting)
    some = drawn_photos.queries()[4:6]
    np.testing.assert_allclose(again.encode(polar.METHOD, some), encoded[4:6], atol=1e-5)
    # The place of the photos means nothing, which ones they are does.
    swapped = [dataclasses.replace(q, references=q.references[::-1]) for q in some]
    np.testing.assert_allclose(again.encode(polar.METHOD, swapped), encoded[4:6], atol=1e-4)
    other = [dataclasses.replace(q, references=('0/0',)) for q in some]
    assert np.abs(again.encode(polar.METHOD, other) - encoded[4:6]).max() > 0.05
