import pytest

from cpad_jax.labelling import subtitles
from cpad_jax.labelling.cast import CastMember
from cpad_jax.synthetic import dialogue, people, world

SPEC = world.WorldSpec(
    seed=5, movies=4, shows=1, clips_per_title=20, cast_size=5, train_people=40, cast_seen=16,
    cast_unseen=6, photos_per_person=(2,), reference_photos=1,
)  # fmt: skip


@pytest.fixture(scope='module')
def drawn():
    return world.World(SPEC)


def test_subtitles_are_a_function_of_the_clip(drawn):
    first, second = drawn.clips[:2]
    subtitles_of_first = dialogue.draw_subtitles(drawn, first)
    assert dialogue.draw_subtitles(world.World(SPEC), first) == subtitles_of_first
    assert dialogue.draw_subtitles(drawn, second) != subtitles_of_first


def test_cues_lie_within_the_clip_and_mostly_name_people_in_view(drawn, tmp_path):
    named = present = cues = 0
    for plan in drawn.clips:
        path = tmp_path / 'a.srt'
        path.write_text(dialogue.draw_subtitles(drawn, plan))
        read, broken = subtitles.read_subtitles(path)
        assert not broken
        cues += len(read)
        assert all(0 <= cue.start < cue.end <= SPEC.seconds * 1.2 for cue in read)
        cast = [CastMember(str(i), people.person(i).name) for i in drawn.titles[plan.title].cast]
        there = {str(performer.person) for performer in plan.performers}
        mentioned = [
            m.person_id for m in subtitles.find_mentions({'a': read}, cast)['a'] if not m.speaks
        ]
        named += len(mentioned)
        present += sum(person in there for person in mentioned)
    assert cues == dialogue.LINES * len(drawn.clips)
    # A name that two members of a cast share identifies neither.
    assert 0.45 < named / cues <= 0.65
    assert 0.6 < present / named < 0.8
