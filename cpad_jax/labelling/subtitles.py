"""Subtitles: who is named, who speaks, and when."""

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
        person_id: Who.
        speaks: Whether the subtitles say that they speak; otherwise somebody names them.
    """

    start: float
    end: float
    person_id: str
    speaks: bool


def find_mentions(
    cues: Mapping[str, Sequence[Cue]], cast: Sequence[CastMember]
) -> dict[str, list[Mention]]:
    """Finds the cast in a title's subtitles, by full, first or last name of person or character.

    A name that two members share, or that the title's subtitles also write small (will, grace),
    says nothing by itself; the full name still does.

    Args:
        cues: Name of a video -> its cues.
        cast: Who may be meant.

    Returns:
        Name of a video -> mentions in the cues' order; who speaks and is named in one has two.
    """
    names = _aliases([cue for of_video in cues.values() for cue in of_video], cast)
    return {
        video: [
            Mention(cue.start, cue.end, *entry)
            for cue in of_video
            for entry in sorted(_named(cue, names))
        ]
        for video, of_video in cues.items()
    }


def shifted(cues: Sequence[Cue], seconds: float) -> list[Cue]:
    """Cues so many seconds earlier; those that are over before 0 are left out."""
    moved = (
        dataclasses.replace(cue, start=cue.start - seconds, end=cue.end - seconds) for cue in cues
    )
    return [cue for cue in moved if cue.end > 0]


def _named(cue: Cue, names: Mapping[tuple[str, ...], str]) -> set[tuple[str, bool]]:
    """(person_id, speaks) of those in a cue; of names that overlap, the longer one counts."""
    who = set()
    for speaker, text in cue.lines:
        who |= {(person, True) for _, person in person_names.find(speaker, names)}
        for words, person in person_names.find(text, names):
            if all(word.may_name for word in words):
                who.add((person, False))
    return who


def _aliases(cues: Sequence[Cue], cast: Sequence[CastMember]) -> dict[tuple[str, ...], str]:
    """Words of a name -> the only member of the cast who is called so."""
    small = {
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
                common = len(alias) == 1 and (alias[0] in small or len(alias[0]) < 2)
                if alias and not common:
                    owners[alias].add(member.person_id)
    return {alias: next(iter(who)) for alias, who in owners.items() if len(who) == 1}
