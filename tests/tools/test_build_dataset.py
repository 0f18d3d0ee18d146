import numpy as np
import pytest
from PIL import Image

from cpad_jax.errors import UserError
from tools import build_dataset


def test_a_small_world_and_its_picture(tmp_path, capsys):
    arguments = (
        'synthetic_cast --movies 1 --shows 1 --clips_per_title 3 --cast_size 3 --seen_people 4 '
        '--cast_seen 3 --unseen_people 2 --photos_per_person 2 --reference_photos 2 --seconds 0.5 '
        f'--processes 1 --data_dir {tmp_path} --sheet {tmp_path / "sheet.png"}'
    )
    build_dataset.main(arguments.split())
    assert len(list((tmp_path / 'synthetic_cast').rglob('*.mp4'))) == 6
    printed = capsys.readouterr().out
    assert '6 clips of 2 titles' in printed and 'people: 6, of whom 4 are seen' in printed
    with Image.open(tmp_path / 'sheet.png') as sheet:
        assert np.asarray(sheet.convert('L')).std() > 20


def test_every_option_of_the_world_is_explained(capsys):
    with pytest.raises(SystemExit) as stop:
        build_dataset.main(['--help'])
    assert stop.value.code == 0
    said = ' '.join(capsys.readouterr().out.split())
    assert "How many of them act in this world's titles (default: 240)" in said
    assert 'take the place of drawn faces; empty draws them' in said


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        ('nothing --data_dir a', "invalid choice: 'nothing'"),
        ('synthetic_cast', 'required: --data_dir'),
        ('synthetic_cast --data_dir a --movies x', '--movies: invalid int'),
        ('synthetic_cast --data_dir a --movies -1', 'movies of a world is -1'),
        ('synthetic_cast --data_dir a --sheet a.txt', 'expected a .jpg or .png'),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        build_dataset.main(arguments.split())
    assert not list(tmp_path.iterdir())
