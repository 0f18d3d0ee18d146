"""Keys of `config.train` that most tests leave at their usual values."""

USUAL = {'optimiser': 'adamw', 'clip_norm': 1.0, 'model_parallel': 1, 'evaluate_every': 0}
