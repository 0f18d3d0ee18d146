"""Collaborative Experts end to end: worlds, features, learning, test, and its row in the table."""

import json

import pytest

import cpad_jax
from cpad_jax import eval as evaluate
from cpad_jax import train
from cpad_jax.errors import UserError
from cpad_jax.methods.ce import training
from cpad_jax.training import configs, validation_curve

SMALL = [
    '--config.backbone=ViT-cast-16', '--config.data.movies=2', '--config.data.shows=1',
    '--config.data.clips_per_title=6', '--config.data.cast_size=3', '--config.data.seconds=0.5',
    '--config.data.people_per_shot=60,30,10', '--config.data.seen_people=8',
    '--config.data.cast_seen=4', '--config.data.stars=0', '--config.data.cast_stars=0',
    '--config.data.unseen_people=1', '--config.data.photos_per_person=2',
    '--config.data.reference_photos=2', '--config.data.habits=0',
    '--config.features.frames_per_clip=2', '--config.features.batch_size=8',
    '--config.eval.min_distractors=1', '--config.eval.num_references=2',
    '--config.eval.bootstrap_samples=20', '--config.train.warmup_steps=1',
    '--config.train.checkpoint_every=2',
]  # fmt: skip
OWN = [
    '--config', 'configs/ce.py', '--config.clips.training.cast_seen=6',
    '--config.clips.validation.cast_seen=6', '--config.clips.validation.clips_per_title=6',
    '--config.features.faces_per_clip=2', '--config.model.width=16', '--config.train.steps=4',
    '--config.train.evaluate_every=2', '--config.train.people_per_batch=4',
    '--config.train.clips_per_person=2',
]  # fmt: skip


def test_trained_ce_is_a_row_of_the_table(tmp_path, capsys):
    data = f'--config.data.dir={tmp_path / "data"}'
    arguments = [*OWN, *SMALL, data, '--workdir', str(tmp_path / 'ce')]
    train.main(arguments)
    rows = json.loads((tmp_path / 'ce' / 'eval' / 'no_person.json').read_text())
    assert {row['method'] for row in rows} == {'CE', 'CLIP'}
    assert [e['step'] for e in validation_curve.read(tmp_path / 'ce')] == [2, 4]
    assert 'Queries without a person' in capsys.readouterr().out
    evaluate.main(arguments)  # Nothing is learned again, and the same comes out.
    assert json.loads((tmp_path / 'ce' / 'eval' / 'no_person.json').read_text()) == rows
    no_person = rows

    pad = [
        '--config', 'configs/synthetic_cast.py', *SMALL, data, '--config.train.steps=2',
        '--config.train.people_per_batch=2', '--config.train.max_references=2',
        '--config.train.name_steps=2', '--config.model.adapter_width=8',
        '--config.model.name_width=8', '--config.eval.controls=', '--config.eval.methods=',
        '--workdir', str(tmp_path / 'pad'),
    ]  # fmt: skip
    train.main([*pad, f'--config.eval.ce={tmp_path / "ce"}'])
    rows = json.loads((tmp_path / 'pad' / 'eval' / 'results.json').read_text())
    assert {(r['method'], r['person_query']) for r in rows if r['method'] != 'CLIP-PAD'} == {
        ('CE', 'image'), ('CLIP', 'text'), ('CLIP-PAD (name memory)', 'text'),
    }  # fmt: skip
    assert '| CE | image |' in (tmp_path / 'pad' / 'eval' / 'table.md').read_text()
    report = (tmp_path / 'pad' / 'eval' / 'report.html').read_text()
    assert 'CE, image' in report and 'Queries without a person' in report
    chosen = validation_curve.chosen_step(tmp_path / 'ce')
    assert f'Step {chosen} of 4 was chosen' in report
    # The same clips and queries in both workdirs.
    assert json.loads((tmp_path / 'pad' / 'eval' / 'no_person.json').read_text()) == no_person
    # CLIP-PAD goes on learning from the clips of CE, and is evaluated beside it.
    features = f'--config.features.dir={tmp_path / "ce" / "features"}'
    own = [
        word for word in OWN[2:] if 'model.' not in word and 'steps' not in word
    ]  # fmt: skip
    worlds = [f'--config.clips.{s}.dir={tmp_path / "ce" / s}' for s in ('training', 'validation')]
    clips = [
        '--config', 'configs/clips.py', *own, *SMALL, data, features, *worlds,
        '--config.train.steps=4', '--config.train.word_steps=2', '--config.model.clip_width=8',
        f'--config.start_from={tmp_path / "pad"}',
        '--config.eval.controls=', f'--config.eval.ce={tmp_path / "ce"}',
        '--workdir', str(tmp_path / 'clips'),
    ]  # fmt: skip
    train.main(clips)
    rows = json.loads((tmp_path / 'clips' / 'eval' / 'results.json').read_text())
    assert {'CE', 'CLIP', 'CLIP-PAD'} <= {r['method'] for r in rows}
    taught = json.loads((tmp_path / 'clips' / 'eval' / 'no_person.json').read_text())
    assert [row['method'] for row in taught[:3]] == ['CE', 'adapted', 'CLIP']
    assert [row for row in taught if row['method'] != 'adapted'] == no_person
    assert [e['step'] for e in validation_curve.read(tmp_path / 'clips')] == [2, 4]
    learned, start = (cpad_jax.load(tmp_path / name) for name in ('clips', 'pad'))
    assert learned.sha256 != start.sha256 and learned.names == start.names
    with pytest.raises(UserError, match="learned faces by 'clip': set it to that"):
        train.main(
            [
                *clips[:-1],
                str(tmp_path / 'other'),
                '--config.eval.methods=',
                '--config.features.face=colour_histogram',
            ]
        )
    with pytest.raises(UserError, match='no Collaborative Experts in'):
        evaluate.main([*pad, f'--config.eval.ce={tmp_path}'])


def test_other_face_features_are_refused(tmp_path):
    config = configs.parse([*OWN, '--config.features.face=colour_histogram']).config
    with pytest.raises(UserError, match='faces along tracks are embedded by CLIP'):
        training.prepare(config, tmp_path, None, None, {})
