import numpy as np

from cpad_jax.models import config
from cpad_jax.ranking import names_read
from cpad_jax.synthetic import people
from tests.support import tiny_cpad


def test_names_read_by_shipped_models_are_known(capsys):
    drawn = {f'p{n}': people.person(n).name for n in (0, 149, 150, 599, 600, 5000)}
    drawn['never'] = people.person(people.UNSEEN_OFFSET).name
    data = {'name': 'synthetic_cast', 'faces_dir': ''}
    for name, last in (('ViT-cast-16', 149), ('ViT-cast-16-128', 599)):
        clip = tiny_cpad.make().clip
        clip.config = config.dataclasses.replace(clip.config, name=name)
        result = names_read.read(clip, data, drawn, {})
        assert result == {who: who != 'never' and int(who[1:]) <= last for who in drawn}
    assert not capsys.readouterr().err  # Nothing is measured.


def test_names_read_by_other_models_are_measured_with_a_line(capsys):
    clip = tiny_cpad.make().clip
    names = {'a': 'Ada Lovelace', 'b': 'Bo Diddley', 'c': 'Cy Young', 'd': 'No Photo'}
    ids = clip.tokenize([f'a photo of {name}' for name in names.values()])
    texts = np.asarray(clip.encode_text(ids, normalize=True))
    # The photos of a and b are what their names say; those of c are b's, only a little less so.
    photos = {'a': [texts[0], 2 * texts[0]], 'b': [texts[1]], 'c': [texts[1] + 0.1 * texts[0]]}
    for data in ({'name': 'vggface2'}, {'name': 'synthetic_cast', 'faces_dir': 'faces'}):
        result = names_read.read(clip, data, names, photos)
        assert result == {'a': True, 'b': True, 'c': False, 'd': False}
        assert '2 of 4 names count as read by testing' in capsys.readouterr().err
    assert not any(names_read.measured(clip, names, {}).values())


def test_names_are_not_measured_with_photos_of_one_or_two_people():
    """Of one person the photos are the nearest whatever the name says, of two by a toss."""
    clip = tiny_cpad.make().clip
    names = {'a': 'Ada Lovelace', 'b': 'Bo Diddley', 'c': 'Cy Young'}
    ids = clip.tokenize([f'a photo of {name}' for name in names.values()])
    texts = np.asarray(clip.encode_text(ids, normalize=True))
    photos = {who: [row] for who, row in zip(names, texts, strict=True)}
    assert names_read.measured(clip, names, photos) == dict.fromkeys('abc', True)
    for count in (0, 1, 2):
        some = dict(list(photos.items())[:count])
        assert names_read.measured(clip, names, some) == dict.fromkeys('abc', False)
