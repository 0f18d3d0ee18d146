import pytest

from cpad_jax.errors import UserError
from cpad_jax.labelling import subtitles
from cpad_jax.labelling.cast import CastMember
from cpad_jax.labelling.subtitles import Cue

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


ASS = """[Script Info]
Title: a film

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,Ivy
Dialogue: 0,0:00:04.00,0:00:05.25,Default,Ada,0,0,0,,{\\i1}She left,{\\i0} yes.\\N- Bo: No.
Dialogue: 0,0:00:01.50,0:00:03.00,Default,,0,0,0,,Where is Zoë?
Dialogue: 0,0:00:06.00,0:00:07.00,Default,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}
Dialogue: 0,0:00:09.00,0:00:08.00,Default,,0,0,0,,Ivy.
"""


@pytest.mark.parametrize('ending', ['ass', 'ssa', 'srt'])
@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'cp1252'])
def test_substation_alpha(tmp_path, ending, encoding):
    text = ASS
    if ending == 'ssa':
        text = ASS.replace('Layer', 'Marked').replace('e: 0,', 'e: Marked=0,')
    path = tmp_path / f'a.{ending}'
    path.write_bytes(text.encode(encoding))
    assert subtitles.read_subtitles(path) == ([
        CUES[0], Cue(4.0, 5.25, (('Ada', 'She left, yes.'), ('Bo', 'No.'))),
    ], [14])  # fmt: skip


def test_webvtt_has_voices_notes_and_blocks(tmp_path):
    text = """\ufeffWEBVTT - a film

STYLE
::cue(v[voice="Ivy"]) { color: red }

intro
00:01.500 --> 00:03.000 line:0 align:start
<v.loud.fast Ada Abbott>Come <i>in</i>.
Sit down.</v> <v Bo>No!

NOTE Ivy is not said here

2
00:04.000 --> 00:05.250
&lrm;Zo&euml;<00:00:04.500><c> left.</c>
"""
    assert read(tmp_path, text) == [
        Cue(1.5, 3.0, (('Ada Abbott', 'Come in.'), ('Ada Abbott', 'Sit down.'), ('Bo', 'No!'))),
        Cue(4.0, 5.25, (('', 'Zoë left.'),)),
    ]


@pytest.mark.parametrize(('content', 'name'), [
    ('<SAMI>\n<BODY>', 'SAMI'), ('<?xml version="1.0"?>\n<tt>', 'XML'), ('{1}{24}Ada!', 'MicroDVD'),
    ('# VobSub index file, v7', 'VobSub'), (b'PG\x00\x01', 'PGS'),
])  # fmt: skip
def test_other_formats_are_told_by_what_is_in_them(tmp_path, content, name):
    with pytest.raises(UserError, match=rf'a.srt: subtitles in this format \({name}\) cannot be'):
        read(tmp_path, content)
    (tmp_path / 'a.smi').write_text(SAID)
    with pytest.raises(UserError, match=r'a.smi: subtitles in this format \(SAMI\) cannot be read'):
        subtitles.read_subtitles(tmp_path / 'a.smi')


@pytest.mark.parametrize(('line', 'speaker', 'text'), [
    ('王小明：你好', '王小明', '你好'),
    ('王小明:你好', '王小明', '你好'),
    ('（田中）待って！', '田中', '待って！'),
    ('【영희】 기다려', '영희', '기다려'),
    ('김철수: 기다려', '김철수', '기다려'),
    ('\u202bמשה כהן: חכה לי\u202c', 'משה כהן', 'חכה לי'),
    ('- محمد علي: انتظرني', 'محمد علي', 'انتظرني'),
    ('สมชาย: รอด้วย', 'สมชาย', 'รอด้วย'),
    ('मनीष: रुको', 'मनीष', 'रुको'),
    ('ИВАН: Подожди', 'ИВАН', 'Подожди'),
    ('[ADA] Come in.', 'ADA', 'Come in.'),
    ('ADA (off screen): Come in.', 'ADA', 'Come in.'),
    ('(laughs) Come in.', '', '(laughs) Come in.'),
    ('http://x.org', '', 'http://x.org'),
    ('现在10:30了', '', '现在10:30了'),
])  # fmt: skip
def test_who_speaks_in_any_script(tmp_path, line, speaker, text):
    (cue,) = read(tmp_path, f'00:01,000 --> 00:02,000\n{line}\n')
    assert cue.lines == ((speaker, text),)


ANY_SCRIPT = [
    CastMember('wang', '王小明'), CastMember('kim', '김철수'), CastMember('cohen', 'משה כהן'),
    CastMember('ali', 'محمد علي'), CastMember('som', 'สมชาย'), CastMember('manish', 'मनीष'),
    CastMember('manoj', 'मनोज'), CastMember('ivan', 'Иван Орлов'),
    CastMember('tanaka', '田中 太郎'),
]  # fmt: skip


@pytest.mark.parametrize(('line', 'who'), [
    ('昨天王小明来了', ['wang']), ('小明，等等！', ['wang']), ('김철수는 어디 있어?', ['kim']),
    ('철수야, 기다려!', ['kim']), ('איפה משה?', ['cohen']), ('أين محمد؟', ['ali']),
    ('สวัสดีสมชาย', ['som']), ('मनीष कहाँ है?', ['manish']), ('मनोज!', ['manoj']),
    ('Где Иван?', ['ivan']), ('где ИВАН ОРЛОВ?', ['ivan']), ('иван', []),
    ('太郎、待って', ['tanaka']),
    (('王小明', '你好'), ['wang']), (('محمد', 'مرحبا'), ['ali']),
])  # fmt: skip
def test_names_in_any_script(line, who):
    assert [person for person, _ in mentioned(line, cast=ANY_SCRIPT)] == who


@pytest.mark.parametrize(('line', 'who'), [
    ('Joanna is here.', []), ('Jo-Anna is here.', []), ("That's Anna's.", ['anna']),
    ('Zoe\u0308 Quirk', ['zoe']), ('Conan O’Brien?', ['conan']), ("O'Brien!", ['conan']),
    ('Jean–Luc, come!', ['luc']), ('Luc, come!', []),
])  # fmt: skip
def test_whole_words_however_they_are_spelt(line, who):
    cast = [
        CastMember('anna', 'Anna Bell'), CastMember('zoe', 'Zoë Quirk'),
        CastMember('conan', "Conan O'Brien"), CastMember('luc', 'Jean-Luc Roy'),
    ]  # fmt: skip
    assert [person for person, _ in mentioned(line, cast=cast)] == who


def test_the_encoding_is_said_where_it_is_not_utf8(tmp_path):
    path, notes = tmp_path / 'a.srt', []
    path.write_bytes('00:01,0 --> 00:02,0\nГде Анна? Она ушла вчера.\n'.encode('cp1251'))
    (cue,), _ = subtitles.read_subtitles(path, report=notes.append)
    assert cue.lines[0][1] == 'Где Анна? Она ушла вчера.'
    assert notes == [f'{path}: read as cp1251; give --encoding if that is wrong']
    (cue,), _ = subtitles.read_subtitles(path, 'koi8-r', notes.append)
    assert (
        cue.lines[0][1].startswith('цДЕ') and 'read as koi8-r; as given by --encoding' in notes[1]
    )
    path.write_text(SAID)
    assert subtitles.read_subtitles(path, report=notes.append)[0] == CUES and len(notes) == 2


@pytest.mark.parametrize('line', [
    '<v' + ' ' * 100_000, '<v ' * 9_000, '<' * 100_000, '{' * 100_000, '{\\p1' * 20_000,
    'A' + ' ' * 100_000, '-' * 100_000, 'A: ' * 9_000, '00:00:00' + ' ' * 100_000 + '--',
    '-' * 50_000 + '>', '&#' + '9' * 100_000, '&' * 100_000, '(' * 100_000, '\u202b' * 100_000,
    "d'" * 9_000, 'a-' * 9_000, 'e' + '\u0308\u0323' * 50_000,
], ids=lambda line: line[:6])  # fmt: skip
def test_no_line_takes_longer_than_it_is_long(tmp_path, line):
    # A pattern that backtracks would not end within the life of whoever waits.
    for text in (SAID + f'\n3\n00:00:06,000 --> 00:00:07,000\n{line}\n', SAID + line + '\n'):
        cues = read(tmp_path, text)
        assert cues[0] == CUES[0]
        assert subtitles.find_mentions({'v': cues}, CAST)['v'][0].person_id == 'zoe'


def test_cues_are_moved_with_the_picture():
    assert subtitles.shifted(CUES, 3.5) == [Cue(0.5, 1.75, CUES[1].lines)]
