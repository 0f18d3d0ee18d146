import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.features import store
from cpad_jax.ranking import galleries, method


def test_first_and_shuffled_frames(monkeypatch):
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(5, 4, 8))
    frames /= np.linalg.norm(frames, axis=-1, keepdims=True)
    seen = []

    def clip_features(source, fingerprint, clip, directory, **options):
        seen.append((fingerprint, options['batch_size']))
        return store.ClipFeatures(np.arange(5), store.mean_direction(frames), frames, np.full(5, 4))

    monkeypatch.setattr(store, 'clip_features', clip_features)

    def embed(*controls):
        return galleries.embed_galleries(
            [None] * 5, 'x', None, None, controls, frames_per_clip=4, batch_size=64,
            dtype='float32', seed=0,
        )  # fmt: skip

    assert set(embed()) == {None}
    found = embed(method.FIRST_FRAME, method.SHUFFLED_FRAMES, method.WRONG_PERSON)
    assert set(found) == {None, 'first frame', 'shuffled'}
    np.testing.assert_allclose(found['first frame'], frames[:, 0], atol=1e-6)
    # A mean does not know an order.
    np.testing.assert_allclose(found['shuffled'], found[None], atol=1e-6)
    embed(method.BLURRED_FACES)
    assert seen[-1] == ('x/faces blurred', 16)


def test_controls_by_name():
    assert method.controls(('wrong photo', 'no person')) == (
        method.NO_PERSON, method.WRONG_PHOTO,
    )  # fmt: skip
    with pytest.raises(UserError, match="'blurr', expected some of no person, person only"):
        method.controls(('blurr',))
