import re

import numpy as np
import pytest
from PIL import Image

from cpad_jax.commands import build_dataset
from cpad_jax.data import build
from cpad_jax.errors import UserError
from cpad_jax.media import images
from tests.support.clip_archives import row, write_celebrities, write_table, write_tv


def test_a_small_world_and_its_picture(tmp_path, capsys):
    arguments = (
        'synthetic_cast --movies 1 --shows 1 --clips_per_title 3 --cast_size 3 --seen_people 4 '
        '--cast_seen 3 --unseen_people 2 --photos_per_person 2 --reference_photos 2 --seconds 0.5 '
        '--people_per_shot 100,0,0 '
        f'--processes 1 --data_dir {tmp_path} --sheet {tmp_path / "sheet.png"}'
    )
    build_dataset.main(arguments.split())
    assert len(list((tmp_path / 'synthetic_cast').rglob('*.mp4'))) == 6
    printed = capsys.readouterr().out
    assert '6 clips of 2 titles' in printed and 'people: 6, of whom 4 are seen' in printed
    with Image.open(tmp_path / 'sheet.png') as sheet:
        assert np.asarray(sheet.convert('L')).std() > 20
    assert 'already built' not in printed
    build_dataset.main(arguments.split())
    folder = tmp_path / 'synthetic_cast'
    assert capsys.readouterr().out.splitlines()[:2] == [
        f'already built in {folder}/{part}/1.0.0: left as it is' for part in ('identities', 'clips')
    ]


def test_every_option_of_the_world_is_explained(capsys):
    with pytest.raises(SystemExit) as stop:
        build_dataset.main(['--help'])
    assert stop.value.code == 0
    said = ' '.join(capsys.readouterr().out.split())
    assert "Number of seen people who act in this world's titles (default: 240)" in said
    assert 'take the place of drawn faces; empty draws them' in said


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        ('nothing --data_dir a', "invalid choice: 'nothing'"),
        ('synthetic_cast', 'required: --data_dir'),
        ('synthetic_cast --data_dir a --movies x', '--movies: invalid int'),
        ('synthetic_cast --data_dir a --people_per_shot 7,x', "'7,x' is no list such as 20,48,32"),
        (
            'synthetic_cast --data_dir a --people_per_shot 50,60',
            r'is \(50, 60\), expected how many',
        ),
        ('synthetic_cast --data_dir a --movies -1', 'movies is -1, expected 0 or more'),
        ('synthetic_cast --data_dir a --sheet a.txt', 'expected a .jpg or .png'),
        ('hollywood2 --data_dir a', 'hollywood2 needs --manual_dir. get Hollywood2-actions'),
        ('hollywood2 --data_dir a --manual_dir b', '--manual_dir b: there is no such folder. get'),
        ('hollywood2 --data_dir a --manual_dir b --part x', '--part x: hollywood2 has actions, sc'),
        ('hollywood2 --data_dir a --manual_dir b --splits c', '--splits is for celebrities_in_act'),
        ('hollywood2 --data_dir a --sheet c.png', '--sheet is for synthetic_cast only'),
        ('vggface2 --data_dir a --manual_dir b --annotations c', 'vggface2 has no clips'),
        ('synthetic_cast --data_dir a --manual_dir b', 'leave --manual_dir out'),
        ('synthetic_cast --data_dir a --part b --splits c', 'leave --part and --splits out'),
        ('synthetic_cast --data_dir a --processes 0', '--processes is 0, expected 1 or more'),
        ('hollywood2 --data_dir a --manual_dir . --processes -1', '--processes is -1, expected'),
        (
            'hollywood2 --data_dir a --manual_dir . --movies 3',
            '--movies is for synthetic_cast only: leave it out for hollywood2',
        ),
        ('vggface2 --data_dir a', 'vggface2 needs --manual_dir. VGGFace2 is no longer given out'),
        ('vggface --data_dir a', r'needs --manual_dir. .*images/NAME/ID.jpg'),
        ('vggface2 --data_dir a --manual_dir b', 'b: there is no such folder. VGGFace2'),
        (
            'vggface2 --data_dir a --manual_dir . --sheet a.jpg',
            '--sheet is for synthetic_cast only',
        ),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        build_dataset.main(arguments.split())
    assert not list(tmp_path.iterdir())


def test_files_that_were_chosen_and_are_not_there(tmp_path):
    write_celebrities(tmp_path / 'in')
    arguments = f'--manual_dir {tmp_path / "in"} --data_dir {tmp_path / "out"}'
    for name, option in (
        ('tv_human_interactions', 'annotations'),
        ('celebrities_in_action', 'annotations'),
        ('celebrities_in_action', 'splits'),
    ):
        says = f'--{option} none.json: there is no such file; give the right path, or leave'
        with pytest.raises(UserError, match=says):
            build_dataset.main(f'{name} --{option} none.json {arguments}'.split())
    (tmp_path / 'in' / 'annotations.jsonl').unlink()
    says = f'{tmp_path}/in/annotations.jsonl: there is no annotation table; .* --annotations, or w'
    with pytest.raises(UserError, match=says):
        build_dataset.main(f'celebrities_in_action {arguments}'.split())
    assert not (tmp_path / 'out').exists()


def test_a_draw_that_leaves_nothing_to_test_is_told_once(tmp_path, capsys):
    write_tv(tmp_path / 'in')
    # Its name is drawn for validation.
    lines = [row('handShake_0001', 'lost', [('n3', 'Kate', {}, {})], 'show')]
    write_table(tmp_path / 'in' / 'annotations.jsonl', lines)
    arguments = f'celebrities_in_action --manual_dir {tmp_path / "in"} --processes 1 --data_dir'
    build_dataset.main([*arguments.split(), str(tmp_path / 'out')])
    said = capsys.readouterr().err
    assert said.count('`test` is empty and nothing can be evaluated: choose with --splits') == 1
    (tmp_path / 'in' / 'splits.json').write_text('{"lost": "test"}')
    build_dataset.main([*arguments.split(), str(tmp_path / 'other')])
    assert 'warning' not in capsys.readouterr().err


@pytest.mark.parametrize('name', build.MANUAL)
def test_an_empty_folder_is_told_what_belongs_there(name, tmp_path):
    arguments = [name, '--manual_dir', str(tmp_path), '--data_dir', str(tmp_path / 'out')]
    with pytest.raises(UserError, match='this folder is empty. .*(DIR|tar.gz)'):
        build_dataset.main(arguments)
    assert not list(tmp_path.iterdir())


def test_archives_are_built_and_what_was_left_out_is_told(tmp_path, capsys):
    write_celebrities(tmp_path / 'in')
    arguments = f'--manual_dir {tmp_path / "in"} --data_dir {tmp_path / "out"} --processes 1'
    build_dataset.main(f'hollywood2 --part scenes {arguments}'.split())
    build_dataset.main(f'celebrities_in_action {arguments}'.split())
    printed, bars = capsys.readouterr()
    lines = printed.replace(f'{tmp_path}/out/', '').splitlines()
    said = [line for line in lines if not line.startswith('  ')]
    # Of Hollywood2's lists 9, of the other set 13; rows without clip 2, clips without row 8; and 2
    # faces that are too small. Rows about clips of shows are without their clip in Hollywood2.
    assert said == [
        'hollywood2: 1 people, of whom 0 are for training',
        'test: 2 clips',
        'autotrain: 1 clips',
        'set aside: 3, all listed in hollywood2/scenes/1.0.0/rejection_log.txt',
        'celebrities_in_action: 3 people, of whom 1 are for training',
        'identities, train: 1 photos',
        'identities, references: 2 photos',
        'set aside: 34, all listed in celebrities_in_action/identities/1.0.0/rejection_log.txt',
        'clips, train: 2 clips',
        'clips, validation: 1 clips',
        'clips, test: 1 clips',
        'set aside: 32, all listed in celebrities_in_action/clips/1.0.0/rejection_log.txt',
    ]
    # Two faces of four were set aside, and the bar comes to its end all the same.
    assert re.search(r'celebrities_in_action, references 4/4 .* photo/s, ', bars)
    told = lines.index('          2 a face smaller than 24 pixels:')
    assert lines[told + 1].endswith(
        'AnswerPhone_train.txt:1: Humphrey Bogart in actioncliptrain00001, 12x13 pixels'
    )
    assert '          8 a clip that the annotation table leaves out, as above' in lines
    # Of eight entries the first three are shown.
    told = lines.index('          8 a clip that the annotation table leaves out:')
    assert lines[told + 3].endswith('actioncliptest00002') and lines[told + 4].strip() == '…'


def test_a_data_set_from_the_users_files(tmp_path, capsys):
    lists, pictures = tmp_path / 'vgg_face_dataset' / 'files', tmp_path / 'images' / 'Ada_Example'
    lists.mkdir(parents=True)
    pictures.mkdir(parents=True)
    rows = ''.join(f'{number:08d} http://a.example 1 1 9 9 1 2.5 1\n' for number in range(1, 6))
    (lists / 'Ada_Example.txt').write_text(rows + 'what is this\n')
    for number in (2, 4):
        data = images.encode_jpeg(np.full((20, 30, 3), 40 * number, np.uint8))
        (pictures / f'{number:08d}.jpg').write_bytes(data)
    data_dir = tmp_path / 'data'
    arguments = ['vggface', '--manual_dir', str(tmp_path), '--data_dir', str(data_dir)]
    build_dataset.main(arguments)
    listed = data_dir / 'vggface' / 'identities' / '1.0.0' / 'rejection_log.txt'
    expected = [
        f'{data_dir}/vggface: 1 people, of whom 1 are for training',
        'train: 2 photos',
        f'set aside: 4, all listed in {listed}',
        '          3 a line whose picture is not there:',
        f'            {lists}/Ada_Example.txt: 3 of 5',
        '          1 not a line about a picture:',
        f'            {lists}/Ada_Example.txt:6: what is this',
    ]
    assert capsys.readouterr().out.splitlines() == expected
    assert f'{lists}/Ada_Example.txt:6: not a line about a picture: what is this' in (
        listed.read_text().splitlines()
    )
    # What is there is used, whatever became of the files.
    (pictures / '00000002.jpg').unlink()
    build_dataset.main(arguments)
    before = f'already built in {listed.parent}: left as it is'
    assert capsys.readouterr().out.splitlines() == [before, *expected]
    # Other lists are other people.
    (lists / 'Bob_Example.txt').write_text(rows)
    with pytest.raises(UserError, match=f'vggface is built already.*delete {listed.parent} to'):
        build_dataset.main(arguments)
    assert capsys.readouterr().out == ''
