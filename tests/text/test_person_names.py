import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpad_jax.text import person_names


@pytest.mark.parametrize(('first', 'second'), [
    ('Zoë', 'Zoe\u0308'),  # NFC and NFD.
    ('Zoë Saldaña', 'ZOE  saldana'),
    ('Penélope_Cruz', ' penelope\u00a0CRUZ'),
    ('Conan O’Brien', "Conan O'Brien"),
    ('Conan Oʼbrien', 'CONAN O`BRIEN'),
    ('Jean–Luc Picard', 'Jean-Luc Picard'),
    ('Jean‑Luc', 'Jean−Luc'),
    ('Robert Downey, Jr.', 'robert downey jr'),
    ('Łukasz Søren Ægir', 'Lukasz Soren Aegir'),
    ('İpek Işık', 'ipek isik'),
    ('Strauß', 'STRAUSS'),
    ('ΆΝΝΑΣ', 'άννας'),
    ('Фёдор', 'ФЕДОР'),
    ('Ｊｏｈｎ', 'John'),
    ('محمَّد', 'محمد'),  # Vowel signs,
    ('علی‌رضا', 'عليرضا'),  # a joiner and a Persian letter.
    ('שָׁרוֹן', 'שרון'),
    ("ז'בוטינסקי", 'ז׳בוטינסקי'),
    ('田中　太郎', '田中 太郎'),
    ('ジョン・スミス', 'ジョン スミス'),
    ('김철수', '\u1100\u1175\u11b7\u110e\u1165\u11af\u1109\u116e'),
])  # fmt: skip
def test_two_spellings_of_one_name(first, second):
    assert person_names.same(first, second)


@pytest.mark.parametrize(('first', 'second'), [
    ('Anna', 'Joanna'),
    ('राम', 'रामा'),  # Vowels that are marks are no accents,
    ('राम', 'रोम'),
    ('がくと', 'かくと'),  # nor is what makes ga of ka,
    ('มานี', 'มานู'),  # nor are vowels above and below.
    ('김철수', '김철호'),
    ('Bo Hale', 'Bohale'),
])  # fmt: skip
def test_two_names(first, second):
    assert not person_names.same(first, second)


def test_keys_are_words_in_small_letters():
    assert person_names.key('  Zoë “D’Arcy” Quirk-Hale ') == 'zoe d arcy quirk hale'
    assert person_names.key('??? …') == ''


@settings(deadline=None, max_examples=60)
@given(st.text())
def test_a_key_is_its_own_key(text):
    folded = person_names.key(text)
    assert person_names.key(folded) == folded


@pytest.mark.parametrize(('text', 'name', 'left'), [
    ('Joanna [TOK]', 'Anna', 'Joanna [TOK]'),
    ('Jo-Anna [TOK]', 'Anna', 'Jo-Anna [TOK]'),
    ("D'Anna [TOK]", 'Anna', "D'Anna [TOK]"),
    ('Ännä [TOK] and Anna-Lu [TOK]', 'Anna', '[TOK] and Anna-Lu [TOK]'),
    ('ORLA  brandt [TOK] running', 'Orla Brandt', '[TOK] running'),
    ('Zoe\u0308 [TOK] eating', 'Zoë', '[TOK] eating'),
    ('here is Conan O’Brien [TOK]', "Conan O'Brien", 'here is [TOK]'),
    ('Robert Downey, Jr. [TOK] runs', 'robert downey jr', '[TOK] runs'),
    ('"Weird Al" [TOK] runs', '"Weird Al"', '[TOK] runs'),
    ('Anna and [TOK]', 'Anna', 'Anna and [TOK]'),
    ('Anna [TOK] hugging Anna [TOK] and Bo [TOK]', 'Anna', '[TOK] hugging [TOK] and Bo [TOK]'),
    ('王小明[TOK]吃饭', '王小明', '[TOK]吃饭'),
    ('我看见王小明 [TOK]', '王小明', '我看见[TOK]'),
    ('राम [TOK] और रामा [TOK]', 'राम', '[TOK] और रामा [TOK]'),
    ('Anna [TOK]', '?', 'Anna [TOK]'),
])  # fmt: skip
def test_a_name_before_a_marker_is_left_out(text, name, left):
    assert person_names.without_before(text, name, '[TOK]') == left


@pytest.mark.parametrize(('text', 'holds'), [
    ('Anna eats', True), ("that is Anna's", True), ("l'ami d'Anna", True), ('ÄNNÄ!', True),
    ('Joanna eats', False), ('Annabel', False), ('Jo-Anna', False), ('Anna-Lu', False), ('', False),
])  # fmt: skip
def test_whether_a_text_names_somebody(text, holds):
    assert person_names.contains(text, 'Anna') is holds


def test_scripts_that_write_names_into_words():
    assert person_names.contains('昨天王小明来了', '王小明')
    assert person_names.contains('สวัสดีสมชายครับ', 'สมชาย')
    assert not person_names.contains('สวัสดีมานี', 'มาน')  # The vowel belongs to the name.
    assert person_names.contains('김철수는 먹는다', '김철수')
    assert not person_names.contains('이수진은 먹는다', '이수')
    assert not person_names.contains('Annaは', 'Ann')


def test_the_very_spelling_is_found_before_an_equal_one():
    index = person_names.NameIndex(['Zoe', 'Zoë', 'Bo Hale', 'BO HALE'])
    assert (index.find('Zoë'), index.find('Zoe\u0308'), index.find('ZOÉ')) == (1, 1, 0)
    assert (index.find('bo_hale'), index.find('BO HALE'), index.find('Bo')) == (2, 3, None)
    assert 'zoë' in index and '?' not in index
