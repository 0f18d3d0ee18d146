"""Renders the plans of the synthetic world: clips and photos, with ground truth for every face."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from cpad_jax.media import images
from cpad_jax.synthetic import figures, heads, people, real_faces
from cpad_jax.synthetic.colour_grading import TitleStyle
from cpad_jax.synthetic.places import draw_place, draw_plain_backdrop
from cpad_jax.synthetic.shots import HEIGHT, WIDTH, HeadArtist, SeenFace, Shot
from cpad_jax.synthetic.world import ClipPlan, PhotoPlan, World
from cpad_jax.text.prompts import PLACES

FPS = 10
PHOTO_SIZE = 144
# Share of the frame's height and width in view once the camera has moved close.
NEAR = (0.42, 0.6)
# Backgrounds are painted larger than the frame, so that the camera has somewhere to go.
STAGE_HEIGHT, STAGE_WIDTH = 260, 344


@dataclasses.dataclass(frozen=True)
class FaceTrack:
    """The positions of one performer's face in a clip.

    Attributes:
        times: [M] seconds at which the face's middle is inside the frame.
        boxes: [M, 4] normalised ymin, xmin, ymax, xmax, cut at the frame.
        yaws: [M] turn of the head, radians.
    """

    times: np.ndarray
    boxes: np.ndarray
    yaws: np.ndarray


@dataclasses.dataclass(frozen=True)
class RenderedClip:
    """A clip: frames [T, H, W, 3] uint8 RGB at `fps`, and a track per performer."""

    frames: np.ndarray
    fps: int
    tracks: tuple[FaceTrack, ...]


@dataclasses.dataclass(frozen=True)
class RenderedPhoto:
    """A photo [S, S, 3] uint8 RGB with its face: normalised box [4], landmarks [5, 2], yaw."""

    image: np.ndarray
    bbox: np.ndarray
    landmarks: np.ndarray
    yaw: float


@functools.lru_cache(maxsize=4)
def _face_bank(folder: str) -> real_faces.FaceBank:
    return real_faces.FaceBank(folder)


def check_faces(world: World) -> None:
    """Raises a `UserError` if `faces_dir` is set and has too few people."""
    if world.spec.faces_dir:
        _assign_faces(real_faces.FaceBank(world.spec.faces_dir), world)


def head_artist(world: World | None, use: str) -> HeadArtist:
    """Returns the function that draws heads, or that pastes real faces in a world with `faces_dir`.

    Args:
        world: The world whose people are drawn; None for drawn heads.
        use: As in `FaceBank.head`.

    Raises:
        UserError: As `check_faces`.
    """
    if world is None or not world.spec.faces_dir:
        return _draw_head
    bank = _face_bank(world.spec.faces_dir)
    indices = _assign_faces(bank, world)

    def paste(person: int, outfit: people.Outfit, face: heads.Face, size: int, seed: int):
        return bank.head(indices[person], use, seed, size)

    return paste


def _draw_head(person: int, outfit: people.Outfit, face: heads.Face, size: int, seed: int):
    return heads.draw_head(people.person(person).looks, outfit, face, size)


def _assign_faces(bank: real_faces.FaceBank, world: World) -> dict[int, int]:
    unseen = [person for person in world.cast if person >= people.UNSEEN_OFFSET]
    return bank.assign(world.spec.train_people, unseen)


def normalised_box(box: np.ndarray, height: int, width: int) -> np.ndarray:
    """A pixel box [4] as fractions of the picture, cut at its edges."""
    scaled = np.asarray(box, np.float64) / (height, width, height, width)
    return np.clip(scaled, 0, 1).astype(np.float32)


def render_clip(world: World, plan: ClipPlan) -> RenderedClip:
    """Renders a clip.

    Args:
        world: The world that the plan belongs to.
        plan: One of `world.clips`.

    Returns:
        The same pixels for the same world and plan.
    """
    title = world.titles[plan.title]
    style = TitleStyle.draw(np.random.default_rng(title.style_seed))
    rng = np.random.default_rng((world.spec.seed, 3, plan.seed))
    place = PLACES[plan.place]
    stage = draw_place(place, rng, STAGE_HEIGHT, STAGE_WIDTH, style)
    shot = Shot(stage, place, plan.performers, rng, head_artist(world, 'clips'))
    if plan.approached >= 0:
        near = np.random.default_rng((world.spec.seed, 5, plan.seed))
        shot.approach(plan.approached, float(near.uniform(*NEAR)))
    takes = film_shot(shot, style, rng, world.spec.seconds)
    frames, faces = zip(*takes, strict=True)
    return RenderedClip(np.stack(frames), FPS, face_tracks(faces))


def film_shot(
    shot: Shot, style: TitleStyle, rng: np.random.Generator, seconds: float
) -> Iterator[tuple[np.ndarray, list[SeenFace]]]:
    """Films a staged shot from its start to its end.

    Args:
        shot: The shot.
        style: The style of its title.
        rng: Moves the grain from frame to frame.
        seconds: Duration; at least one frame is filmed.

    Yields:
        (frame [H, W, 3] uint8 RGB, the performers' faces), `FPS` of them per second.
    """
    count = max(1, round(seconds * FPS))
    for number in range(count):
        picture, faces = shot.film(number / max(count - 1, 1))
        yield style.grade(picture, rng), faces


def face_tracks(faces: Sequence[Sequence[SeenFace]]) -> tuple[FaceTrack, ...]:
    """The track of each performer, from the faces [frames][performers] of `film_shot`."""
    visible: list[list[tuple[float, np.ndarray, float]]] = [[] for _ in faces[0]]
    for number, frame_faces in enumerate(faces):
        for track, face in zip(visible, frame_faces, strict=True):
            y, x = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
            if 0 <= y < HEIGHT and 0 <= x < WIDTH:
                box = normalised_box(face.box, HEIGHT, WIDTH)
                track.append((number / FPS, box, face.yaw))
    return tuple(
        FaceTrack(
            np.array([t for t, _, _ in track], np.float32),
            np.array([box for _, box, _ in track], np.float32).reshape(-1, 4),
            np.array([yaw for _, _, yaw in track], np.float32),
        )
        for track in visible
    )


def render_photo(world: World, plan: PhotoPlan) -> RenderedPhoto:
    """Renders a photo: one person, from a close portrait to a half-length picture.

    Args:
        world: The world that the plan belongs to.
        plan: One of `world.photos(split)`.
    """
    use = 'train' if plan.seed < 10_000 else 'references'
    # Photos do not depend on the world's seed: a person's photos are the same in every world.
    return draw_portrait(plan.person, plan.seed, head_artist(world, use))


def draw_portrait(person: int, seed: int, artist: HeadArtist) -> RenderedPhoto:
    """Draws photo number `seed` of a person with the heads of `artist`."""
    looks = people.person(person).looks
    session = np.random.default_rng((77, person, seed // 2))
    outfit = people.draw_outfit(session, looks)
    style = TitleStyle.draw(session)
    rng = np.random.default_rng((78, person, seed))
    yaw = float(np.clip(rng.normal(0, 0.28), -0.65, 0.65))
    head_share = float(rng.choice([rng.uniform(0.28, 0.45), rng.uniform(0.45, 0.7)]))
    scale = head_share * PHOTO_SIZE / figures.HEAD_SIZE
    image = draw_plain_backdrop(rng, PHOTO_SIZE, PHOTO_SIZE)
    pose = figures.Pose(
        lean=float(rng.uniform(-0.06, 0.06)),
        tilt=float(rng.normal(0, 0.08)),
        yaw=abs(yaw),
        turn=float(rng.uniform(0, 0.4)),
        expression=str(rng.choice(people.EXPRESSIONS)),
    )
    head_y = PHOTO_SIZE * (0.5 if head_share > 0.45 else float(rng.uniform(0.28, 0.42)))
    rise = -(figures.HIP - figures.TORSO) * looks.height + figures.NECK * looks.height
    figure = figures.Figure(
        looks=looks, outfit=outfit, pose=pose,
        foot=(PHOTO_SIZE * float(rng.uniform(0.42, 0.58)), head_y + rise * scale),
        scale=scale, mirrored=yaw < 0, light=float(rng.uniform(-1, 1)),
    )  # fmt: skip
    size = int(np.clip(figures.HEAD_SIZE * scale / heads.HEAD_SHARE, 96, 200))
    box, landmarks = figures.draw_figure(
        image, figure, lambda _, face: artist(person, outfit, face, size, seed)
    )
    if rng.random() < 0.25:
        image = images.blur(image, float(rng.uniform(0.4, 0.9)))
    return RenderedPhoto(
        image=style.grade(image, rng),
        bbox=normalised_box(box, PHOTO_SIZE, PHOTO_SIZE),
        landmarks=np.clip(landmarks / PHOTO_SIZE, 0, 1).astype(np.float32),
        yaw=yaw,
    )
