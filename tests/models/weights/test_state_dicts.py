import re

import numpy as np
import pytest
import safetensors.numpy

from cpad_jax.errors import UserError
from cpad_jax.models import zoo
from cpad_jax.models.weights import safetensors as weights_safetensors
from cpad_jax.models.weights import sources, state_dicts, torch_files
from tests.support import weight_files as files

STATE = {
    'visual.proj': np.arange(4, dtype=np.float32).reshape(2, 2),
    'visual.conv1.weight': np.ones(2, np.float32),
    'logit_scale': np.array(4.5, np.float32),
}


def torch_checkpoint(path, wrap, prefix=''):
    """A file of torch in which `wrap` puts the pickled state dictionary somewhere."""
    body, records = files.state_pickle({prefix + name: a for name, a in STATE.items()})
    path.write_bytes(files.zip_file(files.torch_entries(wrap(body), records)))
    return path


def read(path):
    arrays, remarks = sources.read_with_remarks(sources.resolve(path))
    assert arrays.keys() == STATE.keys()
    for name, array in STATE.items():
        np.testing.assert_array_equal(arrays[name], array)
    return remarks


@pytest.mark.parametrize('suffix', ['pt', 'ckpt', 'safetensors'])
@pytest.mark.parametrize(
    'prefix',
    ['module.', 'model.', '_orig_mod.', 'module._orig_mod.', '_orig_mod.module.', 'net.module.',
     'model.module._orig_mod.', '_orig_mod.model.module.module.', '_forward_module.model.clip.'],
)  # fmt: skip
def test_prefixes_in_any_order(tmp_path, prefix, suffix):
    path = tmp_path / f'x.{suffix}'
    if suffix == 'safetensors':
        path.write_bytes(safetensors.numpy.save({prefix + k: v for k, v in STATE.items()}))
    else:
        torch_checkpoint(path, lambda body: body, prefix)
    assert read(path) == []


@pytest.mark.parametrize(
    'inserted', ['_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module']
)
def test_wrappers_of_parts(inserted):
    state = {f'model.visual.{inserted}.blocks.0.{inserted}.w': 1, 'model.logit_scale': 2}
    assert state_dicts.without_prefixes(state) == {'visual.blocks.0.w': 1, 'logit_scale': 2}
    assert state_dicts.without_prefixes({inserted: 3}) == {inserted: 3}


def test_what_is_no_wrapper_stays():
    for state in (
        {'module.visual.proj': 1, 'logit_scale': 2},
        {'model.visual.proj': 1, 'loss.logit_scale': 2},
        {'module': 1},
        {'text.proj': 1},
        {'visual.proj': 1},
    ):
        assert state_dicts.without_prefixes(state) == state
    with pytest.raises(ValueError, match='visual.w is in it twice'):
        state_dicts.without_prefixes({'visual._orig_mod.w': 1, 'visual.w': 2})


@pytest.mark.parametrize(
    'key', ['state_dict', 'model', 'model_state_dict', 'module', 'net']
)  # fmt: skip
@pytest.mark.parametrize('prefix', ['', 'module.', 'model._orig_mod.'])
def test_dictionaries_of_training_programs(tmp_path, key, prefix):
    optimizer = files.mapping({'state': b'}', 'param_groups': b']'})
    others = {'epoch': files.number(3), 'optimizer': optimizer, 'hyper_parameters': b'}'}
    path = torch_checkpoint(
        tmp_path / 'x.ckpt', lambda body: files.mapping({**others, key: body}), prefix
    )
    assert read(path) == []
    # One in the other, and a dictionary of settings under a name that is one of a wrapper.
    path = torch_checkpoint(
        tmp_path / 'y.ckpt',
        lambda body: files.mapping(
            {'net': files.mapping({key: body}), 'model': files.mapping({'name': files.text('x')})}
        ),
    )
    assert read(path) == []


def test_settings_of_argparse_are_passed_over(tmp_path):
    settings = files.named('argparse', 'Namespace') + b')\x81'
    settings += files.mapping({'lr': files.number(1)}) + b'b'
    path = torch_checkpoint(
        tmp_path / 'x.pth', lambda body: files.mapping({'model': body, 'args': settings})
    )
    assert read(path) == []


@pytest.mark.parametrize('key', ['state_dict_ema', 'model_ema'])
def test_a_running_mean_is_told(tmp_path, key):
    other, records = files.state_pickle({'visual.proj': np.full(2, 9, np.float32)})
    other = other.replace(files.text('0'), files.text('9'))

    def both(body):
        return files.mapping({key: other, 'model': body, 'epoch': b'N'})

    path = torch_checkpoint(tmp_path / 'x.pth', both)
    assert read(path) == [f"of the checkpoint 'model' was taken, not {key!r}"]
    path = torch_checkpoint(tmp_path / 'y.pth', lambda body: files.mapping({key: body}))
    assert read(path) == [f'of the checkpoint {key!r} was taken']


def test_two_models_in_one_file_are_refused(tmp_path):
    path = torch_checkpoint(
        tmp_path / 'x.pt', lambda body: files.mapping({'state_dict': body, 'net': body})
    )
    with pytest.raises(UserError, match="weights under 'state_dict' and 'net'; keep one"):
        read(path)


def test_openais_archives_are_known_by_their_marks(tmp_path):
    marks = {name: np.array(7) for name in torch_files.LEFT_OUT}
    (tmp_path / 'x.pt').write_bytes(files.torch_file(STATE | marks))
    assert read(tmp_path / 'x.pt') == [torch_files.OPENAI]
    (tmp_path / 'x.pt').write_bytes(files.torch_file(STATE | {'vocab_size': np.array(7)}))
    assert read(tmp_path / 'x.pt') == []


CLIP_NAMES = ['visual.proj', 'token_embedding.weight', 'logit_scale']


@pytest.mark.parametrize(
    'names, words',
    [
        (CLIP_NAMES, ''),
        (['vision_model.post_layernorm.bias', 'text_model.final_layer_norm.bias'],
         'a CLIP of transformers'),
        (['vision_model.head.probe'], 'transformers.*only one of its towers'),
        (['text_model.embeddings.token_embedding.weight', 'text_projection.weight'],
         'transformers.*only one'),
        (['base_model.model.visual.proj.lora_A.weight'], 'adapter .peft'),
        (['visual.blocks.0.attn.lora_B.default.weight'], 'adapter .peft'),
        (['down_blocks.0.resnets.0.conv1.weight', 'mid_block.x'], 'a diffusion model'),
        (['diffusion_model.out.0.weight', 'first_stage_model.x'], 'a diffusion model'),
        (['0.exp_avg', '0.exp_avg_sq'], "an optimiser's state"),
        (['visual/conv1/kernel', 'text/ln_final/scale'], 'converted already'),
        (['params/adapter/out/kernel'], 'cpad_jax.load opens it'),
        (['Transformer/encoder_norm/bias', 'embedding/kernel'], 'Flax or TensorFlow'),
        (['tf_bert/embeddings/word:0'], 'Flax or TensorFlow'),
        (['visual.proj', 'logit_scale'], 'an image tower alone; both'),
        (['token_embedding.weight', 'ln_final.bias'], 'a text tower alone; both'),
        (['text.token_embedding.weight'], 'a text tower alone; both'),
        (['class_embedding', 'conv1.weight', 'proj'], 'without the prefix visual'),
        (['patch_embed.proj.weight', 'blocks.0.attn.qkv.weight'], 'timm or DINO'),
        (['visual.blocks.0.attn.q_proj.weight', 'text.token_embedding.weight'], 'EVA-CLIP'),
        ([*CLIP_NAMES, 'text_decoder.resblocks.0.x'], 'a CoCa'),
        (['visual.proj', 'text.transformer.encoder.layer.0.x'], 'text tower of transformers'),
        (['conv1.weight', 'layer1.0.conv1.weight', 'fc.weight'], 'classifier of torchvision'),
        (['embeddings.word_embeddings.weight', 'encoder.layer.0.x'], 'model of transformers'),
        (['weight', 'bias'], 'one layer, such as a linear probe'),
        (['anything'], ''),
    ],
)  # fmt: skip
def test_what_a_file_seems_to_be(names, words):
    found = state_dicts.kind(names)
    assert len(found) < 200
    np.testing.assert_equal(bool(found), bool(words))
    assert not words or re.search(words, found), found


def test_every_model_of_the_table_looks_like_a_clip():
    from cpad_jax.models.weights import open_clip  # noqa: PLC0415

    for name in ('ViT-B-32', 'ViT-L-14-CLIPA', 'RN50', 'ViT-B-16-SigLIP'):
        assert state_dicts.kind(open_clip.shapes(zoo.get(name))) == '', name


def test_optimiser_states_are_told(tmp_path):
    body = files.mapping({'state': b'}', 'param_groups': b']'})
    path = tmp_path / 'optimizer.pt'
    path.write_bytes(files.zip_file(files.torch_entries(body, {})))
    with pytest.raises(UserError, match="an optimiser's state; take the file of the model"):
        torch_files.read(path)


def test_other_suffixes_say_whose_they_are(tmp_path):
    for name, words in (('x.npz', 'NumPy or big_vision'), ('x.msgpack', 'Flax'), ('x.h5', 'Keras')):
        (tmp_path / name).write_bytes(b'x')
        with pytest.raises(UserError, match=words) as error:
            sources.resolve(tmp_path / name)
        assert len(str(error.value)) < 400


def test_names_stay_as_they_are_in_one_reader(tmp_path):
    path = tmp_path / 'x.safetensors'
    path.write_bytes(safetensors.numpy.save({'model.x': np.ones(1, np.float32)}))
    assert list(weights_safetensors.read(path)) == ['model.x']
    assert list(sources.read(sources.resolve(path))) == ['x']
