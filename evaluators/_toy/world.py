"""The toy world: short passages about people, things and places, with questions about them.

Two adjectives in a passage belong to two nouns, and there are passages where they are exchanged: a
model must bind words to their neighbours, not only recognise them. Test passages are never trained
on.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from evaluators._toy.words import ADJECTIVES, NOUNS, PEOPLE, PLACES, VERBS

TASKS = ("ToyThings", "ToyPeople", "ToyPlaces")
QUERIES = 60
"""Queries of each task."""
DOCUMENTS = 300
"""Documents of each task."""
TRIPLETS = 6000
"""Rows of the training data."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The content of a passage: a person did something to two things at a place.

    Attributes:
        person: who did it.
        verb: the deed.
        first: adjective and noun of one thing.
        second: adjective and noun of the other thing.
        place: where it was done.
    """

    person: str
    verb: str
    first: tuple[str, str]
    second: tuple[str, str]
    place: str

    @classmethod
    def draw(cls, rng: random.Random) -> "Scene":
        """Draw a scene at random."""
        first, second = rng.sample(sorted(NOUNS), 2)
        one, other = rng.sample(sorted(ADJECTIVES), 2)
        return cls(
            person=rng.choice(sorted(PEOPLE)),
            verb=rng.choice(sorted(VERBS)),
            first=(one, first),
            second=(other, second),
            place=rng.choice(sorted(PLACES)),
        )

    def twin(self) -> "Scene":
        """Return the scene of the same words in which each adjective has the other noun."""
        return replace(
            self,
            first=(self.second[0], self.first[1]),
            second=(self.first[0], self.second[1]),
        )

    def passage(self, rng: random.Random) -> str:
        """Tell the scene as a document does, in one of three forms."""
        (one, first), (other, second) = self.first, self.second
        place, person, verb = self.place, self.person, self.verb

        before = f"once the {other} {second} was near the {one} {first} ,"
        forms = (
            f"at the {place} the {person} {verb} the {one} {first} and the {other} {second} .",
            f"the {person} {verb} the {one} {first} , then the {other} {second} , at the {place} .",
            f"{before} the {person} {verb} it at the {place} .",
        )
        return rng.choice(forms)

    def question(self, task: str, rng: random.Random) -> str:
        """Ask for the scene in query words; no other scene answers."""
        one, first = ADJECTIVES[self.first[0]], NOUNS[self.first[1]]
        other, second = ADJECTIVES[self.second[0]], NOUNS[self.second[1]]
        person, verb, place = PEOPLE[self.person], VERBS[self.verb], PLACES[self.place]

        forms = {
            "ToyThings": (
                f"where was the {one} {first} beside the {other} {second} ?",
                f"what {person} has the {one} {first} and the {other} {second} ?",
            ),
            "ToyPeople": (
                f"where was the {person} that {verb} the {one} {first} ?",
                f"what did the {person} with the {other} {second} and the {one} {first} ?",
            ),
            "ToyPlaces": (
                f"who {verb} the {one} {first} at the {place} ?",
                f"which {first} was in the {place} near the {other} {second} ?",
            ),
        }

        return rng.choice(forms[task])


def write(folder: Path, seed: int = 0) -> None:
    """Write `folder/train.jsonl`, and `folder/test` in NanoBEIR layout.

    Args:
        folder: an existing folder.
        seed: the same seed writes the same world.
    """
    rng = random.Random(seed)
    used: set[Scene] = set()

    for task in TASKS:
        _write_task(folder / "test", task, _new_scenes(rng, used), rng)
    (folder / "test" / "README.md").write_text(_layout(), encoding="utf-8")

    triplets = [
        {
            "anchor": scene.question(rng.choice(TASKS), rng),
            "positive": scene.passage(rng),
            "negative": scene.twin().passage(rng),
        }
        for scene in islice(_new_scenes(rng, used), TRIPLETS)
    ]
    _write_lines(folder / "train.jsonl", triplets)


def _new_scenes(rng: random.Random, used: set[Scene]) -> Iterator[Scene]:
    """Draw scenes that are not in `used`, without end, and add them to it with their twins."""
    while True:
        scene = Scene.draw(rng)
        if scene not in used:
            used |= {scene, scene.twin()}
            yield scene


def _write_task(folder: Path, task: str, scenes: Iterator[Scene], rng: random.Random) -> None:
    """Write one task: the scenes of its questions, their twins, and other scenes."""
    asked = [next(scenes) for _ in range(QUERIES)]
    twins = [scene.twin() for scene in asked]
    others = [next(scenes) for _ in range(DOCUMENTS - len(asked) - len(twins))]
    names = {scene: f"d{number}" for number, scene in enumerate([*asked, *twins, *others])}

    corpus = [{"_id": name, "text": scene.passage(rng)} for scene, name in names.items()]
    rng.shuffle(corpus)
    queries = [
        {"_id": f"q{number}", "text": scene.question(task, rng)}
        for number, scene in enumerate(asked)
    ]
    qrels = [
        {"query-id": f"q{number}", "corpus-id": names[scene]} for number, scene in enumerate(asked)
    ]

    for config, rows in (("corpus", corpus), ("queries", queries), ("qrels", qrels)):
        _write_lines(folder / config / f"{task}.jsonl", rows)


def _write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as JSON, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _layout() -> str:
    """Return the front matter that tells `datasets` where each config and split lies."""
    lines = ["---", "configs:"]
    for config in ("corpus", "queries", "qrels"):
        lines += [f"- config_name: {config}", "  data_files:"]
        for task in TASKS:
            lines += [f"  - split: {task}", f"    path: {config}/{task}.jsonl"]
    return "\n".join([*lines, "---", ""])
