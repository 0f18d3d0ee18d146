import jax
import pytest

from cpad_jax.training import runtime


@pytest.fixture
def folder():
    names = 'jax_compilation_cache_dir', 'jax_persistent_cache_min_compile_time_secs'
    before = {name: getattr(jax.config, name) for name in names}
    yield lambda: jax.config.jax_compilation_cache_dir
    for name, value in before.items():
        jax.config.update(name, value)


def test_what_is_compiled_is_kept_with_the_run(folder, monkeypatch, tmp_path):
    monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR', raising=False)
    runtime.keep_compiled(tmp_path)
    assert folder() == str(tmp_path / 'xla_cache')


def test_a_folder_of_the_environment_is_used_instead(folder, monkeypatch, tmp_path):
    monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(tmp_path / 'mine'))
    before = folder()
    runtime.keep_compiled(tmp_path)
    assert folder() == before
