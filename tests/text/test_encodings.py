import pytest

from cpad_jax.errors import UserError
from cpad_jax.text import encodings

# What is said in a film, by language, and how files of it are encoded.
SAID = {
    'Где Анна?\nОна ушла вчера вечером.\n- Иван, подожди меня!\nЯ не знаю, что сказать.': (
        'cp1251',
        'koi8-r',
        'iso8859-5',
        'cp866',
    ),
    'Де Оксана?\nВона пішла вчора ввечері.\nІване, зачекай на мене!': ('cp1251', 'koi8-u'),
    'Gdzie jest Małgorzata?\nŁukasz, zaczekaj na mnie!\nChodźmy do domu, już późno.': (
        'cp1250',
        'iso8859-2',
    ),
    'Kde je Jiří Dvořák?\nTomáši, počkej na mě!\nPojďme domů, už je pozdě.': (
        'cp1250',
        'iso8859-2',
    ),
    'Hol van Erzsébet?\nVárj meg, Győző!\nMenjünk haza, hűvös az idő.': ('cp1250',),
    'Unde este Ştefan?\nA plecat aseară.\nAşteaptă-mă, Cătălin!': ('cp1250',),
    'Où est Hélène ?\nFrançois, attends-moi !\nIl est déjà tard, rentrons à la maison.': (
        'cp1252',
        'iso8859-15',
        'cp850',
        'mac-roman',
    ),
    'Wo ist Jürgen Möller?\nKäthe, warte auf mich!\nIch weiß nicht.': ('cp1252',),
    '¿Dónde está Íñigo?\n¡José, espérame!\nMañana hablamos…': ('cp1252',),
    'Var är Åsa Sjöström?\nVänta på mig, Björn!': ('cp1252',),
    'Where is Zoë?\nShe left.': ('cp1252',),
    'Ayşe nerede?\nİbrahim, beni bekle!\nEve gidelim, geç oldu, çok yorgunum.': ('cp1254',),
    'Kur yra Žydrūnas?\nPalauk manęs, Eglė!\nNežinau, ką tau pasakyti.': ('cp1257',),
    'Πού είναι η Μαρία;\nΓιώργο, περίμενέ με!\nΔεν ξέρω τι να σου πω.': ('cp1253', 'iso8859-7'),
    'איפה דוד?\nיוסי, חכה לי!\nאני לא יודע מה להגיד לך.': ('cp1255',),
    'أين محمد؟\nيا أحمد، انتظرني!\nلا أعرف ماذا أقول لك.': ('cp1256',),
    'สมชายอยู่ที่ไหน\nรอฉันด้วย มานี\nฉันไม่รู้จะบอกอะไรเธอ': ('cp874',),
    '王小明在哪里？\n她昨天晚上走了。\n李雷，等等我！': ('gbk', 'gb18030'),
    '王小明在哪裡？\n她昨天晚上走了。\n李雷，等等我！': ('big5',),
    '田中さんはどこですか？\n彼女は昨夜帰りました。\n太郎、待ってくれ！': ('cp932', 'euc-jp'),
    '김철수 어디 있어?\n어젯밤에 떠났어요.\n영희야, 기다려!': ('euc-kr',),
}
UNICODE = ('utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32')


def timed(text):
    return ''.join(
        f'{number}\n00:00:{number:02},000 --> 00:00:{number:02},900\n{line}\n\n'
        for number, line in enumerate(text.split('\n'), 1)
    )


@pytest.mark.parametrize(
    ('text', 'encoding'), [(t, e) for t, of in SAID.items() for e in (*of, *UNICODE)]
)
def test_encodings_are_found(text, encoding):
    found = encodings.decode(timed(text).encode(encoding))
    assert (found.text, found.lost) == (timed(text), 0)
    assert (found.encoding == 'utf-8') is encoding.startswith('utf-8')


@pytest.mark.parametrize('bad', [b'\xff', b'\xc3', b'\x92', b'\xed\xa0\x80'])
@pytest.mark.parametrize('text', ['Où est Hélène ?', 'Где Анна?', '王小明在哪里？'])
def test_a_bad_byte_costs_a_letter_and_not_the_file(text, bad):
    whole = timed(text + '\n' + text)
    place = whole.encode().index(b'00:00:02')
    found = encodings.decode(whole.encode()[:place] + bad + whole.encode()[place:])
    assert found.encoding == 'utf-8' and 1 <= found.lost <= 3
    assert found.text.replace('\ufffd', '') == whole


def test_a_bad_byte_of_an_old_encoding():
    data = timed('Где Анна?\nОна ушла вчера вечером.').encode('cp1251')
    found = encodings.decode(data[:50] + b'\x98' + data[50:])
    assert found.encoding == 'cp1251' and 'Где Анна?' in found.text


def test_what_somebody_says_is_taken():
    data = 'Анна'.encode('cp1251')
    assert encodings.decode(data, 'koi8-r').text == data.decode('koi8-r')
    assert encodings.decode('Zoë'.encode('utf-8-sig'), 'utf-8').text == 'Zoë'
    assert encodings.check('CP-1251') == 'cp1251'
    for unknown in ('klingon', 'base64', 'rot13', ''):
        with pytest.raises(UserError, match='is unknown; expected e.g. utf-8, cp1251'):
            encodings.check(unknown)


def test_entities():
    assert encodings.without_entities('Zo&euml; &amp; Bo') == 'Zoë & Bo'
    huge = '&#' + '9' * 5000 + ';'
    assert encodings.without_entities(huge) == huge
