"""The figures: arrays in, PNG out; nothing is computed here but layout and histograms.

Every function writes one PNG to `file`, a path or a binary file object; the same input gives the
same bytes.  `dataset` begins the title.  Images are (h, w) or (h, w, 3), uint8 or float in [0, 1];
NaN is not drawn.  Positions are in points from the top left corner of a page as wide as a README.
"""

import math
from contextlib import contextmanager
from itertools import takewhile
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps, rc_context, rcdefaults, rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle
from matplotlib.textpath import text_to_path

from trust.ask.verdicts import AS_REAL, CANNOT_TELL, FAILS, WORSE, Scale
from trust.data.images import ImageSet

DPI = 144  # two pixels per point
WIDTH, MARGIN, COLUMN = 930, 16, 435  # of a page, of its margins, of one of two columns
MOST_CLASSES = 64  # classes that a figure shows; more would make the page too long

INK, MUTED, FAINT = "#222222", "#6b6b6b", "#e4e4e4"
# Okabe and Ito 2008: colour-blind readers can distinguish these.
GENERATED, REAL = "#0072b2", "#333333"
STRONG, BETWEEN, WEAK = "#009e73", "#9a9a9a", "#d55e00"
# Tol 2021, "muted", with a grey as the tenth.
CLASSES = "#332288 #88ccee #117733 #ddcc77 #cc6677 #44aa99 #882255 #999933 #aa4499 #777777".split()

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$"
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), MUTED),
}


class Grid(NamedTuple):
    """Where a grid of images is on a page, in points, and how it looks.  Every image is drawn as
    large as one of 28 x 28 pixels of `scale` points each.  gap: (above each image, right of it), in
    such pixels; captions stand above the images."""

    left: float
    top: float
    columns: int
    scale: float
    gap: tuple


class Answer(NamedTuple):
    """The answer to a question about one set.  name: the set's, empty if there is only one.
    word: the verdict.  measured: what the number of the scale is.  number, real, bound: it, that of
    real images and the bound, as text.  remarks: sentences."""

    name: str
    word: str
    measured: str
    scale: Scale
    number: str
    real: str
    bound: str
    remarks: list[str]


class Learned(NamedTuple):
    """What a VAE has learned.

    manifold: (r * r, h, w[, c]) decoded grid over a 2-D latent space, or None when it is not 2-D.
    codes: (n, 2) float, encoded test images, or their two principal axes.
    code_labels: (n,) integer.  originals, reconstructions, samples: (m, h, w[, c]).
    history: {"loss", "val_loss", "reconstruction_loss", "kl_loss"}, each a list in nats per image.
    """

    manifold: np.ndarray | None
    codes: np.ndarray
    code_labels: np.ndarray
    class_names: tuple
    originals: np.ndarray
    reconstructions: np.ndarray
    samples: np.ndarray
    history: dict


class Weak(NamedTuple):
    """Images (n, h, w[, c]) of which the classifier is not sure, the least sure first, the two
    likeliest classes of each, (n, 2) integer, and how likely they are, (n, 2) float in [0, 1]."""

    images: np.ndarray
    top_two: np.ndarray
    top_two_confidence: np.ndarray


class Halfway(NamedTuple):
    """Images (m, h, w[, c]) half-way between two classes, and for each the class as which it passes
    the filter, (m,) integer, -1 where it does not.  strong_rate, generated_rate: the share of them,
    and of generated images, that passes."""

    images: np.ndarray
    labels: np.ndarray
    strong_rate: float
    generated_rate: float


@contextmanager
def open_page(file, title="", dataset="", note="", height=58):
    """Yields axes as large as the page, in points; grids of images may lengthen the page.  Saves it
    as PNG at the end of the block."""
    if dataset:
        title = f"{_fitting_names([dataset], 140)[0]}: {title}"
    with rc_context():
        rcdefaults()  # whatever the user's matplotlibrc says
        rcParams.update(STYLE)
        figure = Figure((WIDTH / 72, height / 72), dpi=DPI)
        page = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
        page.axis("off")
        page.text(MARGIN, 30, title, size=17, weight="bold")
        page.text(MARGIN, 54, note, color=MUTED)
        yield page
        figure.set_figheight(page.get_ylim()[0] / 72)
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def _charts(page, top, bottom, rows=1, columns=1, left=MARGIN, **settings):
    """Axes (rows, columns) between the heights `top` and `bottom`.  To be called once per page,
    after the page has its final length."""
    height = page.get_ylim()[0]
    box = left / WIDTH, 1 - bottom / height, 1 - (left + MARGIN) / WIDTH, (bottom - top) / height
    page.figure.set_layout_engine("constrained", rect=box)
    return page.figure.subplots(rows, columns, squeeze=False, **settings)


def _draw_legend(page, y, handles, columns):
    place = {"loc": "upper left", "bbox_to_anchor": (MARGIN, y), "bbox_transform": page.transData}
    page.legend(handles=handles, ncols=columns, borderpad=0, borderaxespad=0, **place)


def _percent(share, digits=1):
    return "not measured" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def _show_percents(axis):
    axis.set_major_formatter(lambda share, _: f"{100 * share:g} %")


def _finite(values):
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def unknown_to_the_font(texts) -> list:
    """The texts with a character that the figures cannot show."""
    font = get_font(findfont(FontProperties(family=STYLE["font.family"])))
    return [text for text in texts if any(not font.get_char_index(ord(sign)) for sign in text)]


def _text_width(text, size=13, weight="bold"):
    """The width in points; by default in the largest font of class names."""
    font = FontProperties(family=STYLE["font.family"], size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def _fitting_names(class_names, width):
    """Class names, those that would be wider than `width` points with an ellipsis in the middle:
    long names often differ at their ends.  Those that would then look the same begin, behind an
    ellipsis, where they differ."""
    names = [*map(str, class_names)]
    short = [_fitting(name, width, _ends) for name in names]
    for same in sorted({each for each in short if short.count(each) > 1}):
        places = [place for place, each in enumerate(short) if each == same]
        letters = zip(*(names[place] for place in places), strict=False)
        known = sum(1 for _ in takewhile(lambda each: len(set(each)) == 1, letters))
        for place in places:
            if 0 < known < len(names[place]):
                short[place] = _fitting(f"…{names[place][known:]}", width, _start)
    return short


def _ends(text, count):
    """The first and the last characters of a text, `count` in all."""
    return f"{text[: (count + 1) // 2]}…{text[len(text) - count // 2 :]}"


def _start(text, count):
    """The first `count` characters of a text."""
    return f"{text[:count]}…"


def _fitting(name, width, cut):
    """A name, or as much as fits of what cut(name, count) leaves of it."""
    count, short = min(len(name), 60), name
    while count and (len(short) > 61 or _text_width(short) > width):
        short = cut(name, count)
        count -= 1
    return short


def _first_classes(page, class_names):
    """The first MOST_CLASSES class names; a note on the page says so when there are more."""
    if len(class_names) > MOST_CLASSES:
        note = f"the first {MOST_CLASSES} of {len(class_names):,} classes"
        page.text(WIDTH - MARGIN, 30, note, color=MUTED, ha="right")
    return class_names[:MOST_CLASSES]


def _as_bytes(images):
    """Images (n, h, w[, c]) -> (n, s, s, 3) uint8, padded with white to squares; uint8 values are
    kept."""
    images = np.asarray(images)
    if images.dtype != np.uint8:
        images = np.rint(255 * np.clip(np.nan_to_num(images), 0, 1)).astype(np.uint8)
    images = images[..., None] if images.ndim == 3 else images
    images = np.broadcast_to(images, (*images.shape[:3], 3))  # a colour map would round grey values
    missing = [max(images.shape[1:3]) - side for side in images.shape[1:3]]
    margins = [(each // 2, each - each // 2) for each in missing]
    return np.pad(images, ((0, 0), *margins, (0, 0)), constant_values=255)


def _joined(images, others, axis):
    """Images (n, s, s, 3) uint8 with the others below (axis 1) or at the right (axis 2), and a line
    of white pixels between."""
    line = np.full_like(images.take([0], axis), 255)
    return np.concatenate([images, line, others], axis)


def _draw_grid(page, images, grid, captions=(), heading=""):
    """Draws images (n, h, w, 3) uint8 row by row under a heading, and returns the bottom."""
    left, top, columns, _, _ = grid
    side = min(images.shape[1:3]) / 28
    scale, gap = grid.scale / side, [round(each * side) for each in grid.gap]
    page.text(left, top - 6, heading, size=13, weight="bold", va="bottom")
    padding = (0, -len(images) % columns), (gap[0], 0), (0, gap[1]), (0, 0)
    cells = np.pad(images, padding, constant_values=255)
    n, height, width, _ = cells.shape
    rows, bottom = n // columns, top + n // columns * height * scale
    page.set_ylim(max(page.get_ylim()[0], bottom + MARGIN), 0)
    if n:  # one picture for the whole grid: hundreds of axes would take seconds
        picture = cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
        rgb = picture.reshape(rows * height, columns * width, 3)
        extent = (left, left + columns * width * scale, bottom, top)
        page.imshow(rgb, interpolation="nearest", aspect="auto", extent=extent)
    for i, caption in enumerate(captions):
        x, y = i % columns * width, i // columns * height + gap[0]
        page.text(left + x * scale, top + y * scale - 5, caption, linespacing=1)
    return bottom


def _lines(sentences, width, size):
    """Sentences as lines of text no wider than `width` points; each begins on a line of its own."""
    lines = []
    for sentence in sentences:
        lines.append("")
        for word in sentence.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and _text_width(longer, size, "normal") > width:
                lines.append(word)
            else:
                lines[-1] = longer
    return lines


# What looks how in answers.png.  WORDS: of each verdict the colours of its box, the word, the edge.
WORDS = {
    AS_REAL: (STRONG, "white", STRONG),
    WORSE: ("#f0b040", INK, "#f0b040"),
    FAILS: ("#962d00", "white", "#962d00"),
    CANNOT_TELL: ("white", INK, BETWEEN),
}
BAND, BEYOND, BOUND = "#bdbdbd", "#fbe6da", "#962d00"  # where real sets lie; where sets fail; edge
AT_REAL, AT_BOUND, ENDS = 264, 540, (224, 586)  # of the scales, in points
SAID = 614  # the left side of what is said, in points
PRINT = 9.5  # size of the small print


def draw_answers(file, answers: dict[str, list[Answer]], title: str, *, dataset: str, note=""):
    """The answers: a row for each question, in it a line for each set.  answers: {question: those
    of all sets}.  Every scale goes from real images on the left to the bound on the right.  note: a
    sentence above all."""
    dot = {"marker": "o", "markersize": 8, "color": INK, "linewidth": 2.5}
    keys = [
        Line2D([], [], label="these images, 95 % interval", **dot),
        Patch(color=BAND, label="no worse than chance, by this number"),
        Line2D([], [], marker="^", color=MUTED, linewidth=0, label="would show from here on"),
        Patch(facecolor=BEYOND, edgecolor=BOUND, label="where they fail"),
    ]
    with open_page(file, title, dataset) as page:
        y = 44
        for line in _lines([note] if note else [], WIDTH - 2 * MARGIN, 12):
            page.text(MARGIN, y + 12, line, size=12)
            y += 20
        y += 6 if note else 0
        _draw_legend(page, y, keys, 4)
        y += 30
        for question, of_sets in answers.items():
            page.plot((MARGIN, WIDTH - MARGIN), (y, y), color=FAINT, linewidth=1)
            several = len(of_sets) > 1
            heading = {"size": 14, "weight": "bold", "va": "center"}
            page.text(MARGIN, y + (16 if several else 34), f"{question}?", **heading)
            y += 16 if several else 6
            for answer in of_sets:
                y = _draw_answer(page, answer, y)
        page.set_ylim(y + 6, 0)


def _draw_answer(page, answer, top):
    """One line of answers.png, from the height `top` on; returns its bottom."""
    fill, ink, edge = WORDS[answer.word]
    middle = top + 28
    (name,) = _fitting_names([answer.name], 130)
    page.text(MARGIN, middle, name, va="center")
    shape = {"boxstyle": "round,pad=0,rounding_size=5", "facecolor": fill, "edgecolor": edge}
    page.add_patch(FancyBboxPatch((124, middle - 11), 84, 22, linewidth=1.5, **shape))
    page.text(166, middle, answer.word, color=ink, weight="bold", ha="center", va="center")
    page.text(ENDS[0], top + 10, answer.measured, size=PRINT)
    _draw_scale(page, answer, middle)
    page.text(SAID, top + 17, answer.number, size=14, weight="bold")
    lines = _lines(answer.remarks, WIDTH - MARGIN - SAID, PRINT)
    for i, line in enumerate(lines):
        colour = INK if answer.word == CANNOT_TELL and not i else MUTED  # the reason
        page.text(SAID, top + 33 + 13 * i, line, size=PRINT, color=colour)
    return top + max(64, 32 + 13 * len(lines))


def _draw_scale(page, answer, y):
    """The scale of one line of answers.png, at the height y; nothing where it has no two ends."""
    scale, (start, end) = answer.scale, ENDS
    way = scale.fails_at - scale.real
    if not math.isfinite(way) or not way:
        return

    def place(value):
        """Where on the page, NaN where the value is not known."""
        return AT_REAL + (AT_BOUND - AT_REAL) * (value - scale.real) / way

    def shade(a, b, colour):
        a, b = np.clip(sorted((a, b)), start, end)
        page.add_patch(Rectangle((a, y - 11), max(b - a, 3), 22, linewidth=0, facecolor=colour))

    shade(AT_BOUND, end, BEYOND)
    band = place(scale.real_low), place(scale.real_high)
    if np.isfinite(band).all():
        shade(*band, BAND)
    page.plot((start, end), (y, y), color=MUTED, linewidth=0.8)
    page.plot((AT_REAL,) * 2, (y - 11, y + 11), color=REAL, linewidth=1.2)
    page.plot((AT_BOUND,) * 2, (y - 14, y + 14), color=BOUND, linewidth=2.5)
    for x, text in (AT_REAL, f"real {answer.real}"), (AT_BOUND, answer.bound):
        page.text(x, y + 27, text, size=PRINT, color=MUTED, ha="center")
    if start <= (shows := place(scale.shows_from)) <= end:
        page.plot(shows, y + 12, "^", color=MUTED, markersize=5)
    if math.isnan(at := place(scale.number)):
        return
    reach = np.clip((place(scale.low), place(scale.high)), start, end)
    page.plot(reach, (y, y), color=INK, linewidth=2.5, solid_capstyle="butt")
    marker = "o" if start <= at <= end else "<" if at < start else ">"
    fill, _, _ = WORDS[answer.word]
    style = {"markerfacecolor": fill, "markeredgecolor": INK, "markeredgewidth": 1.2}
    page.plot(np.clip(at, start + 4, end - 4), y, marker, markersize=11, **style)


def draw_demo(file, title, learned: Learned):
    """What a VAE has learned, on one page."""
    grids, which = [], ("first principal axis", "second principal axis")
    if learned.manifold is not None:
        which = "latent 1", "latent 2"
        images = _as_bytes(learned.manifold)
        side = round(len(images) ** 0.5)
        grids = [("Decoded from a grid over the latent space", images, side, (0, 0))]
    pairs = _joined(_as_bytes(learned.originals), _as_bytes(learned.reconstructions), axis=1)
    grids += [("Test images above their reconstructions", pairs, 10, (4, 1))]
    grids += [("New images, decoded from the prior", _as_bytes(learned.samples), 10, (1, 1))]
    with open_page(file, title, height=790) as page:
        end = 34
        for heading, images, columns, gap in grids:
            scale = COLUMN / (columns * (28 + gap[1]))
            grid = Grid(MARGIN, end + 46, columns, scale, gap)
            end = _draw_grid(page, images, grid, heading=heading)
        left, end = WIDTH - MARGIN - COLUMN, page.get_ylim()[0] - MARGIN
        rows = _charts(page, 56, end, 3, left=left, height_ratios=(4, 2, 1.2))
        upper, middle, lower = (row[0] for row in rows)
        upper.set_title("Encoded test images by class", size=13, weight="bold")
        upper.set(xlabel=which[0], ylabel=which[1])
        _draw_codes(upper, learned.codes, learned.code_labels, learned.class_names)
        history = learned.history
        epochs = range(1, len(history["loss"]) + 1)
        for axes, key, label, colour, style in (
            (middle, "loss", "training images, mean of the epoch", GENERATED, "o-"),
            (middle, "val_loss", "test images, after the epoch", WEAK, "o-"),
            (middle, "reconstruction_loss", "training images, without KL", GENERATED, "o:"),
            (lower, "kl_loss", "KL divergence, training images", STRONG, "o-"),
        ):
            axes.plot(epochs, history[key], style, color=colour, label=label, markersize=3)
        for axes in (middle, lower):
            axes.set_xlim(0.5, len(epochs) + 0.5)
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            axes.grid(axis="y")
            axes.legend()
        middle.set_title("Negative ELBO, nats per image", size=13, weight="bold")
        lower.set_xlabel("epoch")


def _draw_codes(axes, codes, labels, class_names):
    names, colours = _fitting_names(class_names, 90), CLASSES
    if len(names) > len(CLASSES):
        colours = list(colormaps["turbo"](np.linspace(0.03, 0.97, len(names))))
    # One scatter for all: drawn class by class, the last would hide the first.
    axes.scatter(*np.asarray(codes).T, c=np.array(colours)[labels], s=5, alpha=0.7, linewidths=0)
    for label in range(0, len(names), -(-len(names) // 40)):  # 40 in the legend at most
        axes.plot([], [], "o", color=colours[label], markersize=7, label=names[label])
    columns = int(COLUMN / (max(map(_text_width, names)) + 46))
    axes.legend(ncols=columns, loc="upper left", bbox_to_anchor=(-0.06, -0.12), handletextpad=0)


def draw_strong(file, strong: ImageSet, class_names, threshold, *, dataset: str):
    """The first ten strong images of each class in a row, the confidence above each, which is at
    least `threshold`."""
    limit = f"{100 * threshold:g} %"
    note = "The first of each class, and how sure the classifier is of each"
    with _open_classes(
        file,
        f"strong images, the classifier is at least {limit} sure",
        note if len(strong) else f"No image reaches a confidence of {limit}.",
        dataset=dataset,
        class_names=class_names if len(strong) else (),
    ) as page:
        _draw_classes(page, strong, [*map(_percent, strong.confidence)], class_names)


def draw_doubtful(file, images: ImageSet, judged, class_names, *, dataset: str):
    """The first ten images of each class in a row, the most doubtful first, with what the referee
    says above each.  judged: has its labels (n,) and its confidence (n,)."""
    names = _fitting_names(class_names, 50)
    captions = [
        _percent(sure) if named == label else f"{names[named]} {_percent(sure, 0)}"
        for label, named, sure in zip(images.labels, judged.labels, judged.confidence, strict=True)
    ]
    note = "Above each the referee's confidence, and its class where it differs"
    with _open_classes(
        file,
        "the images that the referee doubts most",
        note if len(images) else "None",
        dataset=dataset,
        class_names=class_names if len(images) else (),
    ) as page:
        _draw_classes(page, images, captions, class_names)


def draw_least_real(file, images: ImageSet, unreal, class_names, *, dataset: str):
    """A row for each class: on the left the images that look the least real, the worst first, on
    the right those that look the most real.  unreal: (n,) float in [0, 1], NaN where not known."""
    known = np.flatnonzero(np.isfinite(unreal))
    note = "All are of the examined set. Left: the least real, the worst first, to a network that "
    note += "did not learn from them"
    scale, gap, top = 1.25, (4, 2), ROWS_FROM - 6
    row = (28 + gap[0]) * scale
    with open_page(
        file,
        "the least real images, beside the most real",
        dataset=dataset,
        note=note if len(known) else "Too few images for a network to learn from.",
        height=top + row * min(len(class_names), MOST_CLASSES) + MARGIN if len(known) else 58,
    ) as page:
        order = known[np.argsort(-unreal[known], kind="stable")]
        names = _fitting_names(class_names, 88)
        left = MARGIN + 12 + max(map(_text_width, names))
        for label, name in enumerate(_first_classes(page, names) if len(known) else ()):
            page.text(MARGIN, top + row / 2 + 3, name, size=13, weight="bold", va="center")
            own = order[images.labels[order] == label]
            few = min(10, len(own) // 2)  # no image stands on both sides
            for place, rows in ((left, own[:few]), (left + 400, own[::-1][:few])):
                chosen = _as_bytes(images.images[rows])
                _draw_grid(page, chosen, Grid(place, top, 10, scale, gap))
            top += row


ROW_GAP, ROW_SCALE, ROWS_FROM = (9, 4), 2.5, 68  # of figures with a row for each class
ROW = (28 + ROW_GAP[0]) * ROW_SCALE


def _open_classes(file, title, note, *, dataset, class_names):
    """A page for a row for each class."""
    rows = min(len(class_names), MOST_CLASSES)
    height = ROWS_FROM + ROW * rows + MARGIN if rows else 58
    return open_page(file, title, dataset=dataset, note=note, height=height)


def _draw_classes(page, images: ImageSet, captions, class_names):
    """The first ten images of each class in a row under their captions (n,)."""
    names = _fitting_names(class_names, 88)
    left = MARGIN + 12 + max(map(_text_width, names))
    for label, name in enumerate(_first_classes(page, names) if len(images) else ()):
        top = ROWS_FROM + label * ROW
        page.text(MARGIN, top + ROW - 35, name, size=13, weight="bold", va="center")
        chosen = np.flatnonzero(images.labels == label)[:10]
        above = [captions[i] for i in chosen] or ["no image"]
        grid = Grid(left, top, 10, ROW_SCALE, ROW_GAP)
        _draw_grid(page, _as_bytes(images.images[chosen]), grid, above)


def draw_audit(file, images, class_names, identity, *, dataset: str):
    """Numbered images without labels, for a person to name, below the list of class names.

    images: (n, h, w[, c]).  identity: of the sheets.Sheet.
    """
    note = "Write the class of each image into audit.csv, or ? where you cannot say. The classes:"
    images = _as_bytes(images)
    finer = -(-28 // images.shape[1])  # gaps are whole pixels, which are large in small images
    images = images.repeat(finer, axis=1).repeat(finer, axis=2)
    with open_page(file, "what do you see?", dataset, note) as page:
        page.text(WIDTH - MARGIN, 30, f"sheet {identity}", color=MUTED, ha="right")
        x, y = MARGIN, 82
        for name in _fitting_names(class_names, WIDTH - 2 * MARGIN):
            width = _text_width(name)
            x, y = (x, y) if x + width <= WIDTH - MARGIN else (MARGIN, y + 18)
            page.text(x, y, name, size=13)
            x += width + 20
        _draw_grid(page, images, Grid(MARGIN, y + 18, 10, 3, (7, 2)), range(1, len(images) + 1))


def draw_weak(file, weak: Weak, halfway: Halfway, class_names, limit, *, dataset: str):
    """Weak images, whose confidence is below `limit`, with the two likeliest classes of each, and
    images half-way between two."""
    names, limit = _fitting_names(class_names, 88), f"{100 * limit:g} %"
    shown, n = weak.images[:32], len(weak.images)
    which = f"The {len(shown)} least sure of {n:,} weak" if n > len(shown) else f"All {n} weak"
    note = f"{which} images among the first drawn, and the two likeliest classes of each"
    note = note if n else f"No image has a confidence below {limit}."
    captions = []
    for pair, confidences in zip(weak.top_two[:32], weak.top_two_confidence[:32], strict=True):
        both = zip(pair, confidences, strict=True)
        captions.append("\n".join(f"{names[k]} · {_percent(share, 0)}" for k, share in both))
    title = f"weak images, the classifier is less than {limit} sure"
    with open_page(file, title, dataset, note) as page:
        grid = Grid(MARGIN, 64, 8, 3, (12, 10))
        bottom = _draw_grid(page, _as_bytes(shown), grid, captions)
        if len(halfway.images):
            heading = "Half-way between two classes: a control the filter should reject\n"
            heading += f"{_percent(halfway.strong_rate)} of them pass the filter, "
            heading += f"of generated images {_percent(halfway.generated_rate)}"
            passing = halfway.labels[:16]
            which = [f"passes: {names[k]}" if k >= 0 else "rejected" for k in passing]
            grid = Grid(MARGIN, bottom + 64, 8, 3, (7, 10))
            _draw_grid(page, _as_bytes(halfway.images[:16]), grid, which, heading)


def _draw_histogram(axes, values, bins, **style):
    """Shares of the values, as an outline unless the style says otherwise."""
    style = {"histtype": "step", "linewidth": 1.8, **style}
    if len(values):
        axes.hist(values, bins, weights=np.full(len(values), 1 / len(values)), **style)
    axes.grid(axis="y")
    _show_percents(axes.yaxis)


FILLED = {"histtype": "stepfilled", "linewidth": 0, "color": GENERATED, "alpha": 0.55}


def draw_confidence(file, generated, real, threshold, weak, *, dataset: str):
    """How sure the classifier is of generated and of real held-out images, on the same axes.

    generated: (n,), real: (m,) float.  Strong is at least `threshold`, weak is below `weak`.
    """
    zones = ("weak", 0, weak), ("in between", weak, threshold), ("strong", threshold, np.inf)
    first, others = f"the first {len(generated):,} generated", f"{len(real):,} real held-out"
    lowest, keys = 0.5 / max(len(generated), len(real), 100), []
    with open_page(file, "how sure the classifier is", dataset, height=450) as page:
        ((axes,),) = _charts(page, 100, 440)
        axes.set(xlabel="confidence", ylabel="share of images (log scale)", yscale="log")
        axes.set(xlim=(0, 1), ylim=(lowest, 1.5))
        for kind, sure, style in (first, generated, FILLED), (others, real, {"color": REAL}):
            _draw_histogram(axes, _finite(sure), np.linspace(0, 1, 41), **style)
            text = f"{kind} images:" if len(sure) else f"{kind} images:   none"
            for zone, low, high in zones if len(sure) else ():
                text += f"   {zone} {_percent(np.mean((sure >= low) & (sure < high)))}"
            keys.append(Patch(color=style["color"], label=text))
        _draw_legend(page, 46, keys, 1)
        _show_percents(axes.xaxis)
        for x, end, name, colour in (
            (weak, weak, f"weak, below {100 * weak:g} %", WEAK),
            (threshold, 1, f"strong, {100 * threshold:g} % and more", STRONG),
        ):
            axes.axvline(x, color=colour, linestyle="--", linewidth=1.5)
            axes.text(end, 1.7, name, color=colour, weight="bold", ha="right", va="bottom")


FEW = 30  # a share of fewer images means little


def draw_calibration(file, panels, *, dataset: str):
    """Reliability diagrams, with the number of images below.  Guo et al. 2017, figure 4.

    panels: up to 4 ("which images, which temperature", reliability), the latter a mapping with
    edges (bins + 1,), confidence, accuracy and count (bins,), NaN in empty bins, and ece, a float.
    """
    title, hatched = "is the classifier right as often as it is sure?", {"hatch": "/////"}
    keys = [Patch(facecolor=GENERATED, alpha=0.55, label="accuracy")]
    keys += [Patch(facecolor=GENERATED, alpha=0.2, label=f"of fewer than {FEW} images")]
    for colour, label in (WEAK, "gap to the confidence: too sure"), (INK, "gap: not sure enough"):
        keys.append(Patch(edgecolor=colour, facecolor="none", label=label, **hatched))
    with open_page(file, title, dataset, height=440) as page:
        _draw_legend(page, 50, keys, 4)
        shared = {"sharex": True, "sharey": "row", "height_ratios": (4, 1)}
        charts = _charts(page, 82, 430, 2, len(panels), **shared)
        for (upper, lower), (which, reliability) in zip(charts.T, panels, strict=True):
            heading = which.replace(", ", "\n", 1)
            upper.set_title(f"{heading}\nECE {reliability['ece']:.4f}")
            sure, accuracy = np.array([reliability["confidence"], reliability["accuracy"]])
            edges = np.asarray(reliability["edges"])
            bins = {"x": edges[:-1], "width": np.diff(edges), "align": "edge"}
            bars = upper.bar(height=accuracy, color=GENERATED, edgecolor="white", **bins)
            for bar, count in zip(bars, reliability["count"], strict=True):
                bar.set_alpha(0.2 if count < FEW else 0.55)
            gap = {"height": sure - accuracy, "bottom": accuracy, "color": "none", **hatched}
            upper.bar(edgecolor=np.where(sure > accuracy, WEAK, INK), **gap, **bins)
            upper.plot((0, 1), (0, 1), "--", color=MUTED, linewidth=1)
            lower.bar(height=reliability["count"], color=BETWEEN, edgecolor="white", **bins)
            lower.set_xlabel("confidence")
        charts[0, 0].set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
        charts[0, 0].set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
        most = max(1, *(np.max(reliability["count"]) for _, reliability in panels))
        charts[1, 0].set(ylabel="images (log)", yscale="log", ylim=(0.7, 2 * most))
        charts[1, 0].set_yticks((1, 100, 10000), ("1", "100", "10,000"))
        charts[1, 0].minorticks_off()


def draw_risk_coverage(file, curves, classes, max_error=None, *, dataset: str):
    """How many are wrong among the images that each threshold keeps.  Geifman & El-Yaniv 2017.

    curves: {which images: (kept (k,), wrong (k,), (kept, wrong) at the threshold in use)}, shares,
    of up to three sets.  classes: {class: (kept (k,), wrong (k,))}, of the first set, of which the
    worst is drawn.
    max_error: what was promised, or None.
    """
    title, keys, style = "share of wrong images, by how many are kept", [], {"linewidth": 2.2}
    note = "From a strict threshold (left) to none (right); a point marks the one in use"
    with open_page(file, title, dataset, note, height=490) as page:
        ((axes,),) = _charts(page, 134, 480)
        for (name, curve), colour in zip(curves.items(), (GENERATED, STRONG, REAL), strict=False):
            kept, wrong, at = curve
            label = f"{name}: {_percent(at[0])} pass, {_percent(at[1], 2)} of these wrong"
            keys += axes.plot(kept, wrong, color=colour, label=label, **style)
            axes.plot(*at, "o", color=colour, markersize=8)
        # The scale follows the shares without a threshold, since at a strict threshold the only
        # image that is kept may be wrong.
        most = max([wrong[-1] for _, wrong, _ in curves.values() if len(wrong)], default=0.0)
        top = 1.5 * max(most, max_error or 0.0, 0.001)
        # Further to the left all curves are near zero.
        rising = [kept[wrong > top / 20] for kept, wrong, _ in curves.values()]
        marks = [at[0] for *_, at in curves.values()] + [each[0] for each in rising if len(each)]
        left = math.floor(10 * min(0.9, min(_finite(marks), default=0.0))) / 10
        drawn = {name: curve for name, curve in classes.items() if len(curve[1])}
        if drawn:
            worst = max(drawn, key=lambda name: drawn[name][1][-1])
            kept, wrong = drawn[worst]
            label = f"... its worst class, {_fitting_names([worst], 300)[0]}"
            if not np.any((kept >= left) & (wrong <= top)):
                label += ": above this scale"
            keys[1:1] = axes.plot(kept, wrong, color=GENERATED, linewidth=1, label=label)
        if max_error is not None:
            axes.axhline(max_error, color=WEAK, linestyle="--", linewidth=1.5)
            promised = f"promised: at most {_percent(max_error, 2)}"
            place = {"transform": axes.get_yaxis_transform(), "va": "bottom"}
            axes.text(0, max_error, promised, color=WEAK, weight="bold", **place)
        _draw_legend(page, 66, keys, 1)
        axes.set(xlabel="share that passes", xlim=(left, 1))
        axes.set(ylabel="share of these wrong", ylim=(0, top))
        axes.grid(axis="y")
        _show_percents(axes.xaxis)
        _show_percents(axes.yaxis)


def _draw_bars(axes, names, values, texts, colours):
    """Horizontal bars, the first at the top, each followed by its text."""
    bars = axes.barh(range(len(values)), np.nan_to_num(values), height=0.7, color=colours)
    axes.bar_label(bars, texts, padding=4)
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(values) - 0.5, -0.5), xticks=())
    axes.tick_params(left=False, labelcolor=INK)
    axes.spines["bottom"].set_visible(False)


def draw_class_balance(file, kinds: dict, class_names, *, dataset: str):
    """How many images of each class there are.  kinds: {"generated", "strong", "accepted", and of
    real ones those that pass: (classes,) integer}."""
    counts = np.stack([*kinds.values()])
    shown = counts[:, :MOST_CLASSES]
    bottom = 84 + 19 * shown.shape[1]
    with open_page(file, "how many images of each class", dataset, height=bottom + MARGIN) as page:
        names = _first_classes(page, _fitting_names(class_names, 140))
        (charts,) = _charts(page, 44, bottom, columns=len(kinds), sharex=True, sharey=True)
        for i, title in enumerate(kinds):
            charts[i].set_title(f"{title}\n{counts[i].sum():,} images")
            texts, colour = [f"{n:,}" for n in shown[i]], (GENERATED, STRONG, CLASSES[8], REAL)[i]
            _draw_bars(charts[i], names, shown[i], texts, colour)
        charts[0].set_xlim(0, 1.4 * max(shown.max(), 1))  # with room for the longest bar's count


def draw_copies(file, shares, pairs, class_names, *, dataset: str):
    """How often the nearest real image is one that was seen, and the closest images with theirs.

    shares: {name: [(percent, found, expected, deviation)]}, of up to six sets: among the closest
    `percent` percent of the images, the share whose nearest real image was seen, the expected
    share, and its standard deviation by chance.
    pairs: {class: (image, its nearest real image, whether that was seen)}.
    """
    names, shown = _fitting_names(class_names, 100), list(pairs.items())[:MOST_CLASSES]
    marks = [f"{names[label]} · {'' if seen else 'un'}seen" for label, (*_, seen) in shown]
    both = zip(*((image, twin) for _, (image, twin, _) in shown), strict=True) if shown else ()
    images = _joined(*map(_as_bytes, both), 2) if shown else np.zeros((0, 28, 57, 3), np.uint8)
    heading = "The closest generated image of each class, its nearest real image at the right"
    heading = heading if shown else "No generated images"
    note = "Dots above the grey: more often than chance allows (expected ± 3 standard deviations)"
    with open_page(file, "is the nearest real image one that was seen?", dataset, note) as page:
        _draw_grid(page, images, Grid(MARGIN, 446, 5, 2.5, (8, 18)), marks, heading)
        _first_classes(page, class_names)
        ((axes,),) = _charts(page, 112, 412)
        colours = GENERATED, REAL, STRONG, WEAK, CLASSES[6], CLASSES[0]
        lines = []
        for i, (name, depths) in enumerate(shares.items()):
            _, found, expected, deviation = np.transpose(depths)
            x, colour = np.arange(len(depths)) + (i - (len(shares) - 1) / 2) * 0.13, colours[i]
            lines += axes.plot(x, found, "o", color=colour, label=name)
            low, high = (expected + sign * 3 * deviation for sign in (-1, 1))
            axes.vlines(x, low.clip(0), high.clip(max=1), color=BAND, linewidth=8, zorder=1)
        percents = [f"closest {depth[0]} %" if depth[0] < 100 else "all" for depth in depths]
        axes.set_xticks(range(len(depths)), percents)
        axes.set(ylabel="share whose nearest real image was seen")
        axes.grid(axis="y")
        _show_percents(axes.yaxis)
        _draw_legend(page, 66, lines, 3)


def draw_prior(file, draws, strong_rates, clouds, *, dataset: str):
    """Unfiltered images from two densities of the latents, and how well these fit the codes.

    draws: {name: (n, h, w[, c])}, two sets.  strong_rates: {name: share that passes the filter}.
    clouds: {name: (n, 2) float}, three sets of points on two axes.
    """
    title, below = "where the latents come from, and what is decoded from them", 415
    heading = "Latents, on the two principal axes of the classes' mean codes"
    with open_page(file, title, dataset, height=below + 330) as page:
        for x, (name, images) in zip((MARGIN, WIDTH - MARGIN - COLUMN), draws.items(), strict=True):
            rate = f"{name}: {_percent(strong_rates[name])} pass the filter"
            _draw_grid(page, _as_bytes(images[:60]), Grid(x, 78, 10, 1.5, (1, 1)), heading=rate)
        page.text(MARGIN, below - 20, heading, size=13, weight="bold")
        (charts,) = _charts(page, below - 8, below + 320, columns=3, sharex=True, sharey=True)
        for axes, name, colour in zip(charts, clouds, (REAL, GENERATED, WEAK), strict=True):
            axes.set_title(name, color=colour)
            axes.scatter(*clouds[name].T, s=4, alpha=0.4, color=colour, linewidths=0)
            axes.set(aspect="equal", xlabel="first axis")
        charts[0].set_ylabel("second axis")
