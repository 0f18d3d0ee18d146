"""Real photos and videos go the whole way to a ranking. It says nothing about its quality."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cpad_jax
from cpad_jax.media import video
from cpad_jax.models import clip_pad, clip_pad_export
from cpad_jax.ranking import exact_scores

VIDEOS = ('stage.mp4', 'arm_wrestling.mp4', 'basketball.mp4', 'two_people_meet.mp4', 'make_up.avi')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """CLIP-PAD on the shipped CLIP, untrained."""
    clip = cpad_jax.load_clip('ViT-cast-16')
    config = clip_pad.CPADConfig('clip', clip.config.embed_dim, adapter_width=16, adapter_layers=1)
    faces = jnp.ones((1, 1, clip.config.embed_dim))
    init = jax.jit(clip_pad.CPAD(config, clip.config).init)
    params = init(jax.random.key(0), faces, jnp.ones((1, 1)))
    folder = tmp_path_factory.mktemp('untrained')
    saved = clip_pad_export.SavedCPAD(config, params['params'], 'ViT-cast-16', clip.sha256)
    clip_pad_export.save_model(folder / 'model', saved)
    return cpad_jax.load(folder / 'model')


def test_real_photos_and_videos_are_ranked(real_data, model):
    clips = np.stack(
        [
            model.encode_clip(video.sample_frames(real_data / 'videos' / name, count=4)[0])
            for name in VIDEOS
        ]
    )
    np.testing.assert_allclose(np.linalg.norm(clips, axis=1), 1, atol=1e-5)
    detector = real_data / 'models' / 'face_detection_yunet_n_320.onnx'
    queries = {}
    for name in ('obama', 'biden'):
        photos = sorted((real_data / 'people' / name).glob('*.jpg'))
        person = model.person(images=photos, detector=detector)
        assert person.num_images == 2
        queries[name] = model.encode_query('[TOK] on a stage', person)
    # Other photos ask another question, and every video has its place in the answer.
    assert np.abs(queries['obama'] - queries['biden']).max() > 1e-4
    order = exact_scores.best(queries['obama'], clips, len(clips))
    assert sorted(order) == list(range(len(VIDEOS)))


def test_a_photo_of_several_people_is_refused(real_data, model):
    detector = real_data / 'models' / 'face_detection_yunet_n_320.onnx'
    with pytest.raises(cpad_jax.UserError, match='obama_and_biden.jpg'):
        model.person(images=[real_data / 'people' / 'obama_and_biden.jpg'], detector=detector)
