"""A Hugging Face hub without a network."""

import types


class Hub(types.ModuleType):
    """Stands in for huggingface_hub: repositories are folders."""

    def __init__(self, root):
        super().__init__('huggingface_hub')
        self.root, self.online, self.cached, self.fetched = root, True, None, None

    def model_info(self, repository):
        if not self.online:
            raise ConnectionError('Name or service\nnot known')
        folder = self.root / repository
        if not folder.is_dir():
            raise type('RepositoryNotFoundError', (Exception,), {})('404')
        files = [str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()]
        siblings = [types.SimpleNamespace(rfilename=name) for name in files]
        return types.SimpleNamespace(sha='abc123', siblings=siblings)

    def snapshot_download(
        self, repository, revision=None, allow_patterns=None, local_files_only=False
    ):
        if local_files_only:
            if self.cached is None:
                raise FileNotFoundError('nothing there')
            return str(self.cached)
        assert revision == 'abc123'
        if not self.online:
            raise TimeoutError('too slow')
        self.fetched, self.cached = sorted(allow_patterns), self.root / 'cache' / 'abc123'
        for name in allow_patterns:
            self.cached.mkdir(parents=True, exist_ok=True)
            (self.cached / name).write_bytes((self.root / repository / name).read_bytes())
        return str(self.cached)
