"""The figures, by what is on the page; and the pages, by what of a run they show."""

import inspect
import io
import itertools
import math
from functools import cache, cached_property, partial
from types import SimpleNamespace
from unittest.mock import patch

import matplotlib
import matplotlib.style
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image
from test_report import DATA, PROMISE, made_run, words_of

from trust.ask import new, right
from trust.ask.between import Difference
from trust.ask.verdicts import AS_REAL, CANNOT_TELL, FAILS, QUESTIONS, WORSE, Scale, Verdict
from trust.data.images import ImageSet
from trust.examination import Run
from trust.show import figures, pages
from trust.show.diagram import draw_diagram
from trust.show.sheets import Sheet
from trust.train.inference import softmax

CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"]
CLOTHES += ["Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
NAMES = {
    "digits": list("0123456789"),
    "clothes": CLOTHES,
    "letters": list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "pixels": [str(i) for i in range(784)],
    "odd": ["$", "x^2$", "W" * 70, "a class name as long as a sentence of the README", "", "\\a"],
}


def noise(n, seed=0):
    """Images that cannot be taken for one another, (n, 28, 28) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28), dtype=np.uint8)


def demo(names, manifold=True):
    rng, codes, shown = np.random.default_rng(1), 300, 12
    grid = rng.random((225, 28, 28), dtype=np.float32) if manifold else None
    points, labels = rng.normal(size=(codes, 2)), rng.integers(0, len(names), codes)
    keys = ("loss", "val_loss", "reconstruction_loss", "kl_loss")
    history = {key: [160.0 - i, 150.0 - i, 149.0 - i] for i, key in enumerate(keys)}
    images = noise(shown), noise(shown, 2) / np.float32(255), noise(2 * shown, 3)
    return "A title", figures.Learned(grid, points, labels, names, *images, history)


def strong(names, each=None):
    each = (11 if len(names) <= 10 else 2) if each is None else each
    labels = np.tile(np.arange(len(names)), each)
    sure = np.linspace(0.95, 1, len(labels))
    return ImageSet(noise(len(labels)), labels, confidence=sure), names, 0.95


def weak(names, n=60, halfway=20):
    labels, sure = np.arange(n) % len(names), np.linspace(0.2, 0.49, n)
    top_two = np.stack([labels, (labels + 1) % len(names)], axis=1)
    images = noise(n), top_two, np.stack([sure, 0.9 * sure], axis=1)
    passing = np.where(np.arange(halfway) % 3 == 0, len(names) - 1, -1)
    control = figures.Halfway(noise(halfway, 5) / np.float32(255), passing, 0.0125, 0.9)
    return figures.Weak(*images), control, names, 0.5


def confidence():
    rng = np.random.default_rng(2)
    return 1 - 0.9 * rng.random(5000) ** 3, 1 - 0.9 * rng.random(700) ** 9, 0.95, 0.5


def reliability(confidence, accuracy, count, ece=0.01):
    edges = np.linspace(0, 1, len(count) + 1)
    return dict(edges=edges, confidence=confidence, accuracy=accuracy, count=count, ece=ece)


def calibration():
    middles = (np.arange(15) + 0.5) / 15
    accuracy = np.clip(middles + 0.2 * np.sin(9 * middles), 0, 1)
    count = np.r_[0, np.geomspace(1, 9000, 14).astype(int)]
    middles[0] = accuracy[0] = np.nan
    titles = "generated, by the referee", "generated, temperature of real images"
    return ([(title, reliability(middles, accuracy, count)) for title in 2 * titles],)


def class_balance(names):
    counts = np.arange(len(names)) * 1111 + 7
    return kinds_of(counts, counts // 2, np.minimum(counts // 2, 1000), counts // 3), names


def kinds_of(*counts):
    return dict(zip(("generated", "strong", "accepted", "strong, real"), counts, strict=True))


SETS = "generated", "real (test images)", "reconstructions", "N(0, I)", "noisy", "reconstructed"


def copies(names, classes=None):
    rng = np.random.default_rng(3)
    depths = [
        [
            (percent, share, 0.83, 0.2 / percent)
            for percent, share in zip((1, 5, 100), own, strict=True)
        ]
        for own in rng.uniform(0.8, 1, (6, 3))
    ]
    images, twins = noise(len(names), 4) / np.float32(255), noise(len(names), 5)
    classes = range(len(names)) if classes is None else classes
    pairs = {k: (images[k], twins[k], k % 2 == 0) for k in classes}
    return dict(zip(SETS, depths, strict=True)), pairs, names


def prior():
    draws = {"Gaussian mixture": noise(64) / 255, "N(0, I)": noise(64, 6) / 255}
    names, rng = ("codes of images", *draws), np.random.default_rng(7)
    clouds = {name: rng.normal(size=(500, 2)) * (2, i + 1) for i, name in enumerate(names)}
    return draws, dict(zip(draws, (0.9123, 0.4), strict=True)), clouds


def risk(max_error=0.01, names=CLOTHES, empty=False):
    rng = np.random.default_rng(9)

    def curve():
        kept = np.linspace(0, 1, 0 if empty else 200)
        return kept, rng.uniform(0.1, 0.2) * kept ** rng.uniform(3, 8)

    curves = {name: (*curve(), (0.6, 0.0123)) for name in ("generated", "rebuilt", "real")}
    return curves, {name: curve() for name in names}, max_error


def with_nan(values):
    values = np.array(values, float)
    values[1::3] = np.nan
    return values


def doubtful():
    images, labels = noise(30), np.arange(30) % len(CLOTHES)
    words = np.where(np.arange(30) < 5, (labels + 1) % len(CLOTHES), labels)
    judged = SimpleNamespace(labels=words, confidence=np.linspace(0.3, 1, 30))
    return ImageSet(images, labels), judged, CLOTHES


def audit(names, n=24):
    return noise(n), names, "s-01234567"


def answered(word=AS_REAL, name="", number=0.9, remarks=("a loss of 0.1 would have shown",), **at):
    """An answer whose scale goes from 1 (real) down to 0.5 (fails)."""
    at = {"low": number - 0.1, "high": number + 0.1, "real_low": 0.95, "real_high": 1.05} | at
    scale = Scale("accuracy", **{"number": number, "real": 1.0, "fails_at": 0.5} | at)
    return figures.Answer(
        name,
        word=word,
        measured="accuracy of a classifier trained on them",
        scale=scale,
        number=f"{number:.2%}",
        real="100.00 %",
        bound="fails below 50 %",
        remarks=list(remarks),
    )


def answers():
    long = "an unusually long reason for which nothing can be said in favour of these images at all"
    return {
        "right": [answered(shows_from=0.7)],
        "realistic": [answered(WORSE, number=0.6, low=math.nan)],
        "balanced": [answered(CANNOT_TELL, number=math.nan, remarks=["too few images", long])],
        "varied": [answered(FAILS, number=0.3, remarks=5 * ["a remark of some words"])],
        "new": [answered(WORSE, number=1.4, real_low=0.0, real_high=3.0)],
        "useful": [answered(CANNOT_TELL, real=math.nan, fails_at=math.nan, remarks=[])],
    }, "how far can you trust these 10,000 generated images?"


def answers_of_sets():
    names = "checkpoint_010.npz", "W" * 70, "a set named as long as a sentence of the README", ""
    words = AS_REAL, WORSE, FAILS, CANNOT_TELL
    both = [answered(word, name) for word, name in zip(words, names, strict=True)]
    return dict.fromkeys(("right", "realistic"), both), "how far can you trust these sets?"


OF_CLASSES = {
    figures.draw_demo: demo,
    figures.draw_strong: strong,
    figures.draw_weak: weak,
    figures.draw_class_balance: class_balance,
    figures.draw_copies: copies,
    figures.draw_audit: audit,
}
# Where many classes are laid out otherwise than few.  The names of letters and pixels are short.
MANY = {
    figures.draw_demo: {"letters", "pixels"},
    figures.draw_strong: {"pixels"},
    figures.draw_weak: {},
    figures.draw_class_balance: {"pixels"},
    figures.draw_copies: {"pixels"},
    figures.draw_audit: {"letters", "pixels"},
}
TYPICAL = {
    **{draw.__name__: (draw, make(CLOTHES)) for draw, make in OF_CLASSES.items()},
    "confidence": (figures.draw_confidence, confidence()),
    "calibration": (figures.draw_calibration, calibration()),
    "prior": (figures.draw_prior, prior()),
    "risk": (figures.draw_risk_coverage, risk()),
    "diagram": (draw_diagram, ()),
    "doubtful": (figures.draw_doubtful, doubtful()),
    "answers": (figures.draw_answers, answers()),
}
DRAWINGS = {
    **TYPICAL,
    **{
        f"{draw.__name__} of {names}": (draw, make(NAMES[names]))
        for draw, make in OF_CLASSES.items()
        for names in ("letters", "pixels", "odd")
        if names == "odd" or names in MANY[draw]
    },
    "answers of sets": (figures.draw_answers, answers_of_sets()),
    "demo without manifold": (figures.draw_demo, demo(CLOTHES, manifold=False)),
    "no strong": (figures.draw_strong, strong(CLOTHES, each=0)),
    "no weak": (figures.draw_weak, weak(CLOTHES, n=0)),
    "confidence of NaN": (figures.draw_confidence, (*map(with_nan, confidence()[:2]), 0.95, 0.5)),
    "balance of nothing": (
        figures.draw_class_balance,
        (kinds_of(*np.zeros((4, 10), int)), CLOTHES),
    ),
    "copies of one image": (figures.draw_copies, copies(CLOTHES, classes=[3])),
    "audit of one image": (figures.draw_audit, audit(CLOTHES, 1)),
    "no copies": (figures.draw_copies, copies(CLOTHES, classes=[])),
    "risk without a promise": (figures.draw_risk_coverage, risk(None)),
    "risk of letters": (figures.draw_risk_coverage, risk(0.1, NAMES["letters"])),
    "risk of odd names": (figures.draw_risk_coverage, risk(0.1, NAMES["odd"])),
    "risk of nothing": (figures.draw_risk_coverage, risk(0.1, empty=True)),
}


def naming_the_data(draw):
    takes = inspect.signature(draw).parameters
    return partial(draw, dataset="some_data") if "dataset" in takes else draw


class Drawing:
    """A figure as drawn: its PNG, and Matplotlib's own objects."""

    def __init__(self, draw, *arguments):
        save, file = Figure.savefig, io.BytesIO()

        def keep(figure, *args, **kwargs):
            self.figure = figure
            save(figure, *args, **kwargs)

        with patch.object(Figure, "savefig", keep):
            naming_the_data(draw)(file, *arguments)
        self.png = file.getvalue()
        self.page, *self.charts = self.figure.axes

    @cached_property
    def pixels(self):
        """Grey levels, -1 where there is a colour."""
        colours = np.asarray(Image.open(io.BytesIO(self.png)).convert("RGB"))
        red, green, blue = np.moveaxis(colours, 2, 0)
        return np.where((red == green) & (green == blue), red.astype(np.int16), np.int16(-1))

    def find(self, image):
        """Where the PNG shows this very image: (row, column, pixels across), or None."""
        image = np.asarray(image).astype(np.int16)
        corners = np.argwhere(self.pixels == image[0, 0])
        for scale in range(3, 8):
            inside = (corners + 28 * scale <= self.pixels.shape).all(axis=1)
            places = corners[inside]
            for y, x in ((0, 27), (27, 0), (27, 27), (13, 9), (5, 20)):
                rows, columns = places.T + scale * np.array([[y], [x]])
                places = places[self.pixels[rows, columns] == image[y, x]]
            for row, column in places:
                seen = self.pixels[row : row + 28 * scale, column : column + 28 * scale]
                if (seen == image.repeat(scale, 0).repeat(scale, 1)).all():
                    return int(row), int(column), 28 * scale
        return None

    @cached_property
    def texts(self):
        """[(text, box in pixels)] of all that a reader can see, ticks and legends included."""
        visible = list(self.page.texts)
        for axes in self.figure.axes:
            visible += axes.texts if axes is not self.page else []
            visible.append(axes._left_title)
            visible += axes.get_legend().get_texts() if axes.get_legend() else []
            for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
                low, high = sorted(axis.get_view_interval())
                visible.append(axis.label)
                for tick in axis.get_major_ticks():
                    if tick.label1.get_visible() and low <= tick.get_loc() <= high:
                        visible.append(tick.label1)
        texts = [(text.get_text(), text.get_window_extent()) for text in visible]
        return [(text, box) for text, box in texts if text.strip()]

    def says(self, words):
        return any(words in text for text, _ in self.texts)

    def text_above(self, row, column):
        """The lines right above a place in the PNG, from top to bottom."""
        lines = []
        for text, box in self.texts:
            above = box.y0 - (len(self.pixels) - row)
            if abs(box.x0 - column) < 6 and 0 <= above < 50:
                lines.append((-above, text))
        return [text for _, text in sorted(lines)]


@cache
def drawn(name):
    """One of the DRAWINGS, for several tests; none of them may change it."""
    draw, arguments = DRAWINGS[name]
    return Drawing(draw, *arguments)


# Those that other tests look at again.
SHARED = {*TYPICAL, "demo without manifold", "draw_demo of letters", "no strong", "no weak"}
SHARED |= {"no copies", "draw_class_balance of odd"}


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_texts_are_whole_and_apart(drawing):
    draw, arguments = DRAWINGS[drawing]
    result = drawn(drawing) if drawing in SHARED else Drawing(draw, *arguments)
    height, width = result.pixels.shape
    assert width == 1860
    texts = result.texts
    assert (result.pixels[-height // 10 :] < 200).any()
    assert draw in (figures.draw_demo, draw_diagram) or result.says("some_data: ")
    for text, box in texts:
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text
    left, bottom, right, top = np.array([box.extents for _, box in texts]).T
    across = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    down = np.minimum.outer(top, top) - np.maximum.outer(bottom, bottom)
    overlapping = np.argwhere(np.triu((across > 2) & (down > 2), 1))
    assert [(texts[a][0], texts[b][0]) for a, b in overlapping] == []


@pytest.mark.parametrize("drawing", TYPICAL)
def test_same_input_same_bytes(drawing, tmp_path):
    draw, arguments = DRAWINGS[drawing]
    path, first = tmp_path / "figure.png", drawn(drawing).png
    before = dict(matplotlib.rcParams)
    naming_the_data(draw)(path, *arguments)
    assert path.read_bytes() == first
    assert first.startswith(b"\x89PNG")
    with Image.open(path) as image:
        assert set(image.info) == {"dpi"}
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("drawing", TYPICAL)
def test_a_matplotlibrc_of_ones_own_changes_nothing(drawing, tmp_path):
    draw, arguments = DRAWINGS[drawing]
    own = {"image.origin": "lower", "text.usetex": True, "axes.grid": True, "savefig.bbox": "tight"}
    with matplotlib.style.context(["dark_background", own]):
        naming_the_data(draw)(tmp_path / "figure.png", *arguments)
        assert matplotlib.rcParams["text.usetex"]
    assert (tmp_path / "figure.png").read_bytes() == drawn(drawing).png


def test_nothing_is_written_when_drawing_fails(tmp_path):
    path = tmp_path / "figure.png"
    with pytest.raises(ValueError):
        figures.draw_class_balance(
            path, {"generated": [1, 2, 3], "strong": [1, 2]}, "abc", dataset=""
        )
    assert not path.exists()


def test_too_many_classes_are_cut_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr(figures, "MOST_CLASSES", 5)
    for draw, arguments in (
        (figures.draw_strong, strong(NAMES["pixels"], each=1)),
        (figures.draw_class_balance, class_balance(NAMES["pixels"])),
        (figures.draw_copies, copies(NAMES["pixels"])),
    ):
        result = Drawing(draw, *arguments)
        assert result.says("the first 5 of 784 classes")
        shown = {text.partition(" · ")[0] for text, _ in result.texts}
        assert {"0", "1", "2", "3", "4"} <= shown and "783" not in shown


def test_demo_shows_each_image_above_its_reconstruction():
    _, learned = TYPICAL["draw_demo"][1]
    originals, reconstructions, samples = learned[4:7]
    result = drawn("draw_demo")
    places = [result.find(image) for image in originals]
    assert places == sorted(places)
    assert len({row for row, *_ in places}) == 2
    for (row, column, size), image in zip(places, reconstructions, strict=True):
        below, same_column, _ = result.find(np.rint(255 * image))
        assert same_column == column
        assert size < below - row < 1.1 * size
    new = [result.find(image) for image in samples]
    assert new == sorted(new)
    assert min(row for row, *_ in new) > max(row for row, *_ in places)


def test_demo_manifold_keeps_the_order_of_its_rows_and_columns():
    values = np.arange(40, 104, 4).reshape(4, 4)
    tiles = np.broadcast_to(values[..., None, None] / 255, (4, 4, 28, 28))
    tiles = tiles.reshape(16, 28, 28)
    title, learned = demo(NAMES["digits"])
    pixels = Drawing(figures.draw_demo, title, learned._replace(manifold=tiles)).pixels
    row, column = np.array(
        [np.median(np.argwhere(pixels == v), axis=0) for v in values.ravel()]
    ).T.reshape(2, 4, 4)
    assert np.ptp(row, axis=1).max() <= 2 and np.ptp(column, axis=0).max() <= 2
    assert (np.diff(row, axis=0) > 180).all() and (np.diff(column, axis=1) > 180).all()


@pytest.mark.parametrize("name", ["draw_demo", "draw_demo of letters"])
def test_demo_colours_the_codes_as_in_the_legend(name):
    codes, labels, names = DRAWINGS[name][1][1][1:4]
    result = drawn(name)
    legend = next(axes.get_legend() for axes in result.charts if axes.collections)
    colours = {
        text.get_text(): to_hex(handle.get_color())
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    assert list(colours) == names
    assert len(set(colours.values())) == len(colours)
    (points,) = next(axes.collections for axes in result.charts if axes.collections)
    np.testing.assert_array_equal(points.get_offsets(), codes)
    expected = [colours[names[label]] for label in labels]
    assert [to_hex(colour) for colour in points.get_facecolors()] == expected


def test_demo_draws_every_loss_of_every_epoch():
    middle, lower = drawn("draw_demo").charts[1:]
    lines = [*middle.lines, *lower.lines]
    assert [list(line.get_xdata()) for line in lines] == [[1, 2, 3]] * 4
    assert [list(line.get_ydata()) for line in lines] == list(
        TYPICAL["draw_demo"][1][1].history.values()
    )


def test_strong_has_a_row_for_each_class_in_the_given_order():
    accepted, names, _ = arguments = strong(CLOTHES[:4])
    images, labels, sure = accepted.images, accepted.labels, accepted.confidence
    result = Drawing(figures.draw_strong, *arguments)
    rows = []
    for label, name in enumerate(names):
        of_class = np.flatnonzero(labels == label)
        places = [result.find(images[i]) for i in of_class]
        assert places.pop() is None and places == sorted(places)
        ((row, size),) = {(row, size) for row, _, size in places}
        rows.append(row)
        for i, (_, column, _) in zip(of_class, places, strict=False):
            assert result.text_above(row, column) == [f"{100 * sure[i]:.1f} %"]
        ((_, box),) = [(text, box) for text, box in result.texts if text == name]
        assert row < len(result.pixels) - (box.y0 + box.y1) / 2 < row + size
    assert rows == sorted(set(rows))


@pytest.mark.parametrize("names", ["clothes", "letters", "odd"])
def test_audit_numbers_every_image_and_lists_every_class(names):
    images, names, identity = arguments = audit(NAMES[names], n=24)
    result = Drawing(figures.draw_audit, *arguments)
    places = [result.find(image) for image in images]
    assert places == sorted(places) and {size for *_, size in places} == {28 * 6}
    assert len({row for row, *_ in places}) == 3
    for i, (row, column, _) in enumerate(places):
        assert result.text_above(row, column)[-1] == str(i + 1)
    texts = [text for text, box in result.texts]
    assert f"sheet {identity}" in texts
    shown = [name if len(name) <= 60 else f"{name[:30]}…{name[-30:]}" for name in names if name]
    ends = [texts.index(name) for name in shown]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    "shape", [(8, 8), (12, 10), (20, 20), (32, 32, 3), (36, 36), (64, 64, 3), (48, 64)]
)
def test_audit_shows_images_of_every_shape_large_and_apart(shape):
    """Each of one grey: as large as the page allows with ten in a row, white between them."""
    shades = np.linspace(20, 200, 12).astype(np.uint8)
    images = np.broadcast_to(shades.reshape(-1, *[1] * len(shape)), (12, *shape))
    pixels = Drawing(figures.draw_audit, images, ["a", "b"], "s-1").pixels
    boxes = []
    for shade in shades:
        own = pixels == shade  # so are single pixels at the edges of letters
        rows, columns = (np.flatnonzero(own.sum(axis) > 60) for axis in (1, 0))
        boxes.append((rows[0], rows[-1], columns[0], columns[-1]))
    top, bottom, left, right = np.array(boxes).T
    assert (np.maximum(bottom - top, right - left) > 160).all()
    assert (left[1:10] - right[:9] >= 8).all() and (top[10:] - bottom[:2] >= 30).all()
    assert left.min() >= 30 and right.max() <= 1860 - 16


def test_weak_keeps_the_order_and_names_both_classes_above_images_half_way():
    (images, top_two, sure), (halfway, *_), *_ = arguments = weak(CLOTHES, n=35)
    result = Drawing(figures.draw_weak, *arguments)
    places = [result.find(image) for image in images]
    assert places[32:] == [None] * 3
    for i, (row, column, _) in enumerate(places[:32]):
        assert result.text_above(row, column)[-1].split("\n") == [
            f"{CLOTHES[label]} · {100 * share:.0f} %"
            for label, share in zip(top_two[i], sure[i], strict=True)
        ]
    below = [result.find(np.rint(255 * image)) for image in halfway]
    assert below[16:] == [None] * 4
    assert places[:32] + below[:16] == sorted(places[:32] + below[:16])
    for i, (row, column, _) in enumerate(below[:16]):
        if i % 3 == 0:  # right of an image that passes, the one below has none
            assert result.text_above(row, column)[-1] == "passes: Ankle boot"
        else:
            assert result.text_above(row, column)[-1] == "rejected"
    for words in (
        "The 32 least sure of 35 weak images",
        "less than 50 % sure",
        "1.2 % of them pass the filter, of generated images 90.0 %",
    ):
        assert result.says(words)


def test_confidence_shares_and_bars():
    generated = np.array([0.2, 0.5, 0.6, 0.95, 0.99, 0.99, 0.99, 0.99])
    real = np.array([0.96, 0.49999, 1.0, 1.0])
    result = Drawing(figures.draw_confidence, generated, real, 0.95, 0.5)
    # Worked by hand: 0.5 is in between, 0.95 is strong.
    for words in (
        "the first 8 generated images:   weak 12.5 %   in between 25.0 %   strong 62.5 %",
        "4 real held-out images:   weak 25.0 %   in between 0.0 %   strong 75.0 %",
        "weak, below 50 %",
        "strong, 95 % and more",
    ):
        assert result.says(words)
    (axes,) = result.charts
    assert axes.get_yscale() == "log"
    filled, outline = axes.patches
    assert filled.get_xy()[:, 1].max() == pytest.approx(4 / 8)
    assert outline.get_xy()[:, 1].max() == pytest.approx(2 / 4)
    assert {line.get_xdata()[0] for line in axes.lines} == {0.5, 0.95}


def test_calibration_bars_gaps_and_counts():
    confidence = np.array([np.nan, 0.5, 0.9])
    accuracy = np.array([np.nan, 0.75, 0.6])
    panel = reliability(confidence, accuracy, np.array([0, 4, 1000]), ece=0.2994)
    result = Drawing(figures.draw_calibration, [("Before, raw", panel)])
    assert result.says("Before\nraw\nECE 0.2994")
    assert result.says("of fewer than 30 images")
    upper, lower = result.charts
    bars, gaps = upper.containers
    np.testing.assert_array_equal([bar.get_height() for bar in bars], accuracy)
    assert bars[1].get_alpha() < 0.3 < bars[2].get_alpha()
    for gap, low, high, colour in zip(
        gaps[1:], accuracy[1:], confidence[1:], (figures.INK, figures.WEAK), strict=True
    ):
        assert gap.get_y() == low and gap.get_y() + gap.get_height() == pytest.approx(high)
        assert to_hex(gap.get_edgecolor()) == colour
    np.testing.assert_allclose([bar.get_x() for bar in bars], [0, 1 / 3, 2 / 3])
    assert lower.get_yscale() == "log"
    assert [bar.get_height() for bar in lower.containers[0]] == [0, 4, 1000]


def test_class_balance_bars_are_as_long_as_the_counts():
    names = ["T-shirt/top", "Ankle boot", "Bag"]
    counts = [4000, 1000, 2000], [3000, 0, 1500], [500, 0, 500], [70, 20, 90]
    result = Drawing(figures.draw_class_balance, kinds_of(*map(np.array, counts)), names)
    assert len({axes.get_xlim() for axes in result.charts}) == 1
    for axes, numbers in zip(result.charts, counts, strict=True):
        assert [bar.get_width() for bar in axes.patches] == numbers
        assert axes.get_xlim()[0] == 0 and not any(bar.get_x() for bar in axes.patches)
        assert result.says(f"{sum(numbers):,} images")
        assert all(result.says(f"{number:,}") for number in numbers)
    rows = {text: box.y0 for text, box in result.texts}
    assert [rows[name] for name in names] == sorted((rows[name] for name in names), reverse=True)


def test_copies_stand_beside_their_real_images():
    _, pairs, names = arguments = copies(CLOTHES, classes=[1, 2, 4, 5, 6, 7, 9])
    result = Drawing(figures.draw_copies, *arguments)
    places = [result.find(np.rint(255 * image)) for image, *_ in pairs.values()]
    assert places == sorted(places)
    for (row, column, size), (label, pair) in zip(places, pairs.items(), strict=True):
        _, twin, seen = pair
        same_row, beside, _ = result.find(twin)
        assert same_row == row and size < beside - column < 1.1 * size
        assert result.text_above(row, column)[-1] == f"{names[label]} · {'' if seen else 'un'}seen"


def test_shares_seen_stand_on_bars_of_what_chance_gives():
    shares, *_ = arguments = copies(CLOTHES)
    shares["noisy"][0] = (1, 1.0, 0.83, 0.2)
    shares["N(0, I)"] = [(depth[0], *[np.nan] * 3) for depth in shares["N(0, I)"]]
    result = Drawing(figures.draw_copies, *arguments)
    (axes,) = result.charts
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "closest 1 %",
        "closest 5 %",
        "all",
    ]
    for line, bars, (name, depths) in zip(
        axes.lines, axes.collections, shares.items(), strict=True
    ):
        x, found = line.get_data()
        np.testing.assert_array_equal(found, [depth[1] for depth in depths])
        np.testing.assert_array_equal(np.round(x), [0, 1, 2])
        for place, segment, (*_, expected, deviation) in zip(
            x, bars.get_segments(), depths, strict=False
        ):
            if not np.isnan(expected):
                (at, low), (_, high) = segment
                assert at == place
                assert low == pytest.approx(max(expected - 3 * deviation, 0))
                assert high == pytest.approx(min(expected + 3 * deviation, 1))
        assert result.says(name)
    colours = [line.get_color() for line in axes.lines]
    assert len(set(colours)) == 6
    assert [line.get_color() for line in result.page.get_legend().legend_handles] == colours


def test_prior_shows_both_sets_with_their_rates_and_scatters_on_equal_axes():
    draws, _, clouds = TYPICAL["prior"][1]
    result = drawn("prior")
    for name, rate in zip(draws, ("91.2 %", "40.0 %"), strict=True):
        places = [result.find(np.rint(255 * image)) for image in draws[name]]
        assert places[60:] == [None] * 4
        assert places[:60] == sorted(places[:60])
        assert result.text_above(*places[0][:2])[-1] == f"{name}: {rate} pass the filter"
    ((left, right, low, high),) = {(*axes.get_xlim(), *axes.get_ylim()) for axes in result.charts}
    for axes, (name, points) in zip(result.charts, clouds.items(), strict=True):
        box = axes.get_window_extent()
        assert box.width / (right - left) == pytest.approx(box.height / (high - low))
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), points)
        assert axes.get_title(loc="left") == name and axes.get_xlabel() == "first axis"


def test_risk_follows_the_threshold_and_marks_the_one_in_use():
    curves, classes, promised = risk()
    axes = drawn("risk").charts[0]
    lines = [np.transpose(line.get_data()) for line in axes.lines]
    for kept, wrong, at in curves.values():
        assert any(np.array_equal(line, np.transpose((kept, wrong))) for line in lines)
        assert any(np.array_equal(line, [at]) for line in lines)
    worst = max(classes, key=lambda name: classes[name][1][-1])
    for name, curve in classes.items():
        there = any(np.array_equal(line, np.transpose(curve)) for line in lines)
        assert there == (name == worst)
    assert any(np.array_equal(line[:, 1], [promised, promised]) for line in lines)
    assert drawn("risk").says(f"... its worst class, {worst}")
    # the surest image of all is wrong, and does not set the scale
    curves["generated"][1][0] = 1.0
    assert Drawing(figures.draw_risk_coverage, curves, classes).charts[0].get_ylim()[1] < 0.5
    # a class whose line lies above the scale is told in words
    kept, _ = classes[worst]
    above = Drawing(figures.draw_risk_coverage, curves, classes | {worst: (kept, 0.9 + 0 * kept)})
    assert above.says(f"... its worst class, {worst}: above this scale")


def test_long_names_that_would_look_the_same_begin_where_they_differ():
    posters = [f"upside-down digit {k} as on a poster" for k in range(2, 8)]
    names = ["digit two", "a very long name that ends in coat", *posters, "x" * 80, "x" * 80]
    for width, room in ((50, 3), (88, 8), (140, 17)):
        found = figures._fitting_names(names, width)
        assert len(set(found)) == len(names) - 1  # the last two cannot be told apart
        assert all(figures._text_width(each) <= width for each in found)
        wanted = [f"…{each.removeprefix('upside-down digit ')}" for each in posters]
        assert [each[:room] for each in found[2:8]] == [each[:room] for each in wanted]
        assert found[1].startswith("a") and found[1].endswith("t")
    assert figures._fitting_names(names[:8], 300) == names[:8]


def test_diagram_names_every_step_in_order():
    result = drawn("diagram")
    left = {text.strip().replace("\n", " "): box.x0 for text, box in result.texts}
    steps = ["training images", "encoder", "latents z, Gaussian mixture", "decoder"]
    steps += ["generated images", "classifier, calibrated", "strong"]
    assert [left[step] for step in steps] == sorted(left[step] for step in steps)
    questions = {f"{question}?" for question in QUESTIONS}
    assert {"weak", "in between", "reconstructions of held-out images"} | questions <= set(left)


@pytest.mark.parametrize(
    "name, words",
    [
        ("demo without manifold", "second principal axis"),
        ("no strong", "No image reaches a confidence of 95 %."),
        ("no weak", "No image has a confidence below 50 %."),
        ("no copies", "No generated images"),
        ("risk", "generated: 60.0 % pass, 1.23 % of these wrong"),
        ("risk", "promised: at most 1.00 %"),
        ("draw_class_balance of odd", "x^2$"),
        ("draw_class_balance of odd", "a class … README"),
    ],
)
def test_what_is_missing_or_odd_is_said(name, words):
    assert drawn(name).says(words)


def test_a_class_or_a_set_without_an_image_is_named_all_the_same():
    alone = ImageSet(noise(1), np.zeros(1), confidence=np.ones(1))
    one = Drawing(figures.draw_strong, alone, "ab", 0.95)
    assert one.says("no image")
    none = Drawing(figures.draw_confidence, [], np.ones(4), 0.95, 0.5)
    assert none.says("the first 0 generated images:   none")


def dots(result):
    """Of each answer that has one: how far its dot is from real (0) to the bound (1), its mark."""
    way = figures.AT_BOUND - figures.AT_REAL
    lines = [line for line in result.page.lines if line.get_markersize() == 11]
    return [((line.get_xdata()[0] - figures.AT_REAL) / way, line.get_marker()) for line in lines]


def test_an_answer_stands_between_real_images_and_the_bound_or_beyond_it():
    result = drawn("answers")
    places, marks = zip(*dots(result), strict=True)
    assert places[:2] == pytest.approx([0.2, 0.8]) and marks == ("o", "o", ">", "<")
    assert places[2] > 1.1 and places[3] < -0.1  # both are cut, and point where they should be
    (seen,) = [line.get_xdata()[0] for line in result.page.lines if line.get_marker() == "^"]
    assert seen == pytest.approx(figures.AT_REAL + 0.6 * (figures.AT_BOUND - figures.AT_REAL))
    texts = [text for text, _ in result.texts]
    for words, times in (AS_REAL, 1), (WORSE, 2), (FAILS, 1), (CANNOT_TELL, 2):
        assert [text for text in texts if text == words] == times * [words]
    assert texts.count("fails below 50 %") == 5  # the sixth has no scale


def test_the_verdicts_are_told_apart_without_colours():
    shades = [np.dot(to_rgb(fill), (0.3, 0.59, 0.11)) for fill, *_ in figures.WORDS.values()]
    assert min(np.diff(sorted(shades))) > 0.1


def test_names_that_the_font_lacks_are_told():
    assert figures.unknown_to_the_font(["Trouser", "Größe", "犬", "и"]) == ["犬"]


def test_doubtful_images_are_in_the_row_of_their_class_under_the_referees_word():
    doubted, judged, names = TYPICAL["doubtful"][1]
    images, labels, words, sure = doubted.images, doubted.labels, judged.labels, judged.confidence
    result = drawn("doubtful")
    places = [result.find(image) for image in images]
    by_row = sorted(range(len(labels)), key=lambda i: places[i])
    assert by_row == sorted(range(len(labels)), key=lambda i: labels[i])
    for (row, column, _), label, word, share in zip(places, labels, words, sure, strict=True):
        said = f"{100 * share:.1f} %"
        if word != label:
            said = f"{figures._fitting_names(names, 50)[word]} {100 * share:.0f} %"
        assert result.text_above(row, column)[-1] == said


def test_images_of_any_shape_are_shown_whole():
    """As large as one of 28 x 28, square on white: a red and a grey one, wide and high."""
    colours = np.zeros((10, 8, 16, 3), np.uint8)
    colours[..., 0] = 200
    grey = np.full((10, 40, 20), 77, np.uint8)
    wide, high = (
        Drawing(
            figures.draw_strong,
            ImageSet(images, np.zeros(10, int), confidence=np.ones(10)),
            ["a"],
            0.95,
        )
        for images in (colours, grey)
    )
    half = 10 * (28 * 2.5 * 2) ** 2 / 2  # of ten squares, in pixels
    for drawing, shade in ((wide, -1), (high, 77)):
        assert np.count_nonzero(drawing.pixels == shade) == pytest.approx(half, rel=0.1)


# The pages


@cache
def page_of(name, *words):
    """A page of a run by hand; words: of made_run()."""
    page = {**pages.GENERATED, **pages.SUBMITTED}[name]
    return Drawing(page, made_run(*words), DATA)


def find(drawing, image):
    """Where a page shows an image of floats."""
    return drawing.find(np.rint(255 * image))


def test_every_page_names_the_data_set():
    for name in {**pages.GENERATED, **pages.SUBMITTED}:
        assert page_of(name).says("shop: "), name


# Of each question numbers of a set and of real ones, and how far it is on its way to the bound.
FAR = {
    "right": ({"error_estimate": 0.03, "detectable": 0.01}, {"error_estimate": 0.01}, 0.5),
    "realistic": (
        {"told_apart": 0.7, "told_apart_low": 0.6, "images": 40},
        {"told_apart": 0.5},
        0.8,
    ),
    "balanced": ({"scarcest": 0.24, "scarcest_real": 1.0, "chance": 0.1}, {}, 0.8),
    "varied": (
        {"recall": 0.6, "coverage": 0.2, "parts": 2, "images": 90, "twins": 0, "twins_limit": 3},
        {"recall": 0.8, "coverage": 0.4, "parts": 9, "recall_sd": 0.1, "coverage_sd": 0.1},
        1.0,
    ),
    "new": (
        {
            "seen_share": 0.7,
            "expected_share": 0.6,
            "lean_z": -3,
            "lean_detectable": 0.2,
            "copies": 0,
            "copies_limit": 4,
        },
        {},
        0.5,
    ),
    "useful": ({"accuracy": 0.87}, {"accuracy": 0.9, "accuracy_sd": 0.01, "sets": 3}, 0.3),
}


def run_of_numbers(*names, word=AS_REAL, **changed):
    """What the page of answers takes of a Run.  changed: numbers of all sets."""
    some = {"told_apart_high": 0.8, "scarcest_real_low": 0.9, "copies_moved": 0, "freedom": 9}
    some |= {"error_low": 0.02, "error_high": 0.04, "copies_expected": 1.0, "detectable": math.nan}
    some |= {"frechet": 2.0, "frechet_sd": 0.1, "class_spread": 1.0, "class_spread_limit": 0.8}
    some |= {"worse_from": 0.02, "blurred": 0.5, "blurred_limit": 0.6, "blurred_z": 0.0}
    sets = {
        name: {question: some | own[name == "real"] | changed for question, own in FAR.items()}
        for name in (*names, "real")
    }
    verdicts = {name: {question: Verdict(word, "", 0.1) for question in FAR} for name in names}
    subjects = {name: SimpleNamespace(passing=range(1234)) for name in names}
    asked = SimpleNamespace(subjects=subjects)
    pairs = itertools.combinations(names, 2)
    found = [Difference(*pair, z={"new": 4.0}, limit=3.0) for pair in pairs]
    rest = {name: {} for name in ("evidence", "neighbours", "told")}
    return Run(sets, verdicts, **rest, asked=asked, differences=found)


def test_the_page_of_answers_has_a_row_for_each_question_on_its_own_scale():
    page = Drawing(pages.answers, run_of_numbers("yours"), DATA)
    assert page.says("shop: how far can you trust these 1,234 images of yours?")
    rows = {text: box.y0 for text, box in page.texts if text.endswith("?") and " " not in text}
    assert [*rows] == [f"{question}?" for question in FAR]
    assert [place for place, _ in dots(page)] == pytest.approx([far for *_, far in FAR.values()])
    for words in (
        *("3.00 %", "real 1.00 %", "fails above 5 %", "95 % interval 2.00 % to 4.00 %"),
        *("70.00 %", "real 50.00 %", "fails above 75 %"),
        *("24.00 %", "real 100.00 %", "fails below 5 %"),
        *("0.2000", "real 0.4000", "fails below 0.2"),  # coverage has lost more than recall
        *("70.00 %", "real 60.00 %", "fails above 80 %"),
        *("87.00 %", "real 90.00 %", "fails below 80 %"),
    ):
        assert page.says(words), words


def test_the_page_of_answers_counts_copies_and_names_several_sets():
    page = Drawing(pages.answers, run_of_numbers("a.npz", "b", word=FAILS, copies=9), DATA)
    texts = [text for text, _ in page.texts]
    assert texts.count("a.npz") == texts.count("b") == 6 and page.says("these 2 sets of images")
    assert texts.count("fails from 4") == texts.count("9") == texts.count("real 1") == 2
    assert page.says("Best: a.npz, better than b in new")


def test_sets_side_by_side_are_on_one_scale():
    run = run_of_numbers("a", "b")
    run.sets["a"]["varied"] |= {"recall": 0.5, "coverage": 0.4}  # of .8 and .4
    run.sets["b"]["new"] |= {"copies": 9}
    for question, key in (("varied", "coverage"), ("new", "copies")):
        found = pages.scales_of(run, question)
        assert [scale.key for scale in found.values()] == [key, key]
    assert found["a"].number < found["a"].fails_at < found["b"].number


def test_the_page_of_answers_leans_either_way():
    away = run_of_numbers("generated", seen_share=0.15, lean_z=9.0)
    scale = pages.scales_of(away, "new")["generated"]
    found = pages.answer(away, "generated", "new", scale)
    assert found.bound == "fails below 30 %" and found.scale.number < found.scale.fails_at


def test_the_strong_page_shows_all_accepted_images_under_their_confidence():
    page, accepted = page_of("dnn-vae-strong"), made_run().accepted
    assert len(accepted) == 6 and page.says("at least 80 % sure")
    for image, share in zip(accepted.images, accepted.confidence, strict=True):
        row, column, _ = find(page, image)
        assert page.text_above(row, column) == [f"{100 * share:.1f} %"]


def test_the_weak_page_begins_with_the_least_sure_and_asks_the_filter_about_the_half_way():
    page, run = page_of("dnn-vae-weak"), made_run()
    weak = [i for i in np.argsort(run.filtered.every.confidence)][:4]
    assert (np.sort(run.filtered.every.confidence)[[3, 4]] < 0.5).tolist() == [True, False]
    every, places = run.filtered.every, []
    for i in weak:
        places.append(find(page, every.images[i]))
        label, share = every.labels[i], every.confidence[i]
        assert page.text_above(*places[-1][:2])[-1].split("\n") == [
            f"{DATA.class_names[label]} · {100 * share:.0f} %",
            f"{DATA.class_names[(label + 1) % 3]} · {60 * (1 - share):.0f} %",
        ]
    assert places == sorted(places) and page.says("All 4 weak images")
    halfway = run.asked.beside.others["halfway"].every
    for image, label, share in zip(halfway.images, halfway.labels, halfway.confidence, strict=True):
        said = f"passes: {DATA.class_names[label]}" if share >= 0.8 else "rejected"
        assert page.text_above(*find(page, image)[:2])[-1] == said
    assert page.says("25.0 % of them pass the filter, of generated images 87.5 %")


def test_the_confidence_page_compares_all_that_was_drawn_with_held_out_images():
    page, run = page_of("pred-dist"), made_run()
    both = run.filtered.every, run.asked.beside.held_out["real"].every
    for images, kind in zip(both, ("the first 24 generated", "9 real held-out"), strict=True):
        sure = images.confidence
        weak, strong = np.mean(sure < 0.5), np.mean(sure >= 0.8)
        shares = f"weak {100 * weak:.1f} %   in between {100 * (1 - weak - strong):.1f} %"
        assert page.says(f"{kind} images:   {shares}   strong {100 * strong:.1f} %")


def test_the_balance_page_counts_drawn_strong_and_accepted_images_and_real_ones():
    page, run = page_of("class-balance"), made_run()
    quota, real = run.filtered.quota, run.asked.beside.tested["real"].passing
    counts = quota.generated, quota.strong, quota.kept, real.counts(len(quota.kept))
    assert len({tuple(each) for each in counts}) == 4
    for axes, numbers in zip(page.charts, counts, strict=True):
        assert [bar.get_width() for bar in axes.patches] == list(numbers)


def test_the_calibration_page_takes_the_truth_where_it_is_known_and_else_the_referees_word():
    page, run = page_of("calibration"), made_run()
    every, beside = run.filtered.every, run.asked.beside
    cooled = softmax(every.logits, 3.0).max(axis=1)
    assert (cooled < every.confidence).all()
    titles = ["test images\nby label", "reconstructed\nby label"]
    titles += ["generated\nby the referee", "generated\ntemperature of real images"]
    panels = [(beside.tested[kind].every, None) for kind in ("real", "reconstructed")]
    panels = [(each.confidence, each.labels == each.truth) for each, _ in panels]
    correct = every.labels == words_of(every.labels)
    panels += [(every.confidence, correct), (cooled, correct)]
    for axes, title, (sure, is_right) in zip(page.charts[:4], titles, panels, strict=True):
        found = right.reliability(sure, is_right)
        assert axes.get_title(loc="left") == f"{title}\nECE {found['ece']:.4f}"
        np.testing.assert_array_equal(
            [bar.get_height() for bar in axes.containers[0]], found["accuracy"]
        )


def test_the_risk_page_has_a_curve_of_each_set_and_of_the_worst_class_and_the_promise():
    run = made_run(promise=PROMISE)
    page = Drawing(pages.risk_coverage, run, DATA)
    every, beside = run.filtered.every, run.asked.beside
    wrong = every.labels != words_of(every.labels)
    sets = {"generated, by the referee (not corrected)": (every.confidence, wrong)}
    for kind, name in ("reconstructed", "reconstructions of "), ("real", ""):
        known = beside.tested[kind].every
        sets[f"{name}test images, by their labels"] = known.confidence, known.labels != known.truth
    lines = [np.transpose(line.get_data()) for line in page.charts[0].lines]
    for name, (sure, bad) in sets.items():
        passing = sure >= 0.8
        share, of_these = np.mean(passing), np.mean(bad[passing])
        assert page.says(f"{name}: {100 * share:.1f} % pass, {100 * of_these:.2f} % of these wrong")
        curve = np.transpose(right.risk_coverage(sure, bad))
        assert any(np.array_equal(line, curve) for line in lines)
    worst = max(range(3), key=lambda label: np.mean(wrong[every.labels == label]))
    own = every.labels == worst
    curve = np.transpose(right.risk_coverage(every.confidence[own], wrong[own]))
    assert any(np.array_equal(line, curve) for line in lines)
    assert page.says("promised: at most 20.00 %")
    assert not page_of("risk-coverage").says("promised")


@pytest.mark.parametrize("in_use", ["mixture", "normal"])
def test_the_prior_page_shows_each_prior_under_its_name_whichever_is_in_use(in_use):
    page, run = page_of("prior", "generated", in_use), made_run(prior=in_use)
    drawn_by_us = run.filtered.every, "87.5 %"
    by_the_other = run.asked.beside.others["other_prior"].every, "12.5 %"
    titles, both = ["Gaussian mixture", "N(0, I)"], [drawn_by_us, by_the_other]
    both = both if in_use == "mixture" else both[::-1]
    for title, (images, rate) in zip(titles, both, strict=True):
        places = [find(page, image) for image in images.images]
        assert places == sorted(places)
        assert page.text_above(*places[0][:2])[-1] == f"{title}: {rate} pass the filter"
    clouds = run.asked.beside.clouds
    for axes, title, kind in zip(page.charts, ["codes of images", *titles], clouds, strict=True):
        assert axes.get_title(loc="left") == title
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), clouds[kind])


def test_the_page_of_copies_shows_the_closest_of_each_class_and_what_chance_gives():
    page, run = page_of("copies"), made_run()
    labels, nearest, _ = run.neighbours["generated"]
    for label, name in enumerate(DATA.class_names):
        own = np.flatnonzero(labels == label)
        closest = own[np.argmin((nearest.distance / nearest.second)[own])]
        row, column, _ = find(page, run.accepted.images[closest])
        twin = nearest.index[closest]
        same_row, beside, _ = find(page, run.asked.reference.real.images[twin])
        assert same_row == row and beside > column
        assert page.text_above(row, column)[-1] == f"{name} · {'' if twin < 24 else 'un'}seen"
    titles = {
        "generated": "generated",
        "real": "real",
        "reconstructed": "reconstructions of test images",
        "noisy_copies": "real with 5 % noisy copies",
        "moved_copies": "real with 5 % moved copies",
    }
    (axes,) = page.charts
    assert [line.get_label() for line in axes.lines] == list(titles.values())
    reference = run.asked.reference
    for line, name in zip(axes.lines, titles, strict=True):
        depths = new.shares_by_depth(
            run.neighbours[name],
            reference.real.labels,
            reference.unseen,
            moved=name == "moved_copies",
        )
        np.testing.assert_array_equal(line.get_ydata(), [depth[1] for depth in depths])


def test_the_page_of_doubtful_images_begins_with_those_that_the_referee_calls_something_else():
    page, run = page_of("doubtful", "yours"), made_run("yours")
    accepted, judged = run.accepted, run.asked.judged["yours"]
    disputed = judged.labels != accepted.labels
    assert disputed.sum() == 2
    for label in range(3):
        own = np.flatnonzero(accepted.labels == label)
        order = sorted(own, key=lambda i: (not disputed[i], judged.confidence[i]))
        places = [find(page, accepted.images[i]) for i in order]
        assert places == sorted(places)
        for i, (row, column, _) in zip(order, places, strict=True):
            share = 100 * judged.confidence[i]
            said = f"{share:.1f} %"
            if disputed[i]:
                said = f"{DATA.class_names[judged.labels[i]]} {share:.0f} %"
            assert page.text_above(row, column)[-1] == said


def test_the_page_of_an_audit_shows_the_images_of_the_sheet_in_its_order():
    images, shown = noise(9) / np.float32(255), np.array([7, 2, 5])
    nothing = np.zeros(9, int)
    sheet = Sheet("s-1", "shop", ["shirt", "coat"], shown, nothing, nothing, None)
    page = Drawing(lambda file: pages.audit_sheet(file, sheet, images))
    places = [find(page, images[i]) for i in shown]
    assert places == sorted(places) and page.says("sheet s-1") and page.says("shop: ")
    assert [find(page, images[i]) for i in (0, 1, 3, 4, 6, 8)] == [None] * 6
    assert page.says("coat")
