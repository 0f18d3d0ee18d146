import os
import subprocess
import sys
from pathlib import Path

import pytest

from cpad_jax import eval as evaluation
from cpad_jax.errors import UserError
from cpad_jax.training import configs

ROOT = Path(__file__).parents[1]
CONFIG = str(ROOT / 'configs' / 'testing.py')


def test_help_says_how(capsys):
    evaluation.main(['--help'])
    assert 'usage: python -m cpad_jax.eval --config FILE' in capsys.readouterr().out


def test_a_workdir_that_is_not_there_is_one_line_and_stays_away(tmp_path):
    workdir = tmp_path / 'nothing'
    done = subprocess.run(
        [sys.executable, '-m', 'cpad_jax.eval', '--config', CONFIG, '--workdir', str(workdir)],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1
    assert 'nothing' in done.stderr and 'train' in done.stderr
    assert not workdir.exists()


def test_a_workdir_without_a_trained_model_is_refused(tmp_path):
    configs.record(configs.parse(['--config', CONFIG]).config, tmp_path)
    (tmp_path / 'data').mkdir()
    with pytest.raises(UserError, match='no finished model of 20 steps: run python -m cpad_jax'):
        evaluation.main(['--config', CONFIG, '--workdir', str(tmp_path)])
    assert not (tmp_path / 'eval').exists()


def test_a_workdir_of_another_configuration_is_refused(tmp_path):
    configs.record(configs.parse(['--config', CONFIG]).config, tmp_path)
    (tmp_path / 'data').mkdir()
    with pytest.raises(UserError, match=r'train\.steps \(there 20, now 21\)'):
        evaluation.main(['--config', CONFIG, '--workdir', str(tmp_path), '--config.train.steps=21'])
