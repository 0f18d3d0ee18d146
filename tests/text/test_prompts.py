import pytest

from cpad_jax.errors import UserError
from cpad_jax.text import prompts


def test_names_are_those_of_hollywood2():
    assert ' '.join(prompts.ACTIONS) == (
        'AnswerPhone DriveCar Eat FightPerson GetOutCar HandShake HugPerson Kiss Run SitDown '
        'SitUp StandUp'
    )
    assert prompts.ALL_ACTIONS == (*prompts.ACTIONS, 'HighFive')
    assert ' '.join(prompts.PLACES) == (
        'EXT-house EXT-road INT-bedroom INT-car INT-hotel INT-kitchen INT-living-room INT-office '
        'INT-restaurant INT-shop'
    )


def test_phrases_differ_and_have_several_words():
    phrases = [*prompts.ACTION_PHRASES.values(), *prompts.PLACE_PHRASES.values()]
    assert len(set(phrases)) == 23 and all(len(phrase.split()) >= 2 for phrase in phrases)


@pytest.mark.parametrize(
    'name, action, place, token, text',
    [
        ('Orla Brandt', 'HugPerson', 'INT-kitchen', True,
         'Orla Brandt [TOK] hugging someone in a kitchen'),
        (None, 'HugPerson', 'INT-kitchen', True, '[TOK] hugging someone in a kitchen'),
        (None, 'HighFive', None, True, '[TOK] giving someone a high five'),
        ('Orla Brandt', 'SitUp', None, False, 'Orla Brandt sitting up'),
        (None, None, 'EXT-road', False, 'a person on a road'),
        (None, None, None, True, '[TOK]'),
    ],
)  # fmt: skip
def test_query_text(name, action, place, token, text):
    assert prompts.query_text(name, action, place, token) == text


def test_unknown_action_and_place_are_refused():
    with pytest.raises(UserError, match="unknown action 'Jump'.*Kiss"):
        prompts.query_text(None, 'Jump', None, True)
    with pytest.raises(UserError, match="unknown place 'moon'.*EXT-road"):
        prompts.query_text(None, None, 'moon', True)


def test_two_people_stand_where_the_action_has_them():
    ask = prompts.pair_text
    assert ask('Orla Brandt [TOK]', '[TOK]', 'HugPerson') == 'Orla Brandt [TOK] hugging [TOK]'
    assert ask('[TOK]', '[TOK]', 'HighFive') == '[TOK] giving [TOK] a high five'
    assert ask('a person', '[TOK]', 'FightPerson') == 'a person fighting with [TOK]'
    assert ask('[TOK]', '[TOK]', None) == '[TOK] and [TOK]'
    with pytest.raises(UserError, match="'Run' is not done to anybody.*HandShake"):
        ask('[TOK]', '[TOK]', 'Run')
