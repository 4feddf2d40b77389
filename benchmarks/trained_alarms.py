"""How often honest images are called worse by the questions for which networks learn: realistic,
useful.

python -m benchmarks.trained_alarms --dataset fashion_mnist --report trained_alarms.json

The sets are those of alarms.py, but here an image has its pixels.
"""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.alarms import HEAD, SET, Alarms, Counts, numbers_of, prepare_alarms, print_line
from trust import cli, outputs
from trust.data import datasets
from trust.data.images import ImageSet

QUESTIONS = "realistic", "useful"
DRAWS = {200: 40, 1000: 40, 5000: 8}  # honest sets of each size
TOGETHER = 4  # sets that are compared with the same real images, to save time


def ask_about(alarms: Alarms, door: int, n: int):
    """What is asked about TOGETHER honest sets of n images, an Asked with the pixels of them and of
    all images that networks learn from to compare."""
    from trust.ask.questions import look

    def with_pixels(some: ImageSet) -> ImageSet:
        return replace(some, images=alarms.pixels[numbers_of(some.images)])

    def passing_with_pixels(filtered):
        return replace(filtered, passing=with_pixels(filtered.passing), every=None)

    drawn, _ = alarms.draw(door, n)
    fresh = alarms.facts.kinds()[2]
    passed = (drawn.through_the_door(alarms.rng.permutation(fresh)) for _ in range(TOGETHER))
    sets = {f"{SET} {k}": replace(each, every=None, quota=None) for k, each in enumerate(passed)}
    beside = drawn.beside([*sets.values()], alarms.rng)
    asked = look(sets, beside, drawn.reference, alarms.rng)
    return replace(
        asked,
        subjects={name: passing_with_pixels(each) for name, each in sets.items()},
        beside=replace(
            beside,
            pool=with_pixels(beside.pool),
            held_out={"real": passing_with_pixels(beside.held_out["real"])},
        ),
        reference=replace(asked.reference, test=with_pixels(asked.reference.test)),
    )


def count(alarms: Alarms, door: int, n: int, draws: int) -> list[Counts]:
    """*Realistic* and *useful* of so many honest sets, or a few more."""
    from trust.ask import realistic, useful

    counts = {question: Counts(door=door, n=n, question=question) for question in QUESTIONS}
    for _ in range(0, draws, TOGETHER):
        asked = ask_about(alarms, door, n)
        answers = realistic.ask(asked, alarms.rng)[0], useful.ask(asked, alarms.rng)
        for room, found, each in zip((realistic, useful), answers, counts.values(), strict=True):
            for name in asked.subjects:
                verdict = room.verdict(found[name], found["real"])
                each.honest(int(asked.beside.counts.sum()), verdict)
    return [*counts.values()]


def run(alarms: Alarms, draws: dict[int, int], say: Callable[[dict], None]) -> list[dict]:
    """All counts, {key: number} of each question, size and door.  draws: {size: sets}."""
    found = []
    for door in alarms.doors:
        for n, some in draws.items():
            for each in count(alarms, door, n, some):
                found.append(each.summary())
                say(found[-1])
    return found


def parse_arguments():
    parser = cli.Parser(description="How often do networks that learn call honest images worse?")
    add = parser.add_argument
    add("--dataset", metavar="NAME", choices=list(datasets.BUNDLED), default="mnist")
    add("--sizes", metavar="N", choices=list(DRAWS), type=int, nargs="+", default=list(DRAWS))
    add("--seed", metavar="N", type=cli.seed, default=0)
    kept = "what alarms.py keeps: no training of referee and classifiers then"
    add("--keep", metavar="FILE.npz", type=cli.path, help=kept)
    add("--report", metavar="FILE", type=cli.path, help="the counts as JSON")
    return parser.parse_args()


def main():
    given = parse_arguments()
    data = datasets.load_dataset(given.dataset)
    clock = cli.Clock()
    alarms = prepare_alarms(data, given.seed, given.keep, clock)
    print(f"{data.name}\n{HEAD}")
    with clock("examining"):
        found = run(alarms, {n: DRAWS[n] for n in given.sizes}, say=print_line)
    if given.report:
        outputs.write_json(given.report, found)


if __name__ == "__main__":
    cli.run(main)
