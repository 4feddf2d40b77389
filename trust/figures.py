"""The figures: arrays in, PNG out; nothing is computed here but layout and histograms.

Every function writes one PNG to `file`, a path or a binary file object; the same input gives the
same bytes.  Images are (28, 28), either uint8 or float in [0, 1].  Sizes and positions are in
points, counted from the top left corner of the page.  A page is as wide as a README, so a point is
about a pixel on the reader's screen.  What is NaN is not drawn.
"""

from contextlib import contextmanager
from functools import partial
from itertools import pairwise, product

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, Ellipse, FancyBboxPatch, Polygon, Rectangle
from matplotlib.textpath import text_to_path

DPI = 144  # two pixels a point
WIDTH = 930
MARGIN = 16
COLUMN = 435  # width of one of two columns
MOST_CLASSES = 64  # with a place of their own: a page has to end somewhere

INK, MUTED, FAINT = "#222222", "#6b6b6b", "#e4e4e4"
# Okabe and Ito 2008: told apart by colour-blind readers too.
GENERATED, REAL = "#0072b2", "#333333"
STRONG, BETWEEN, WEAK = "#009e73", "#9a9a9a", "#d55e00"
# Tol 2021, "muted", with a grey as the tenth.
CLASSES = "#332288 #88ccee #117733 #ddcc77 #cc6677 #44aa99 #882255 #999933 #aa4499 #777777".split()

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$"
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "legend.columnspacing": 1.2,
    "legend.handletextpad": 0.5,
    "hatch.linewidth": 0.8,
}


@contextmanager
def _page(file, height, title=""):
    """Axes as large as the page, in points from its top left corner, saved as PNG when left."""
    with rc_context(STYLE):
        figure = Figure((WIDTH / 72, height / 72), dpi=DPI)
        page = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
        page.axis("off")
        page.text(MARGIN, 30, title, size=17, weight="bold")
        yield page
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def _chart(page, left, top, width, height, **settings):
    """New axes on the page, in points."""
    whole = page.get_ylim()[0]
    box = left / WIDTH, 1 - (top + height) / whole, width / WIDTH, height / whole
    return page.figure.add_axes(box, **settings)


def _percent(share, digits=1):
    return "not measured" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def _show_percents(axis):
    axis.set_major_formatter(lambda share, _: f"{100 * share:g} %")


def _finite(values):
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def _text_width(text):
    """In points, in the largest type of a class name."""
    font = FontProperties(family=STYLE["font.family"], size=13, weight="bold")
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def _fitting_names(class_names, width):
    """Class names, with an ellipsis where one would be wider than `width` points."""
    names = []
    for name in class_names:
        name = str(name)[:60]
        while _text_width(name) > width:
            name = name[:-2] + "…"
        names.append(name)
    return names


def _first_classes(page, class_names):
    """The class names that have a place; the page says so when others have none."""
    if len(class_names) > MOST_CLASSES:
        note = f"the first {MOST_CLASSES} of {len(class_names):,} classes"
        page.text(WIDTH - MARGIN, 30, note, color=MUTED, ha="right")
    return class_names[:MOST_CLASSES]


def _as_bytes(images):
    """Images in [0, 1] to 0..255; bytes stay as they are."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    return np.rint(255 * np.clip(np.nan_to_num(images), 0, 1)).astype(np.uint8)


def _draw_grid(page, images, left, top, columns, scale, gap=(1, 1)):
    """Draw (n, h, w) images row by row, `scale` points a pixel, `gap` (down, across) in pixels."""
    n, height, width = images.shape
    if n == 0:
        return
    rows = -(-n // columns)
    cells = np.full((rows * columns, height + gap[0], width + gap[1]), 255, np.uint8)
    cells[:n, :height, :width] = _as_bytes(images)
    # One picture for the whole grid: hundreds of axes would take seconds.
    picture = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    picture = picture.reshape(rows * cells.shape[1], columns * cells.shape[2])
    right, bottom = left + scale * picture.shape[1], top + scale * picture.shape[0]
    rgb = np.repeat(picture[..., None], 3, axis=2)  # as they are: a colour map rounds
    extent = (left, right, bottom, top)
    page.imshow(rgb, interpolation="nearest", aspect="auto", extent=extent)


def _draw_captioned(page, images, captions, left, top, columns, scale, gap):
    """A grid with a caption above each image; `gap` (down, across) in pixels leaves room for it."""
    top = top + gap[0] * scale
    _draw_grid(page, images, left, top, columns, scale, gap)
    down, across = (images.shape[1] + gap[0]) * scale, (images.shape[2] + gap[1]) * scale
    for i, caption in enumerate(captions):
        # Line by line: Matplotlib would space the lines by their tallest letters.
        for above, line in enumerate(reversed(caption.split("\n"))):
            x, y = left + i % columns * across, top + i // columns * down
            page.text(x, y - 5 - 13 * above, line, size=11)


# What a VAE has learned


def draw_demo(
    file,
    title,
    manifold,
    codes,
    code_labels,
    class_names,
    originals,
    reconstructions,
    samples,
    history,
):
    """What a VAE has learned, on one page.

    manifold: (r, r, 28, 28) decoded grid over a 2-D latent space, or None when it is not 2-D.
    codes: (n, 2) float, encoded test images, or their two principal axes.
    code_labels: (n,) integer.  originals, reconstructions: (m, 28, 28).  samples: (s, 28, 28).
    history: {"loss", "val_loss", "reconstruction_loss", "kl_loss"}, each a list in nats per image.
    """
    blank = np.full((len(originals), 1, 28), 255, np.uint8)
    pairs = np.concatenate([_as_bytes(originals), blank, _as_bytes(reconstructions)], axis=1)
    pairs = _grid_block("Test images above their reconstructions", pairs, 10, (4, 1))
    samples = _grid_block("New images, decoded from the prior", samples, 10, (1, 1))
    which = "Encoded test images by class"
    if manifold is None:
        which += ", along their two principal axes"
    codes = which, COLUMN, partial(_draw_codes, codes, code_labels, class_names)
    if manifold is None:
        left, right = [codes, pairs], [_losses_block(history, COLUMN), samples]
    else:
        heading = "Images decoded from a grid over the latent space"
        tiles = _grid_block(heading, manifold.reshape(-1, 28, 28), len(manifold), (0, 0))
        left = [tiles, pairs, samples]
        right = [codes, _losses_block(history, max(240, _height(left) - COLUMN - 92))]

    with _page(file, 84 - 46 + max(_height(left), _height(right)) + MARGIN, title) as page:
        for x, blocks in ((MARGIN, left), (WIDTH - MARGIN - COLUMN, right)):
            y = 84
            for heading, height, draw in blocks:
                page.text(x, y - 12, heading, size=13)
                draw(page, x, y)
                y += height + 46


def _height(blocks):
    """Of blocks below one another, each (heading, height, function that draws it at a place)."""
    return sum(height + 46 for _, height, _ in blocks)


def _grid_block(heading, images, columns, gap):
    n, height, width = images.shape
    scale = COLUMN / (columns * (width + gap[1]))

    def draw(page, left, top):
        _draw_grid(page, images, left, top, columns, scale, gap)

    return heading, -(-n // columns) * (height + gap[0]) * scale, draw


def _draw_codes(codes, labels, class_names, page, left, top):
    names, colours = _fitting_names(class_names, 120), CLASSES[: len(class_names)]
    if len(class_names) > len(CLASSES):
        names = _fitting_names(class_names, 60)
        colours = list(colormaps["turbo"](np.linspace(0.03, 0.97, len(names))))
    named = range(0, len(names), -(-len(names) // 40))  # the legend's, 40 at most
    legend_columns = min(len(named), int(COLUMN / (max(map(_text_width, names)) + 26)))
    height = COLUMN - 28 - 18 * -(-len(named) // legend_columns)
    axes = _chart(page, left + 24, top, COLUMN - 24, height)
    # One scatter for all: drawn class by class, the last would hide the first.
    axes.scatter(*np.asarray(codes).T, c=np.array(colours)[labels], s=5, alpha=0.7, linewidths=0)
    axes.tick_params(labelsize=10)
    for label in named:
        axes.plot([], [], "o", color=colours[label], markersize=7, label=names[label])
    place = {"loc": "upper left", "bbox_to_anchor": (-0.02, -20 / height), "handlelength": 1}
    axes.legend(ncols=legend_columns, columnspacing=0.8, handletextpad=0.2, **place)


def _losses_block(history, height):
    epochs = np.arange(1, len(history["loss"]) + 1)

    def draw(page, left, top):
        upper = _chart(page, left + 34, top, COLUMN - 34, 0.6 * height - 20)
        lower = _chart(page, left + 34, top + 0.6 * height, COLUMN - 34, 0.4 * height - 36)
        for axes, key, label, colour, style in (
            (upper, "loss", "loss, training images", GENERATED, "o-"),
            (upper, "val_loss", "loss, test images", WEAK, "o-"),
            (upper, "reconstruction_loss", "reconstruction, training images", GENERATED, "o:"),
            (lower, "kl_loss", "KL divergence, training images", GENERATED, "o-"),
        ):
            axes.plot(epochs, history[key], style, color=colour, label=label, markersize=3)
        for axes in (upper, lower):
            axes.set_xlim(0.5, len(epochs) + 0.5)
            axes.grid(axis="y")
            axes.tick_params(labelsize=10)
            axes.legend()
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        upper.tick_params(labelbottom=False)
        lower.set_xlabel("epoch")

    return "Loss after each epoch, nats per image", height, draw


# The diagram


def draw_diagram(file):
    """The way from training images to trusted ones, and what is asked of these."""
    middle = 142
    with _page(file, 448) as page:
        _panel(page, 146, 66, 336, 176, "#e6f1f8")
        _label(page, 314, 84, "variational autoencoder", color=GENERATED, weight="bold")
        for start, end in ((112, 164), (232, 256), (372, 396), (464, 516), (615, 640)):
            _arrow(page, (start, middle), (end, middle))
        _draw_tiles(page, 16, middle, "504192131", "normal")
        _draw_network(page, 166, middle, 48, 22, "encoder")
        _draw_mixture(page, 314, middle)
        _draw_network(page, 396, middle, 22, 48, "decoder")
        _draw_tiles(page, 518, middle, "728306945", "italic")
        _draw_layers(page, ((652, 5), (692, 4), (732, 3)), middle)
        for x, text in (
            (64, "training\nimages"),
            (314, "latents z,\nGaussian mixture"),
            (566, "generated\nimages"),
            (692, "dense classifier,\ncalibrated confidence"),
        ):
            _label(page, x, 208, text, va="top")
        for y, text, colour in (
            (middle - 52, "weak", WEAK),
            (middle, "in between", BETWEEN),
            (middle + 52, "strong", STRONG),
        ):
            _arrow(page, (746, middle), (796, y), colour=colour)
            _panel(page, 800, y - 18, 114, 36, colour)
            _label(page, 857, y, text, color="white", size=14, weight="bold")
        _arrow(page, (64, 90), (64, 42), (692, 42), (692, 88))
        _label(page, 378, 30, "the classifier learns from labelled images", color=MUTED)
        _arrow(page, (857, 214), (857, 286), colour=STRONG)
        _draw_questions(page, 288)


def _panel(page, x, y, width, height, colour):
    style = "round,pad=0,rounding_size=10"
    box = FancyBboxPatch((x, y), width, height, style, facecolor=colour, edgecolor="none")
    page.add_patch(box)


def _arrow(page, *points, colour=MUTED):
    page.plot(*zip(*points, strict=True), color=colour, linewidth=1.6)
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "shrinkB": 0}
    page.annotate("", points[-1], points[-2], arrowprops={**style, "mutation_scale": 14})


def _label(page, x, y, text, **style):
    page.text(x, y, text, **{"ha": "center", "va": "center", "size": 12, **style})


def _draw_tiles(page, x, middle, digits, style):
    for i, digit in enumerate(digits):
        left, top = x + i % 3 * 33, middle - 48 + i // 3 * 33
        page.add_patch(Rectangle((left, top), 30, 30, facecolor="black"))
        _label(page, left + 15, top + 15, digit, color="white", size=19, style=style)


def _draw_network(page, x, middle, left_height, right_height, name):
    corners = [(x, left_height), (x + 66, right_height), (x + 66, -right_height), (x, -left_height)]
    corners = [(x, middle + y) for x, y in corners]
    page.add_patch(Polygon(corners, facecolor=GENERATED))
    _label(page, x + 33, middle, name, color="white")


def _draw_mixture(page, x, middle):
    page.add_patch(Rectangle((x - 56, middle - 42), 112, 84, facecolor="white"))
    ellipses = (-29, -17, 40, 22, 30), (8, -21, 30, 20, -20), (-26, 19, 36, 22, -25)
    ellipses += (36, 0, 26, 38, 15), (11, 19, 38, 20, 12)
    for (across, down, width, height, angle), colour in zip(ellipses, CLASSES, strict=False):
        for size, alpha in ((1, 0.3), (0.65, 0.4), (0.3, 0.6)):
            box = (x + across, middle + down), width * size, height * size
            style = {"facecolor": colour, "alpha": alpha}
            page.add_patch(Ellipse(*box, angle=angle, **style))


def _draw_layers(page, layers, middle):
    """A dense network; layers: ((x, units), ...)."""
    nodes = [[(x, middle + 22 * (i - (n - 1) / 2)) for i in range(n)] for x, n in layers]
    for before, after in pairwise(nodes):
        for ends in product(before, after):
            page.plot(*zip(*ends, strict=True), color="#c4c4c4", linewidth=0.8)
    for layer in nodes:
        page.plot(*zip(*layer, strict=True), "o", color=INK, markersize=14)


def _draw_questions(page, top):
    _panel(page, 16, top, 898, 144, "#e5f5f0")
    page.text(34, top + 26, "Are the strong images ...", color=STRONG, weight="bold")
    for x, mark, question, answer in (
        (34, "✓", "right?", "a stronger classifier\nof another kind agrees"),
        (205, "=", "balanced?", "as many images\nof every class"),
        (355, "❖", "varied?", "precision, recall and coverage\nbeside real images"),
        (571, "≠", "new?", "compared with the closest\ntraining image of the class"),
        (765, "↗", "useful?", "a classifier trained on\nthem alone, tested on\nreal images"),
    ):
        page.add_patch(Circle((x + 14, top + 56), 14, facecolor=STRONG))
        _label(page, x + 14, top + 56, mark, color="white", size=16, weight="bold")
        page.text(x + 36, top + 61, question, size=14, weight="bold")
        page.text(x, top + 80, answer, va="top", linespacing=1.3)


# Strong and weak images


def draw_strong(file, images, labels, confidence, class_names, threshold):
    """The first ten strong images of each class in a row, label and confidence above each.

    images: (n, 28, 28), all of confidence >= `threshold`.  labels: (n,) integer.
    confidence: (n,) float in [0, 1].  threshold: float in [0, 1].
    """
    limit, names = f"{100 * threshold:g}", _fitting_names(class_names, 88)
    short = max(map(len, names)) <= 2  # enough to share a line with a number
    left, down, separator = (56, 9, " · ") if short else (112, 13, "\n")
    scale = 2.5  # with the gap, each image a whole number of dots
    gap = (down, int((WIDTH - MARGIN - left) / 10 / scale) - 28)
    top, row = 48, (28 + down) * scale
    height = top + row * min(len(names), MOST_CLASSES) + MARGIN if len(images) else 96
    with _page(file, height, f"Strong images: the classifier is at least {limit} % sure") as page:
        if len(images) == 0:
            page.text(MARGIN, 66, f"No image reaches a confidence of {limit} %.", size=14)
            return
        for label, name in enumerate(_first_classes(page, names)):
            y = top + label * row
            middle = y + row - 14 * scale
            page.text(MARGIN, middle, name, size=13, weight="bold", va="center")
            chosen = np.flatnonzero(labels == label)[:10]
            if len(chosen) == 0:
                page.text(left, middle, "no strong image", color=MUTED, size=14, va="center")
            captions = [f"{name}{separator}{_percent(confidence[i])}" for i in chosen]
            _draw_captioned(page, images[chosen], captions, left, y, 10, scale, gap)


def draw_weak(
    file,
    images,
    top_two,
    top_two_confidence,
    halfway,
    halfway_strong_rate,
    strong_rate,
    class_names,
    limit,
):
    """Weak images with the two classes each hesitates between, and images half-way between two.

    images: (n, 28, 28), all of confidence < `limit`, the least sure first; 32 are shown.
    top_two: (n, 2) integer, the likeliest classes.  top_two_confidence: (n, 2) float in [0, 1].
    halfway: (m, 28, 28), decoded half-way between the codes of two images of different classes;
    16 are shown.  halfway_strong_rate, strong_rate: shares of these and of all generated images
    that pass the filter, floats in [0, 1].  limit: float in [0, 1].
    """
    columns, scale, gap, names = 8, 3, (12, 10), _fitting_names(class_names, 88)
    images, halfway, n = images[:32], halfway[:16], len(images)
    below = 64 + -(-len(images) // columns) * (28 + gap[0]) * scale + 46
    height = below + 40 + -(-len(halfway) // columns) * 31 * scale if len(halfway) else below - 30
    limit = f"{100 * limit:g} %"
    with _page(file, height, f"Weak images: the classifier is less than {limit} sure") as page:
        which = f"The {len(images)} least sure of {n:,}" if len(images) < n else "All"
        which += ", with the two classes it hesitates between"
        if n == 0:
            which = f"No image has a confidence below {limit}."
        page.text(MARGIN, 54, which, color=MUTED)
        captions = []
        for pair, confidences in zip(top_two[:32], top_two_confidence[:32], strict=True):
            both = zip(pair, confidences, strict=True)
            captions.append("\n".join(f"{names[k]} · {_percent(share, 0)}" for k, share in both))
        _draw_captioned(page, images, captions, MARGIN, 64, columns, scale, gap)
        if len(halfway):
            title = "Half-way between two classes: a control the filter should reject"
            page.text(MARGIN, below, title, size=17, weight="bold")
            passing = _percent(halfway_strong_rate), _percent(strong_rate)
            sentence = "{} of them pass the filter, of generated images {}".format(*passing)
            page.text(MARGIN, below + 24, sentence, color=MUTED)
            _draw_grid(page, halfway, MARGIN, below + 40, columns, scale, (3, gap[1]))


def _draw_key(page, x, y, colour, text):
    page.plot(x + 6, y - 4, "s", color=colour, markersize=11)
    page.text(x + 20, y, text, size=13)


def _draw_histogram(axes, values, bins, **style):
    """Shares of the values, as an outline unless the style says otherwise."""
    style = {"histtype": "step", "linewidth": 1.8, **style}
    if len(values):
        axes.hist(values, bins, weights=np.full(len(values), 1 / len(values)), **style)
    axes.grid(axis="y")
    _show_percents(axes.yaxis)


FILLED = {"histtype": "stepfilled", "linewidth": 0, "color": GENERATED, "alpha": 0.55}


def draw_confidence(file, generated, real, threshold, weak):
    """How sure the classifier is of generated and of real held-out images, on the same axes.

    generated: (n,), real: (m,) confidence, float in [0, 1].
    Strong is `threshold` and more, weak is below `weak`, both floats in [0, 1].
    """
    left, top, right = 68, 164, 898
    zones = (
        (f"weak, below {100 * weak:g} %", WEAK, 456, -np.inf, weak),
        ("in between", MUTED, 672, weak, threshold),
        (f"strong, {100 * threshold:g} % and more", STRONG, right, threshold, np.inf),
    )
    first = f"the first {len(generated):,} generated images"
    others = f"{len(real):,} real held-out images"
    sets = (generated, GENERATED, first, 90), (real, REAL, others, 114)
    with _page(file, 476, "How sure the classifier is") as page:
        for confidence, colour, name, y in sets:
            _draw_key(page, MARGIN, y, colour, name)
            for _, _, x, low, high in zones:
                inside = (confidence >= low) & (confidence < high)
                share = _percent(np.mean(inside)) if len(confidence) else "none"
                page.text(x, y, share, size=13, ha="right")
        for name, colour, x, _, _ in zones:
            page.text(x, 64, name, color=colour, weight="bold", ha="right")

        axes = _chart(page, left, top, right - left, 264, xlim=(0, 1), yscale="log")
        bins = np.linspace(0, 1, 41)
        _draw_histogram(axes, _finite(generated), bins, **FILLED)
        _draw_histogram(axes, _finite(real), bins, color=REAL)
        axes.set_ylim(0.5 / max(len(generated), len(real), 100), 1.5)
        axes.minorticks_off()
        _show_percents(axes.xaxis)
        axes.set_xlabel("confidence")
        page.text(left, top - 10, "share of images", color=MUTED)
        weak_end = left + weak * (right - left)
        for x, end, name, colour in (
            (weak, weak_end, "weak  ", WEAK),
            (threshold, right, "strong", STRONG),
        ):
            axes.axvline(x, color=colour, linestyle="--", linewidth=1.5)
            page.text(end, top - 10, name, color=colour, weight="bold", ha="right")


def draw_calibration(file, panels):
    """Reliability diagrams, with the number of images below.  Guo et al. 2017, figure 4.

    panels: up to 4, or 6 in two rows, each ("which images, which temperature", reliability), the
    latter a mapping with edges (bins + 1,), confidence, accuracy and count (bins,), NaN where a bin
    is empty, and ece, a float.
    """
    columns = len(panels) if len(panels) <= 4 else 3
    left, between, row = 70, 20, 356
    width = (WIDTH - MARGIN + between - left) / columns - between
    most = max(1, *(np.max(reliability["count"]) for _, reliability in panels))
    height = 82 + row * -(-len(panels) // columns)
    with _page(file, height, "Is the classifier right as often as it is sure?") as page:
        _draw_key(page, MARGIN, 62, GENERATED, "accuracy")
        _draw_key(page, MARGIN + 110, 62, WEAK, "gap to the confidence: too sure")
        _draw_key(page, MARGIN + 370, 62, INK, "gap: not sure enough")
        for i, (title, reliability) in enumerate(panels):
            x, y = left + i % columns * (width + between), 128 + i // columns * row
            which, _, how = title.partition(", ")
            page.text(x, y - 26, which, size=13)
            page.text(x, y - 10, f"{how}, ECE {reliability['ece']:.4f}", color=MUTED)
            upper = _chart(page, x, y, width, 200, ylim=(0, 1))
            lower = _chart(page, x, y + 216, width, 50, yscale="log", ylim=(0.7, 2 * most))
            _draw_reliability(upper, lower, reliability)
            for axes in (upper, lower):
                axes.tick_params(labelsize=10, labelleft=i % columns == 0)
            if i % columns == 0:
                upper.set_ylabel("accuracy")
                lower.set_ylabel("images")


def _draw_reliability(upper, lower, reliability):
    """Accuracy and its gap to the confidence on the upper axes, counts on the lower."""
    confidence, accuracy = reliability["confidence"], reliability["accuracy"]
    edges = np.asarray(reliability["edges"])
    bins = {"x": edges[:-1], "width": np.diff(edges), "align": "edge"}
    upper.bar(height=accuracy, color=GENERATED, alpha=0.55, edgecolor="white", **bins)
    gap = {"height": confidence - accuracy, "bottom": accuracy, "color": "none", "hatch": "/////"}
    upper.bar(edgecolor=np.where(np.greater(confidence, accuracy), WEAK, INK), **gap, **bins)
    upper.plot((0, 1), (0, 1), "--", color=MUTED, linewidth=1)
    upper.tick_params(labelbottom=False)
    lower.bar(height=reliability["count"], color=BETWEEN, edgecolor="white", **bins)
    lower.set(yticks=(1, 100, 10000), xlabel="confidence")
    lower.minorticks_off()
    lower.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    for axes in (upper, lower):
        axes.set(xlim=(0, 1), xticks=(0, 0.5, 1), xticklabels=("0", "0.5", "1"))


def _draw_bars(page, values, texts, colours, left, top, scale, row):
    """Horizontal bars, `scale` points a unit and `row` points apart, the text behind each."""
    values, height = np.nan_to_num(np.asarray(values, float)), row * len(values)
    longest = max(values.max(), 1 / scale)
    axes = _chart(page, left, top, longest * scale, height, xlim=(0, longest), xticks=(), yticks=())
    bars = axes.barh(range(len(values)), values, height=0.7, color=colours)
    axes.bar_label(bars, texts, padding=4, fontsize=11)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.spines["bottom"].set_visible(False)


def draw_class_balance(file, generated, accepted, balanced, class_names):
    """Images of each class, as generated, as accepted and as balanced.

    generated, accepted, balanced: (classes,) integer counts.
    """
    top, row, room = 100, 19, 74  # for a count behind its bar
    names = _fitting_names(class_names, 140)
    left = MARGIN + 8 + max(map(_text_width, names))
    counts = np.stack([generated, accepted, balanced])
    longest = counts[:, :MOST_CLASSES].max(axis=1)
    longest = np.maximum(longest, max(0.2 * longest.max(), 1))  # room for a heading
    scale = (WIDTH - MARGIN - left - 3 * room) / longest.sum()
    height = top + row * min(len(names), MOST_CLASSES) + MARGIN
    with _page(file, height, "How many images of each class") as page:
        names = _first_classes(page, names)
        for i, name in enumerate(names):
            page.text(left - 8, top + row * (i + 0.5), name, ha="right", va="center")
        for i, title in enumerate(("generated", "accepted", "balanced")):
            x, colour = (
                left + scale * longest[:i].sum() + room * i,
                (GENERATED, STRONG, CLASSES[8])[i],
            )
            page.text(x, top - 28, f"as {title}", size=13, weight="bold")
            page.text(x, top - 10, f"{counts[i].sum():,} images", color=MUTED)
            shown = counts[i, : len(names)]
            _draw_bars(page, shown, [f"{n:,}" for n in shown], colour, x, top, scale, row)


COMPARED = (
    {"color": GENERATED, "linewidth": 5, "alpha": 0.55, "solid_capstyle": "butt"},
    {"color": REAL, "linewidth": 1.8},
    {"color": STRONG, "linewidth": 1.8, "linestyle": "--"},
    {"color": WEAK, "linewidth": 1.8, "linestyle": ":"},
)


def draw_copies(file, distances, pairs, class_names):
    """How near images come to the training images, and the nearest of each class beside its twin.

    distances: {name: (n,) float}, to the closest training image of the same class; the generated
    images first, then up to three sets to compare them with.
    pairs: {class: (image (28, 28), closest training image (28, 28), distance float)}, the
    generated image of each class that is closest to a training image.
    """
    columns, scale, gap, top, height = 5, 2.5, (8, 18), 104, 190
    names, below = _fitting_names(class_names, 130), top + height + 72
    shown = dict(list(pairs.items())[:MOST_CLASSES])
    bottom = below + -(-len(shown) // columns) * (28 + gap[0]) * scale + MARGIN
    with _page(file, bottom, "Are the images copies of training images?") as page:
        histogram = _chart(page, 64, top, 394, height)
        closest = _chart(page, 520, top, 394, height)
        _draw_distances(histogram, closest, distances)
        page.text(64, top - 14, "share of images", color=MUTED)
        page.text(520, top - 14, "share of images at most as far, the closest 10 %", color=MUTED)
        heading = "The closest generated image of each class, its training image at the right"
        heading = heading if shown else "No generated images"
        page.text(MARGIN, below - 4, heading, size=13, weight="bold")
        _first_classes(page, class_names)
        both = np.full((len(shown), 28, 57), 255, np.uint8)
        for row, (image, twin, _) in zip(both, shown.values(), strict=True):
            row[:, :28], row[:, 29:] = _as_bytes(image), _as_bytes(twin)
        captions = [f"{names[label]} · {distance:.2f}" for label, (*_, distance) in shown.items()]
        _draw_captioned(page, both, captions, MARGIN, below, columns, scale, gap)


def _draw_distances(histogram, closest, distances):
    """Shares of all distances on one chart, the cumulative share of the closest on the other."""
    sets = {name: _finite(values) for name, values in distances.items()}
    every = np.concatenate([*sets.values(), []])
    low, high = (every.min(), every.max()) if len(every) else (0, 1)
    reach = max((np.quantile(values, 0.1) for values in sets.values() if len(values)), default=1)
    bins = np.linspace(low, max(high, low + 0.01), 61)
    for (name, values), line in zip(sets.items(), COMPARED, strict=False):
        _draw_histogram(histogram, values, bins, **(FILLED if line is COMPARED[0] else line))
        if len(values):
            closest.ecdf(values, label=name, **line)
        else:
            closest.plot([], [], label=f"{name}: no image", **line)
    margin = 0.03 * max(reach - low, 0.01)
    closest.set(xlim=(low - margin, reach + margin), ylim=(0, 0.1))
    closest.grid(axis="y")
    _show_percents(closest.yaxis)
    handles = closest.get_legend_handles_labels()
    histogram.legend(*handles, loc="lower left", bbox_to_anchor=(-0.15, 1.18), ncols=len(sets))
    for axes in (histogram, closest):
        axes.set_xlabel("Euclidean distance to the closest training image")


def draw_prior(file, draws, strong_rates, clouds):
    """Images from two densities of the latents, unfiltered, and how well these meet the codes.

    draws: {name: (n, 28, 28)}, two sets; 60 images of each are shown.
    strong_rates: {name: share of them that passes the filter, float in [0, 1]}.
    clouds: {name: (n, 2) float}, three sets of points on two axes.
    """
    below, side, left = 84 + 6 * 43.5 + 74, 275, MARGIN + 34
    everywhere = np.concatenate([np.zeros((1, 2)), *clouds.values()])
    low, high = np.nanmin(everywhere, axis=0), np.nanmax(everywhere, axis=0)
    limits = np.array([(low + high) / 2]).T + 0.52 * max(*(high - low), 1) * np.array([-1, 1])
    title = "Where the latents come from, and what is decoded from them"
    with _page(file, below + side + 42, title) as page:
        for x, (name, images) in zip((MARGIN, WIDTH - MARGIN - COLUMN), draws.items(), strict=True):
            heading = f"{name}: {_percent(strong_rates[name])} pass the filter"
            page.text(x, 70, heading, size=13, weight="bold")
            _draw_grid(page, images[:60], x, 84, 10, 1.5)
        heading = "Latents, on the two axes along which the classes lie furthest apart"
        page.text(MARGIN, below - 36, heading, size=13, weight="bold")
        colours = REAL, GENERATED, WEAK
        for i, ((name, points), colour) in enumerate(zip(clouds.items(), colours, strict=True)):
            x = left + i * (side + 20)
            page.text(x, below - 10, name, color=colour)
            axes = _chart(page, x, below, side, side, xlim=limits[0], ylim=limits[1])
            axes.scatter(*points.T, s=4, alpha=0.4, color=colour, linewidths=0)
            axes.tick_params(labelsize=10, labelleft=i == 0)


def draw_usefulness(file, accuracies, images):
    """What a classifier learns from the images alone.

    accuracies: {training images: accuracy on real test images, float in [0, 1] or NaN}.
    images: int, how many training images are behind each.
    """
    top, row, left = 88, 30, 290
    colours = [REAL, STRONG, GENERATED, *CLASSES][: len(accuracies)]
    with _page(file, top + row * len(accuracies) + MARGIN, "Are the images useful?") as page:
        note = f"accuracy on real test images of a classifier trained on {images:,} images alone"
        page.text(MARGIN, 58, note, color=MUTED)
        for i, name in enumerate(accuracies):
            page.text(left - 8, top + row * (i + 0.5), name, size=13, ha="right", va="center")
        shares = list(accuracies.values())
        scale = WIDTH - MARGIN - left - 58
        _draw_bars(page, shares, map(_percent, shares), colours, left, top, scale, row)
