"""What is said in the drawn world, as subtitles: people are named while they are there, and not.

Only for measuring how well labelling does with subtitles: pixels do not depend on it.
"""

from __future__ import annotations

import numpy as np

from cpad_jax.synthetic import people
from cpad_jax.synthetic.world import ClipPlan, World

# Of the lines of a shot, so many name somebody; of those, so many name somebody who is seen in it.
# A film has some hundred lines with a name in it. A title here has a few dozen shots, so that as
# many as in a film are said in each of them.
LINES, NAMING, PRESENT = 2, 0.6, 0.7
_SPEAKER = 0.1  # Of the lines, these say who speaks them.
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
    """Writes what is said in a clip.

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
            called = _called(rng, people.person(int(rng.choice(named))))
            text = str(rng.choice(_WITH_NAME)).format(called)
        if rng.random() < _SPEAKER:
            speaker = people.person(int(rng.choice(present))).name.split()[0]
            text = f'{speaker.upper()}: {text}'
        end = start + float(rng.uniform(0.4, 1.0)) * step
        cues.append(f'{number + 1}\n{_stamp(start)} --> {_stamp(end)}\n{text}\n')
    return '\n'.join(cues)


def _called(rng: np.random.Generator, who: people.Person) -> str:
    first, last = who.name.split()[0], who.name.split()[-1]
    title = 'Ms.' if who.looks.gender == 'woman' else 'Mr.'
    return str(rng.choice([first, who.name, f'{title} {last}'], p=[0.6, 0.2, 0.2]))


def _stamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f'{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}'
