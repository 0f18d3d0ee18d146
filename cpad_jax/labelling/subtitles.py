"""Mentions of the cast in subtitles: people who are named or speak, with times."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from cpad_jax.labelling.cast import CastMember
from cpad_jax.labelling.subtitle_files import Cue
from cpad_jax.labelling.subtitle_files import read_subtitles as read_subtitles
from cpad_jax.text import person_names

_FORMS_OF_ADDRESS = frozenset(
    'mr mrs ms miss dr doctor sir lady lord captain professor detective officer agent judge uncle '
    'aunt the'.split()
)


@dataclasses.dataclass(frozen=True)
class Mention:
    """A member of the cast is named, or speaks.

    Attributes:
        start: Seconds.
        end: Seconds.
        person_id: The person.
        speaks: Whether they speak, according to the subtitles; otherwise they are named.
    """

    start: float
    end: float
    person_id: str
    speaks: bool


def find_mentions(
    cues: Mapping[str, Sequence[Cue]], cast: Sequence[CastMember]
) -> dict[str, list[Mention]]:
    """Finds the cast in a title's subtitles, by full, first or last name of person or character.

    A name that two members share, or that the title's subtitles also write in lower case (will,
    grace), is ignored by itself; the full name still counts.

    Args:
        cues: Name of a video -> its cues.
        cast: The people to find.

    Returns:
        Name of a video -> mentions in the cues' order; a person who speaks and is named in a cue
        has two.
    """
    names = _aliases([cue for video_cues in cues.values() for cue in video_cues], cast)
    return {
        video: [
            Mention(cue.start, cue.end, *entry)
            for cue in video_cues
            for entry in sorted(_named(cue, names))
        ]
        for video, video_cues in cues.items()
    }


def shifted(cues: Sequence[Cue], seconds: float) -> list[Cue]:
    """Shifts cues to earlier times, and drops those that end before 0."""
    moved = (
        dataclasses.replace(cue, start=cue.start - seconds, end=cue.end - seconds) for cue in cues
    )
    return [cue for cue in moved if cue.end > 0]


def _named(cue: Cue, names: Mapping[tuple[str, ...], str]) -> set[tuple[str, bool]]:
    """(person_id, speaks) of the people in a cue; of overlapping names, the longer one counts."""
    mentioned = set()
    for speaker, text in cue.lines:
        mentioned |= {(person, True) for _, person in person_names.find(speaker, names)}
        for words, person in person_names.find(text, names):
            if all(word.may_name for word in words):
                mentioned.add((person, False))
    return mentioned


def _aliases(cues: Sequence[Cue], cast: Sequence[CastMember]) -> dict[tuple[str, ...], str]:
    """Words of a name -> the only member of the cast with that name."""
    lower_case = {
        word.folded for cue in cues for _, text in cue.lines for word in person_names.words(text)
        if word.text.islower()
    }  # fmt: skip
    owners = collections.defaultdict(set)
    for member in cast:
        for name in filter(None, (member.name, member.character)):
            parts = person_names.parts(name)
            while len(parts) > 1 and parts[0][0] in _FORMS_OF_ADDRESS:
                parts.pop(0)
            aliases = {sum(parts, ()), *parts[:1], *parts[-1:]}
            if len(parts) == 1 and (given := person_names.given_name(parts[0][0])):
                aliases.add((given,))
            for alias in aliases:
                common = len(alias) == 1 and (alias[0] in lower_case or len(alias[0]) < 2)
                if alias and not common:
                    owners[alias].add(member.person_id)
    return {alias: next(iter(ids)) for alias, ids in owners.items() if len(ids) == 1}
