"""A title of short films with drawn faces, its photos, cast and subtitles, and an embedder."""

import numpy as np
from PIL import Image

from cpad_jax.media import video
from tests.support import drawn_faces

ADA, BOB = drawn_faces.ANN, drawn_faces.BOB
CY, DAN = ('left', 1), ('right', 0)  # Nobody has photos of Cy, and nobody knows Dan.
# Who is on screen in each film, and what is said.
FILMS = [
    ((ADA, BOB), 'Good morning.'), ((CY,), 'Where are you, Cy?'), ((BOB,), 'No.'),
    ((ADA,), 'Yes.'), ((CY,), 'Cy!'), ((DAN,), 'It rains.'), ((CY, ADA), 'Cy, come in.'),
    ((BOB, DAN), 'Well.'), ((CY,), 'Thank you, Cy.'), ((DAN,), 'No.'), ((BOB,), 'Yes.'),
    ((CY,), "It is Cy's."),
]  # fmt: skip


def write(folder):
    """Writes `films/NN.mp4` and `.srt`, `photos/NAME/N.png` and `cast.csv`."""
    for name in ('films', 'photos/ada', 'photos/Bob Bell'):
        (folder / name).mkdir(parents=True)
    for number, (people, text) in enumerate(FILMS):
        frame = np.zeros((64, 112, 3), np.uint8)
        for place, who in enumerate(people):
            drawn_faces.draw(frame, 8, 8 + 48 * place, 48, who)
        video.write_video(folder / f'films/{number:02d}.mp4', np.stack([frame] * 10), 10)
        said = f'1\n00:00:00,100 --> 00:00:00,900\n{text}\n'
        (folder / f'films/{number:02d}.srt').write_text(said)
    for name, who in (('ada', ADA), ('Bob Bell', BOB)):
        for number in range(3):
            image = np.zeros((64, 64, 3), np.uint8)
            drawn_faces.draw(image, 8, 8, 48, who, 255 - 20 * number)
            Image.fromarray(image).save(folder / 'photos' / name / f'{number}.png')
    (folder / 'cast.csv').write_text(
        'person_id,name\nada,Ada Abbott\nbob,Bob Bell\ncy,Cy Cole\neve,Eve Ely\n'
    )


def embed(image, found):
    """The colours of both halves of a face, of length 1: drawn people are at right angles."""
    rows = []
    for face in found:
        top, left, side = (*face.box[:2].round().astype(int), round(face.height))
        inner = image[
            top + side // 5 : top + side * 4 // 5, left + side // 5 : left + side * 4 // 5
        ]
        halves = np.array_split(inner.astype(np.float32), 2, axis=1)
        row = np.concatenate([half.mean((0, 1)) for half in halves]) + 1
        rows.append(row / np.linalg.norm(row))
    return np.array(rows, np.float32).reshape(len(found), 6)
