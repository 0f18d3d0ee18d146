import pytest
from PIL import ImageFont

from cpad_jax.media import lettering

FONT = ImageFont.load_default(11)


@pytest.mark.parametrize(('text', 'written'), [
    ('0:01.0–0:02.5', '0:01.0-0:02.5'),
    ('a — b − c', 'a - b - c'),
    ('José Díaz, Zoë', 'Jose Diaz, Zoe'),
    ('Ода 3', '??? 3'),
    ('plain', 'plain'),
])  # fmt: skip
def test_letters_that_the_font_has(text, written):
    assert lettering.plain(text) == written
    missing = bytes(FONT.getmask('\uffff'))
    assert all(bytes(FONT.getmask(letter)) != missing for letter in written.replace(' ', ''))


def test_what_is_too_long_loses_its_middle():
    assert lettering.fitted('short.mp4', FONT, 96, 8) == 'short.mp4'
    found = lettering.fitted('the_long_name_of_a_film_part_03.mp4', FONT, 96, 8)
    head, tail = found.split('...')
    assert 'the_long_name'.startswith(head) and len(head) >= 4 and tail == 't_03.mp4'
    assert 84 < FONT.getlength(found) <= 96
    assert lettering.fitted('abcdef', FONT, 0, 2) == '...ef'  # No room at all: what must stay.


def test_one_and_several():
    said = [lettering.counted(number, 'face') for number in (0, 1, 2)]
    assert said == ['0 faces', '1 face', '2 faces']
