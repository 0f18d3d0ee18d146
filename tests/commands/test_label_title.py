import pytest

from cpad_jax.commands import label_title
from cpad_jax.data import annotations
from cpad_jax.errors import UserError
from cpad_jax.labelling import exemplars
from cpad_jax.media import face_embedding, faces
from tests.support import drawn_faces, drawn_title


@pytest.fixture
def networks(monkeypatch):
    class Detector(drawn_faces.Detector):
        sha256 = 'd'

        def __init__(self, path):
            pass

    class Embedder:
        sha256 = 'e'
        embed = staticmethod(drawn_title.embed)

        def __init__(self, path):
            pass

    monkeypatch.setattr(faces, 'FaceDetector', Detector)
    monkeypatch.setattr(face_embedding, 'FaceEmbedder', Embedder)


def test_a_table_and_then_corrections(tmp_path, capsys, networks):
    drawn_title.write(tmp_path)
    arguments = [
        '--videos', f'{tmp_path}/films', '--title', 'heat', '--source', 'movie', '--cast',
        f'{tmp_path}/cast.csv', '--exemplars', f'{tmp_path}/photos', '--out', f'{tmp_path}/out',
    ]  # fmt: skip
    label_title.main(arguments)
    printed = capsys.readouterr().out
    assert '12 videos, 12 clips, 15 faces followed, 4 groups' in printed
    assert 'not found: Cy Cole, Eve Ely' in printed
    # Of nothing else there is anything to say.
    assert 'subtitles:' not in printed and 'by hand:' not in printed and 'others' not in printed
    table = {clip.clip_id: clip for clip in annotations.read(tmp_path / 'out/annotations.jsonl')}
    assert table['02'].title == 'heat' and [p.name for p in table['02'].people] == ['Bob Bell']
    rows = (tmp_path / 'out/tracks.csv').read_text().splitlines()
    (row,) = [row for row in rows if row.startswith('02.mp4')]
    (tmp_path / 'right.csv').write_text(f'{rows[0]}\n{row.replace("Bob Bell", "Eve Ely")}\n')
    label_title.main([*arguments, '--corrections', f'{tmp_path}/right.csv'])
    table = {clip.clip_id: clip for clip in annotations.read(tmp_path / 'out/annotations.jsonl')}
    (eve,) = table['02'].people
    assert (eve.name, eve.confidence, eve.evidence) == ('Eve Ely', 1.0, ('named by hand',))


@pytest.mark.parametrize('out', ['film', 'film/labels', '/proc/labels'])
def test_where_nothing_can_be_written_is_told_before_the_work_begins(
    tmp_path, monkeypatch, networks, out
):
    drawn_title.write(tmp_path)
    (tmp_path / 'film').touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exemplars, 'build_models', None)
    with pytest.raises(UserError, match=f'{out}: results cannot be written there .*; give another'):
        label_title.main([
            '--videos', 'films', '--title', 't', '--source', 'show', '--cast', 'cast.csv', '--out',
            out,
        ])  # fmt: skip


@pytest.mark.parametrize(('change', 'says'), [
    (['--source', 'radio'], 'invalid choice'),
    (['--title', ' '], "title is ' ', expected the id of a movie or show"),
    (['--least_confidence', '2'], '--least_confidence 2.0: expected a number from 0 to 1'),
    (['--out', ''], "--out: expected a path, got ''"),
    (['--subtitles', ''], "--subtitles: expected a path, got ''"),
    (['--cast', 'x.csv'], 'x.csv: there is no such cast list'),
    (['--videos', 'x'], 'x: there is no such video, nor folder of videos'),
    (['--exemplars', 'x'], 'x: there is no such folder of exemplar photos'),
    (['--subtitles', 'x'], 'x: there is no such folder of subtitles'),
    (['--corrections', 'x'], 'x: there is no such file of corrections'),
])  # fmt: skip
def test_mistakes_are_told_in_a_line(tmp_path, monkeypatch, networks, change, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'cast.csv').write_text('name\nAda\n')
    (tmp_path / 'a.mp4').touch()
    given = ['--videos', 'a.mp4', '--title', 't', '--source', 'show', '--cast', 'cast.csv']
    with pytest.raises(UserError, match=says):
        label_title.main([*given, '--out', 'out', *change])
    assert not (tmp_path / 'out').exists()
