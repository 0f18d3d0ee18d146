"""The whole of CLIP-PAD on the drawn world, on a laptop: data, learning, evaluation."""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """69 movies, 5 shows, over 2,500 clips, and a small CLIP that comes with the package."""
    config = ml_collections.ConfigDict()
    config.name = 'quickstart'
    config.task = 'identity'
    config.seed = 0
    config.backbone = 'ViT-cast-16'
    config.dtype = 'bfloat16'  # of the factors in matrix products; sums are float32

    config.data = ml_collections.ConfigDict()
    config.data.name = 'synthetic_cast'
    config.data.dir = ''  # empty: WORKDIR/data
    config.data.world_seed = 0
    config.data.movies = 69
    config.data.shows = 5
    config.data.clips_per_title = 34
    config.data.cast_size = 7
    config.data.places_per_title = (4, 6)  # the fewest and the most
    config.data.people_per_shot = (20, 48, 32)  # of 100 shots: one, two, three
    config.data.push_ins = 0  # of 100 shots: the camera moves close to somebody
    config.data.habits = 0  # of the 12 actions, how many somebody mostly does; 0: any
    config.data.seen_people = 600
    config.data.cast_seen = 240  # how many of the seen people act in the clips
    config.data.stars = 0  # people with a lower number are stars
    config.data.cast_stars = 0  # how many of the seen who act are
    config.data.unseen_people = 80
    config.data.photos_per_person = (16,)
    config.data.reference_photos = 10
    config.data.seconds = 2.0
    config.data.faces_dir = ''  # real face crops in VGGFace2's layout, in place of drawn faces

    config.features = ml_collections.ConfigDict()
    config.features.dir = ''  # empty: WORKDIR/features; runs may share one
    config.features.face = 'clip'  # or 'colour_histogram', or another CLIP's name or folder
    config.features.batch_size = 64
    config.features.frames_per_clip = 4

    config.model = ml_collections.ConfigDict()
    config.model.num_tokens = 1
    config.model.adapter_width = 512
    config.model.adapter_layers = 1
    config.model.rank = 16
    config.model.default_token = True
    config.model.name_memory = True
    config.model.name_width = 1024
    config.model.visual_prompts = 0  # learned tokens in the image tower; 5 as in Id-CLIP

    config.train = ml_collections.ConfigDict()
    config.train.steps = 2400
    config.train.people_per_batch = 32
    config.train.images_per_person = 2
    config.train.max_references = 5
    config.train.optimiser = 'adamw'  # or 'muon'
    config.train.clip_norm = 1.0  # of the gradients of all parameters together
    config.train.model_parallel = 1  # devices that share each parameter; the others share batches
    config.train.learning_rate = 1e-3
    config.train.low_rank_learning_rate = 4e-3
    config.train.weight_decay = 0.1
    config.train.warmup_steps = 100
    config.train.name_steps = 600
    config.train.checkpoint_every = 250
    config.train.log_every = 25
    config.train.evaluate_every = 0  # steps; only tasks with a validation set have one
    config.train.temperature = 0.07
    config.train.remat = False  # compute blocks anew in the backward pass: slower, less memory
    config.train.loss = ml_collections.ConfigDict()
    config.train.loss.identity = 1.0
    config.train.loss.composition = 1.0
    config.train.loss.composition_length = 0.1
    config.train.loss.cross_form_consistency = 2.0
    config.train.loss.name_distillation = 0.0
    config.train.forms = ml_collections.ConfigDict({'text': 1.0, 'image': 1.0, 'text_image': 1.5})

    config.eval = ml_collections.ConfigDict()
    # What is empty is as in config.data; another name: learn from one data set, search another.
    config.eval.data = ml_collections.ConfigDict({'name': '', 'dir': ''})
    config.eval.ce = ''  # a workdir of configs/ce.py, which makes it a row of the table
    # Further rows, of cpad_jax/methods/registry.py.
    config.eval.methods = ('clip_name_on_faces', 'late_fusion', 'with_faces')
    # What counts how much beside 1, and how sharply each bank of words tells: chosen on world 100
    # by tools/calibrate_fusion.py --config configs/synthetic_cast.py.
    config.eval.late_fusion = ml_collections.ConfigDict({'faces': 1.5})
    config.eval.clip_name_on_faces = ml_collections.ConfigDict({'faces': 2.0})
    config.eval.with_faces = ml_collections.ConfigDict({'words': 2.5, 'faces': 4.0})
    # The same for rows with the closed bank of words.
    config.eval.late_fusion_closed = ml_collections.ConfigDict({'faces': 3.0})
    config.eval.clip_name_on_faces_closed = ml_collections.ConfigDict({'faces': 3.0})
    config.eval.with_faces_closed = ml_collections.ConfigDict({'words': 2.0, 'faces': 6.0})
    config.eval.word_bank = ml_collections.ConfigDict({'open': 0.8, 'closed': 0.3})
    config.eval.num_references = 5
    config.eval.min_distractors = 5  # clips of each kind that make a query hard
    config.eval.bootstrap_samples = 1000
    config.eval.controls = (
        'no person', 'person only', 'wrong person', 'wrong photo', 'first frame', 'shuffled',
    )  # fmt: skip
    config.eval.scenarios = ('action', 'place', 'action+place')
    return config
