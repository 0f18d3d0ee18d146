"""Subtitles of the drawn world, which name people both in and out of view.

Only for measuring labelling with subtitles: no pixel depends on them.
"""

from __future__ import annotations

import numpy as np

from cpad_jax.synthetic import people
from cpad_jax.synthetic.world import ClipPlan, World

# Lines per shot, the share of them that name a person, and the share of those who are in view.
# A film has some hundred lines with a name. A title here has a few dozen shots, so these values
# give it as many.
LINES, NAMING, PRESENT = 2, 0.6, 0.7
_SPEAKER = 0.1  # Share of the lines that begin with the speaker's name.
_WITH_NAME = (
    '{}, are you coming?', 'Listen to me, {}.', 'Have you seen {}?', '{} said it would be fine.',
    'That is what I told {}.', 'Ask {} about the car.', "It's {}'s house, not mine.",
    'Where is {}?', '<i>{}!</i>', 'I do not trust {}.', 'You look tired, {}.',
)  # fmt: skip
_WITHOUT = (
    'I will be there in an hour.', 'What are we going to do?', 'No.', 'Close the door, will you?',
    '{\\an8}It has been raining since Monday.', 'You never told me that.', 'Good morning.',
    'He left before I could say a word.', '[door closes]', 'I know, I know.',
)  # fmt: skip


def draw_subtitles(world: World, plan: ClipPlan) -> str:
    """Writes the subtitles of a clip.

    Args:
        world: The world that the plan belongs to.
        plan: One of `world.clips`.

    Returns:
        The text of an `.srt` file; the same for the same world and plan.
    """
    rng = np.random.default_rng((world.spec.seed, 4, plan.seed))
    cast = world.titles[plan.title].cast
    present = [performer.person for performer in plan.performers]
    absent = [person for person in cast if person not in present]
    step = world.spec.seconds / LINES
    cues = []
    for number in range(LINES):
        start = step * (number + float(rng.uniform(0.0, 0.3)))
        text = str(rng.choice(_WITHOUT))
        if rng.random() < NAMING:
            named = present if rng.random() < PRESENT or not absent else absent
            name = _form_of_address(rng, people.person(int(rng.choice(named))))
            text = str(rng.choice(_WITH_NAME)).format(name)
        if rng.random() < _SPEAKER:
            speaker = people.person(int(rng.choice(present))).name.split()[0]
            text = f'{speaker.upper()}: {text}'
        end = start + float(rng.uniform(0.4, 1.0)) * step
        cues.append(f'{number + 1}\n{_stamp(start)} --> {_stamp(end)}\n{text}\n')
    return '\n'.join(cues)


def _form_of_address(rng: np.random.Generator, person: people.Person) -> str:
    first, last = person.name.split()[0], person.name.split()[-1]
    title = 'Ms.' if person.looks.gender == 'woman' else 'Mr.'
    return str(rng.choice([first, person.name, f'{title} {last}'], p=[0.6, 0.2, 0.2]))


def _stamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f'{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}'
