"""Records that features are computed from."""


class Records(list):
    """Records with a fingerprint; remembers which were read, and breaks at one of them."""

    def __init__(self, records, broken=None, fingerprint='f'):
        super().__init__(records)
        self.read, self.broken, self.fingerprint = [], broken, fingerprint

    def __getitem__(self, index):
        self.read.append(index)
        if index == self.broken:
            from cpad_jax.errors import UserError

            raise UserError(f'record {index} is damaged')
        return super().__getitem__(index)
