import pytest

from cpad_jax.errors import UserError
from cpad_jax.labelling import subtitle_choice


def chosen(tmp_path, videos, files):
    """Video -> names of its subtitles, best first; files of nobody; unreadable ones by video."""
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    readable, strange, unreadable = subtitle_choice.find(tmp_path, videos)
    names = [
        {video: [str(f.relative_to(tmp_path)) for f in of] for video, of in found.items()}
        for found in (readable, unreadable)
    ]
    return names[0], [str(file.relative_to(tmp_path)) for file in strange], names[1]


@pytest.mark.parametrize('name', [
    'film.srt', 'FILM.SRT', 'film.en.srt', 'film.eng.srt', 'film.English.srt', 'film.en.sdh.srt',
    'film.sdh.en.srt', 'film.cc.srt', 'film.en.forced.srt', 'film.pt-BR.srt', 'film.pt_BR.srt',
    'film.zh-Hant-TW.srt', 'film.es-419.srt', 'film.mkv.srt', 'film.mkv.en.srt', 'film.mp4.srt',
    'film.en.[SDH].srt', 'film.fr.default.srt', 'film.vtt', 'film.de.ass', 'film.ssa',
])  # fmt: skip
def test_files_of_a_video(tmp_path, name):
    assert chosen(tmp_path, ['film.mkv'], [name]) == ({'film.mkv': [name]}, [], {})


@pytest.mark.parametrize('name', [
    'film2.srt', 'film2.en.srt', 'film.2.srt', 'film 2.en.srt', 'film.part2.srt', 'my film.srt',
    'film.s01e02.srt', 'film.en.extended cut.srt', 'film-2.en.srt', 'a/film.srt', 'films.en.srt',
])  # fmt: skip
def test_files_of_other_videos(tmp_path, name):
    found = chosen(tmp_path, ['film.mkv'], [name, 'film.en.srt'])
    assert found == ({'film.mkv': ['film.en.srt']}, [name], {})


def test_the_best_comes_first(tmp_path):
    order = [
        'film.srt', 'film.vtt', 'film.en.sdh.srt', 'film.de.srt', 'film.en.srt', 'film.en.vtt',
        'film.en.forced.srt', 'film.en.commentary.srt',
    ]  # fmt: skip
    assert chosen(tmp_path, ['film.mkv'], reversed(order))[0] == {'film.mkv': order}


def test_each_video_has_its_own(tmp_path):
    videos = ['a/film.mp4', 'film.en.mp4', 'film.mp4', 'film2.mp4', 'Zoë.mp4']
    files = ['a/film.srt', 'film.en.sdh.srt', 'film.en.srt', 'film2.srt', 'Zoe\u0308.en.srt',
             'film.fr.srt']  # fmt: skip
    assert chosen(tmp_path, videos, files) == ({
        'a/film.mp4': ['a/film.srt'], 'film.en.mp4': ['film.en.srt', 'film.en.sdh.srt'],
        'film.mp4': ['film.fr.srt'], 'film2.mp4': ['film2.srt'], 'Zoë.mp4': ['Zoe\u0308.en.srt'],
    }, [], {})  # fmt: skip


@pytest.mark.parametrize('ending', ['sub', 'idx', 'sup', 'smi', 'ttml', 'dfxp', 'STL', 'sbv'])
def test_other_formats_are_refused_by_name(tmp_path, ending):
    name = f'film.en.{ending}'
    with pytest.raises(UserError, match=rf'{name}: subtitles in this format \(.+\) cannot be read'):
        chosen(tmp_path, ['film.mkv'], [name])
    found = chosen(tmp_path, ['film.mkv', 'other.mkv'], ['other.srt'])
    assert found == ({'other.mkv': ['other.srt']}, [], {'film.mkv': [name]})


def test_no_subtitles_at_all(tmp_path):
    with pytest.raises(UserError, match='there is no such folder of subtitles'):
        subtitle_choice.find(tmp_path / 'x', ['film.mkv'])
    with pytest.raises(UserError, match='there are no subtitles .* expected e.g. a/film.srt in it'):
        chosen(tmp_path, ['a/film.mkv'], ['film2.srt', 'notes.txt', '.film.srt'])
