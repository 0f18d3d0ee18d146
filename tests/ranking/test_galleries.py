import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.features.store import ClipFeatures, FeatureStore
from cpad_jax.ranking import galleries, method
from tests.support.sources import Records


def test_first_and_shuffled_frames():
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(5, 4, 8))
    frames /= np.linalg.norm(frames, axis=-1, keepdims=True)
    seen = []

    class Store(FeatureStore):
        def clips(self, source, stage=''):
            seen.append(source.fingerprint)
            return ClipFeatures(np.arange(5), self.pool(frames), frames, np.full(5, 4))

    def embed(*controls):
        clips = Records([None] * 5, fingerprint='x')
        return galleries.embed_galleries(Store(None, None), clips, controls, seed=0)

    assert set(embed()) == {None}
    result = embed(method.FIRST_FRAME, method.SHUFFLED_FRAMES, method.WRONG_PERSON)
    assert set(result) == {None, 'first frame', 'shuffled'}
    np.testing.assert_allclose(result['first frame'], frames[:, 0], atol=1e-6)
    # A mean does not know an order.
    np.testing.assert_allclose(result['shuffled'], result[None], atol=1e-6)
    embed(method.BLURRED_FACES)
    assert seen[-1] == 'x/faces blurred'


def test_controls_by_name():
    assert method.controls(('wrong photo', 'no person')) == (
        method.NO_PERSON, method.WRONG_PHOTO,
    )  # fmt: skip
    with pytest.raises(UserError, match="'blurr', expected some of no person, person only"):
        method.controls(('blurr',))
