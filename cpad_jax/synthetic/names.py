"""Names for the people of the synthetic world: plausible, unique, and of no particular person."""

from __future__ import annotations

import functools

_WOMEN = (
    'Ada Alba Alma Amara Amelie Anika Anna Asta Aurora Beatrix Bella Bianca Brenda Bridget '
    'Camille Carla Carmen Cecilia Celeste Chiara Clara Cora Dalia Daphne Delia Diana Dora Edith '
    'Elena Elsa Emilia Erika Esther Eva Fatima Fiona Flora Frida Gemma Gloria Greta Hanna '
    'Harriet Hazel Helga Holly Ida Imani Ines Ingrid Irene Iris Isla Ivy Jana Jasmine Joan '
    'Judith Julia June Karin Kira Laura Leila Lena Lila Lola Lucia Luna Lydia Mabel Maja Mara '
    'Margot Maria Marta Matilda Maya Mia Mila Mina Miriam Mona Nadia Naomi Nell Nina Nora '
    'Odette Olga Olive Opal Orla Paula Pearl Petra Pia Polly Rita Rosa Ruby Ruth Sabine Selma '
    'Sofia Stella Tamara Tessa Thea Tilda Ursula Vera Viola Wanda Willa Yara Yvonne Zara Zelda'
).split()
_MEN = (
    'Abel Adrian Albert Alec Amos Anders Andre Anton Arlo Arno Arthur Axel Basil Bela Boris '
    'Bruno Caleb Carl Casper Cedric Clive Conrad Cyril Dario Dennis Dexter Diego Dirk Duncan '
    'Edgar Edmund Elias Emil Enzo Eric Ernst Felix Finn Floyd Franz Gabriel Gerard Gideon '
    'Gregor Gus Hamid Harold Hector Henrik Howard Hugo Ian Igor Isaac Ivan Ivo Jakob Jasper '
    'Joel Jonas Julian Kai Karl Kurt Lars Leander Leo Leon Linus Lorenz Luca Ludwig Magnus '
    'Malik Marco Marius Mateo Max Milo Moritz Nico Niels Noah Norman Oleg Omar Orson Oscar Otto '
    'Owen Pablo Paul Pedro Percy Piet Quentin Rafael Ralph Raul Rex Roman Rufus Samir Silas '
    'Simon Stefan Sven Theo Tobias Toni Ulrich Victor Viggo Walter Wolf Xavier Yusuf Zeno'
).split()
_LAST = (
    'Abbott Adler Albers Amsel Archer Ashby Bach Baird Barlow Barnes Becker Bellamy Berg Birch '
    'Blake Blum Bond Booth Brandt Braun Bristow Brook Burke Calder Carver Castle Chase Clay '
    'Cole Conway Crane Cross Dahl Dale Darby Decker Dover Drake Duarte Eaton Ebert Egan Ellis '
    'Engel Falk Farrow Ferris Fink Fischer Fleming Flynn Forster Fox Frost Gale Garcia Gibbs '
    'Glass Graf Grant Green Grove Haas Hale Hansen Hardy Hart Hawk Hayes Heller Hicks Hill Holm '
    'Horn Hunt Ibarra Irving Jensen Kane Keller Kemp Kerr King Klein Knox Koch Kraft Kramer '
    'Lake Lang Larkin Lauer Lind Locke Lopez Lowe Lund Lynch Mann Marsh Mason Mead Meyer Miles '
    'Moon Moore Moser Nash Neumann Noble North Novak Nunez Olsen Ortega Otis Page Park Parr '
    'Pena Pike Pohl Poole Porter Price Quinn Ramos Rand Reed Reyes Rhodes Richter Rivera Roth '
    'Rowe Russo Ryder Salas Sander Sato Schell Seidel Shaw Silva Sloan Snow Sommer Stark Steele '
    'Stern Stone Storm Swan Tanaka Thorn Torres Tran Turner Vance Vega Vogel Voss Wade Wagner '
    'Walsh Ward Webb Weiss Wells West Wilde Winter Wolfe Wood Wren Yates York Young Zander '
    'Zeller'
).split()

# Steps that share no factor with the lengths, so that neighbours have unlike names.
_LAST_STEP = 89

# Names of each gender for two pools of people.
CAPACITY = min(len(_WOMEN), len(_MEN)) * len(_LAST) // 2


@functools.cache
def _all_names(gender: str) -> tuple[str, ...]:
    """Every first name with every last name, once, in an order that mixes both from the start."""
    first_names = _WOMEN if gender == 'woman' else _MEN
    strided = [
        f'{first_names[(row + column * 7) % len(first_names)]} '
        f'{_LAST[(column * _LAST_STEP + row) % len(_LAST)]}'
        for row in range(len(first_names))
        for column in range(len(_LAST))
    ]
    # That order repeats some pairs and omits others, which come last.
    every = [f'{first} {last}' for first in first_names for last in _LAST]
    return tuple(dict.fromkeys([*strided, *every]))


def name(number: int, gender: str) -> str:
    """The name with this number; different numbers below 2 × `CAPACITY` never share a name.

    Args:
        number: >= 0.
        gender: 'woman' or 'man'.

    Raises:
        ValueError: The number is beyond the supply of names.
    """
    if not 0 <= number < 2 * CAPACITY:
        raise ValueError(f'person number {number // 2} is beyond the {CAPACITY} names of a pool')
    return _all_names(gender)[number]
