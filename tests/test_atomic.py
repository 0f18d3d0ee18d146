import os

import pytest

from cpad_jax import atomic


def test_checking_a_place_leaves_nothing_behind(tmp_path):
    (tmp_path / 'old.json').write_text('old')
    for path in ('new.json', 'old.json', 'a/b/new.json'):
        atomic.check(tmp_path / path)
    assert [file.name for file in tmp_path.iterdir()] == ['old.json']
    assert (tmp_path / 'old.json').read_text() == 'old'


def test_what_cannot_be_written_does_not_pass_the_check(tmp_path):
    (tmp_path / 'file').touch()
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'link').symlink_to('nowhere')
    for path in ('file/a', 'file/a/b', 'folder', 'link/a', 'link/a/b', 'n' * 256):
        with pytest.raises(OSError):
            atomic.check(tmp_path / path)
        # It tells the truth.
        with pytest.raises(OSError):
            atomic.write_bytes(tmp_path / path, b'data')


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_that_may_not_be_written_does_not_pass_the_check(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        atomic.check(tmp_path / 'a' / 'b.json')
    tmp_path.chmod(0o700)
