import pytest

from cpad_jax.errors import UserError
from cpad_jax.media.labelling import subtitles
from cpad_jax.media.labelling.cast import CastMember
from cpad_jax.media.labelling.subtitles import Cue

SAID = """1
00:00:01,500 --> 00:00:03,000
Where is Zoë?

2
00:00:04,000 --> 00:00:05,250
- She left.
- No.
"""
CUES = [
    Cue(1.5, 3.0, (('', 'Where is Zoë?'),)),
    Cue(4.0, 5.25, (('', 'She left.'), ('', 'No.'))),
]


def read(tmp_path, content, encoding='utf-8'):
    path = tmp_path / 'a.srt'
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return subtitles.read_subtitles(path)[0]


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'latin-1', 'utf-16'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_encodings_and_line_ends(tmp_path, encoding, end):
    assert read(tmp_path, SAID.replace('\n', end), encoding) == CUES


@pytest.mark.parametrize('content', [
    SAID.replace('\n\n2\n', '\n\n'),  # Without a number,
    SAID.replace('\n\n2\n', '\n2\n'),  # without an empty line,
    SAID.replace('\n\n2\n', '\n'),  # without either,
    SAID.replace('2\n', '7\n'),  # misnumbered,
    SAID.replace('\n\n2', '\n \n\n\n2'),  # more of them,
    SAID.rstrip('\n'),
    SAID.replace(',500', '.500').replace('00:00:05,250', '0:0:05.25'),
    'WEBVTT - a title\n\nNOTE nothing\n\n' + SAID.replace('00:00:', '00:').replace(',', '.'),
    SAID.replace('03,000', '03,000  X1:40 X2:600 Y1:20 Y2:50'),
    SAID.replace('Where', '{\\an8}<i>Where').replace('Zoë', '<font color="#fff">Zo&euml;</font>'),
    SAID.replace('Where is Zoë?', '♪ Where is Zoë? ♪\n<b></b>'),
])  # fmt: skip
def test_what_is_met_in_files(tmp_path, content):
    assert read(tmp_path, content) == CUES


@pytest.mark.parametrize('times', [
    '00:00:09,000 --> 00:00:08,000',
    '00:00:09,000 --> 00:00:09,000',
    '00:00:0x,000 --> 00:00:09,000',
    '--> 00:00:09,000',
    '00:00:07,000 -->',
])  # fmt: skip
def test_broken_times_lose_one_cue_and_no_other(tmp_path, times):
    assert read(tmp_path, f'{SAID}\n3\n{times}\nIvy.\n') == CUES
    assert subtitles.read_subtitles(tmp_path / 'a.srt') == (CUES, [11])
    assert read(tmp_path, f'0\n{times}\nIvy.\n\n{SAID}') == CUES
    assert subtitles.read_subtitles(tmp_path / 'a.srt') == (CUES, [2])


def test_whole_files_have_no_broken_times(tmp_path):
    read(tmp_path, SAID + '\n3\n00:00:06,000 --> 00:00:07,000\n<i></i>\n')
    assert subtitles.read_subtitles(tmp_path / 'a.srt') == (CUES, [])


def test_cues_that_overlap_or_come_late_are_in_order(tmp_path):
    late = '3\n00:00:02,000 --> 00:00:04,500\nYes.\n\n'
    assert read(tmp_path, late + SAID) == [CUES[0], Cue(2.0, 4.5, (('', 'Yes.'),)), CUES[1]]


def test_hours_and_fractions(tmp_path):
    (cue,) = read(tmp_path, '01:02:03,5 --> 100:00:00\nYes.')
    assert (cue.start, cue.end) == (3723.5, 360_000.0)


@pytest.mark.parametrize(('line', 'speaker', 'text'), [
    ('ADA: Come in.', 'ADA', 'Come in.'),
    ('- Ada Abbott: Come in.', 'Ada Abbott', 'Come in.'),
    ('<v.loud Ada>Come in.</v>', 'Ada', 'Come in.'),
    ('At 10:30, or never.', '', 'At 10:30, or never.'),
    ('Listen:', '', 'Listen:'),
])  # fmt: skip
def test_who_speaks(tmp_path, line, speaker, text):
    (cue,) = read(tmp_path, f'00:01,000 --> 00:02,000\n{line}\n')
    assert cue.lines == ((speaker, text),)


@pytest.mark.parametrize('content', ['', 'some text\n\nmore', b'\x00\xff' * 50])
def test_what_is_not_subtitles_is_told(tmp_path, content):
    with pytest.raises(UserError, match='a.srt: no subtitle was found; expected lines such as'):
        read(tmp_path, content)
    with pytest.raises(UserError, match='there are no such subtitles'):
        subtitles.read_subtitles(tmp_path / 'b.srt')


CAST = [
    CastMember('ada', 'Ada Abbott'),
    CastMember('zoe', 'Zoë Quirk', 'Dr. Hart'),
    CastMember('bo', 'Bo Abbott'),
    CastMember('will', 'Will Ray'),
]


def mentioned(*lines, cast=CAST):
    cues = {
        'v': [Cue(1.0, 2.0, (('', line) if isinstance(line, str) else line,)) for line in lines]
    }
    assert list(subtitles.find_mentions(cues, cast)) == ['v']
    return [(m.person_id, m.speaks) for m in subtitles.find_mentions(cues, cast)['v']]


@pytest.mark.parametrize(('line', 'who'), [
    ('Ada, wait!', ['ada']),
    ("That is Ada's.", ['ada']),
    ('Ada Abbott is here.', ['ada']),
    ('ADA ABBOTT IS HERE.', ['ada']),
    ('Mr. Abbott is here.', []),  # Two bear that name.
    ('ada', []),  # Names are written large.
    ('Adam, wait!', []),
    ('Zoe and Zoë', ['zoe']),
    ('Doctor Hart and Quirk', ['zoe']),
    ('Dr. Moss', []),
    ('Tell Ada that Bo left.', ['ada', 'bo']),
    (('BO', 'Tell Ada.'), ['ada', 'bo']),
    (('Narrator', 'Nothing.'), []),
])  # fmt: skip
def test_names_in_what_is_said(line, who):
    assert [person for person, _ in mentioned(line)] == who


def test_who_speaks_is_told_from_who_is_named():
    assert mentioned(('Ada', 'Bo!')) == [('ada', True), ('bo', False)]
    assert mentioned(('Ada', 'I am Ada.')) == [('ada', False), ('ada', True)]


def test_a_name_that_is_a_word_too_says_nothing_by_itself():
    assert mentioned('Will you?', 'Yes, I will.') == []
    assert mentioned('Will Ray?', 'Yes, I will.', 'Ray!') == [('will', False), ('will', False)]
    assert mentioned('Will!') == [('will', False)]


def test_mentions_have_the_times_of_their_cues():
    cues = {'a': [Cue(1.0, 2.5, (('', 'Bo?'),))], 'b': []}
    assert subtitles.find_mentions(cues, CAST) == {
        'a': [subtitles.Mention(1.0, 2.5, 'bo', False)], 'b': [],
    }  # fmt: skip
