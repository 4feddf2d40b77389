"""The figures: arrays in, PNG out.

Every function writes one PNG to `file`, a path or a binary file object; the same input gives the
same bytes.  Sizes and positions are in points, counted from the top left corner of the page.  A
page is as wide as a README, so a point is about a pixel on the reader's screen.
"""

from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse, FancyBboxPatch, Polygon, Rectangle

DPI = 144  # two pixels a point
WIDTH = 930
MARGIN = 16
MOST_CLASSES = 64  # with a row of their own: a page has to end somewhere

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
    page_width, page_height = page.get_xlim()[1], page.get_ylim()[0]
    box = (
        left / page_width,
        1 - (top + height) / page_height,
        width / page_width,
        height / page_height,
    )
    return page.figure.add_axes(box, **settings)


def _as_bytes(images):
    """Images in [0, 1] to 0..255; bytes stay as they are."""
    if images.dtype == np.uint8:
        return images
    return np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)


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


def _first_classes(page, class_names):
    """The class names that have a row; the page says so when others have none."""
    if len(class_names) > MOST_CLASSES:
        note = f"the first {MOST_CLASSES} of {len(class_names):,} classes"
        page.text(WIDTH - MARGIN, 30, note, color=MUTED, ha="right")
    return class_names[:MOST_CLASSES]


def _are_short(class_names):
    """Short enough to share a line with a number."""
    return max(map(len, class_names)) <= 2


def _class_colours(classes):
    if classes <= len(CLASSES):
        return CLASSES[:classes]
    return list(colormaps["turbo"](np.linspace(0.03, 0.97, classes)))


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
    codes: (n, 2) encoded test images, or their two principal axes.  code_labels: (n,) integer.
    originals, reconstructions: (m, 28, 28).  samples: (s, 28, 28).
    history: {"loss", "val_loss", "reconstruction_loss", "kl_loss"}, each a list in nats per image.
    """
    columns, scale, size = 10, 1.5, 435
    left, right, top = MARGIN, WIDTH - MARGIN - size, 84
    below = top + size + 52
    blank = np.full((len(originals), 1, 28), 255, np.uint8)
    pairs = np.concatenate([_as_bytes(originals), blank, _as_bytes(reconstructions)], axis=1)
    pairs_height = -(-len(pairs) // columns) * 61 * scale
    samples_height = -(-len(samples) // columns) * 29 * scale
    if manifold is None:
        codes_left, losses_top, samples_left, samples_top = left, top, right, below
    else:
        codes_left, losses_top, samples_left = right, below, left
        samples_top = below + pairs_height + 36
    height = max(below + pairs_height, samples_top + samples_height) + MARGIN
    losses_height = size if manifold is None else max(height - MARGIN - below, 240)
    height = max(height, losses_top + losses_height + MARGIN)

    with _page(file, height, title) as page:
        if manifold is not None:
            page.text(left, top - 12, "Images decoded from a grid over the latent space", size=13)
            r = len(manifold)
            _draw_grid(page, manifold.reshape(r * r, 28, 28), left, top, r, size / (28 * r), (0, 0))
        axes = "" if manifold is not None else ", along their two principal axes"
        page.text(codes_left, top - 12, f"Encoded test images by class{axes}", size=13)
        _draw_codes(page, codes, code_labels, class_names, codes_left, top, size)
        page.text(left, below - 12, "Test images above their reconstructions", size=13)
        _draw_grid(page, pairs, left, below, columns, scale, (4, 1))
        page.text(samples_left, samples_top - 12, "New images, decoded from the prior", size=13)
        _draw_grid(page, samples, samples_left, samples_top, columns, scale)
        page.text(right, losses_top - 12, "Loss after each epoch, nats per image", size=13)
        _draw_losses(page, history, right, losses_top, size, losses_height)


def _draw_codes(page, codes, labels, class_names, left, top, size):
    colours = _class_colours(len(class_names))
    named = range(0, len(class_names), -(-len(class_names) // 40))  # the legend's, 40 at most
    legend_columns = min(len(named), size // (7 * max(map(len, class_names)) + 26))
    legend_height = 18 * -(-len(named) // legend_columns)
    axes = _chart(page, left + 24, top, size - 24, size - 28 - legend_height)
    # One scatter for all: drawn class by class, the last would hide the first.
    axes.scatter(*np.asarray(codes).T, c=np.array(colours)[labels], s=5, alpha=0.7, linewidths=0)
    axes.tick_params(labelsize=10)
    for label in named:
        axes.plot([], [], "o", color=colours[label], markersize=7, label=class_names[label])
    page.legend(
        *axes.get_legend_handles_labels(),
        loc="lower left",
        bbox_to_anchor=(left + 18, top + size + 4),
        bbox_transform=page.transData,
        ncols=legend_columns,
        fontsize=11,
        handlelength=1,
        handletextpad=0.3,
        columnspacing=1,
        borderpad=0,
        borderaxespad=0,
    )


def _draw_losses(page, history, left, top, width, height):
    epochs = np.arange(1, len(history["loss"]) + 1)
    upper = _chart(page, left + 34, top, width - 34, 0.6 * height - 20)
    lower = _chart(page, left + 34, top + 0.6 * height, width - 34, 0.4 * height - 36)
    for axes, key, label, colour, style in (
        (upper, "loss", "loss, training images", GENERATED, "-"),
        (upper, "val_loss", "loss, test images", WEAK, "-"),
        (upper, "reconstruction_loss", "reconstruction, training images", GENERATED, ":"),
        (lower, "kl_loss", "KL divergence, training images", GENERATED, "-"),
    ):
        axes.plot(epochs, history[key], style, color=colour, label=label, marker="o", markersize=3)
    for axes in (upper, lower):
        axes.set_xlim(0.5, len(epochs) + 0.5)
        axes.grid(axis="y")
        axes.tick_params(labelsize=10)
        axes.legend(fontsize=11)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel("epoch")


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


def draw_strong(file, images, labels, confidence, class_names, threshold, columns=10):
    """The first strong images of each class in a row, label and confidence above each.

    images: (n, 28, 28), all of confidence >= `threshold`.  labels: (n,) integer.
    confidence: (n,) float.
    """
    limit, separator = f"{100 * threshold:g}", " · " if _are_short(class_names) else "\n"
    left, down = (56, 9) if _are_short(class_names) else (112, 13)
    across = (WIDTH - MARGIN - left) / columns
    scale = np.floor(across / 16) / 2  # with four pixels between, each a whole number of dots
    gap = (down, int(across / scale) - 28)
    top, row = 48, (28 + down) * scale
    height = top + row * min(len(class_names), MOST_CLASSES) + MARGIN if len(images) else 96
    with _page(file, height, f"Strong images: the classifier is at least {limit} % sure") as page:
        if len(images) == 0:
            page.text(MARGIN, 66, f"No image reaches a confidence of {limit} %.", size=14)
            return
        for label, name in enumerate(_first_classes(page, class_names)):
            y = top + label * row
            middle = y + row - 14 * scale
            page.text(MARGIN, middle, name, size=13, weight="bold", va="center")
            chosen = np.flatnonzero(labels == label)[:columns]
            if len(chosen) == 0:
                page.text(left, middle, "no strong image", color=MUTED, size=14, va="center")
            captions = [f"{name}{separator}{100 * confidence[i]:.1f} %" for i in chosen]
            _draw_captioned(page, images[chosen], captions, left, y, columns, scale, gap)


def draw_weak(
    file, images, labels, confidence, second_labels, second_confidence, class_names, limit, most=40
):
    """The first `most` weak images, above each the two classes it hesitates between.

    images: (n, 28, 28), all of confidence < `limit`, the least sure first.
    labels, second_labels: (n,) integer.  confidence, second_confidence: (n,) float.
    """
    columns, top, scale, gap, shown = 8, 64, 3, (12, 10), min(len(images), most)
    height = top + -(-shown // columns) * (28 + gap[0]) * scale + MARGIN if shown else 96
    title = f"Weak images: the classifier is less than {100 * limit:g} % sure"
    with _page(file, height, title) as page:
        if shown == 0:
            sentence = f"No image has a confidence below {100 * limit:g} %."
            page.text(MARGIN, 66, sentence, size=14)
            return
        which = f"The {shown} least sure of {len(images):,}" if shown < len(images) else "All"
        page.text(MARGIN, 54, f"{which}, with the two classes it hesitates between", color=MUTED)
        captions = [
            f"{class_names[labels[i]]} · {100 * confidence[i]:.0f} %\n"
            f"{class_names[second_labels[i]]} · {100 * second_confidence[i]:.0f} %"
            for i in range(shown)
        ]
        _draw_captioned(page, images[:shown], captions, MARGIN, top, columns, scale, gap)


def _draw_key(page, x, y, colour, text):
    page.plot(x + 6, y - 4, "s", color=colour, markersize=11)
    page.text(x + 20, y, text, size=13)


def _draw_histograms(axes, generated, real, bins):
    for values, style in (
        (generated, {"histtype": "stepfilled", "color": GENERATED, "alpha": 0.55}),
        (real, {"histtype": "step", "color": REAL, "linewidth": 1.8}),
    ):
        axes.hist(values, bins, weights=np.full(len(values), 1 / max(len(values), 1)), **style)
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    axes.grid(axis="y")


def draw_confidence(file, generated, real, strong_threshold, weak_threshold):
    """How sure the classifier is of generated and of real test images, on the same axes.

    generated: (n,), real: (m,) confidence in [0, 1].
    """
    left, top = 68, 164
    zones = (
        (f"weak, below {100 * weak_threshold:g} %", WEAK, 0, weak_threshold),
        ("in between", MUTED, weak_threshold, strong_threshold),
        (f"strong, {100 * strong_threshold:g} % and more", STRONG, strong_threshold, np.inf),
    )
    with _page(file, 476, "How sure the classifier is") as page:
        _draw_key(page, MARGIN, 90, GENERATED, f"{len(generated):,} generated images")
        _draw_key(page, MARGIN, 114, REAL, f"{len(real):,} real test images")
        for (name, colour, low, high), x in zip(zones, (456, 672, 898), strict=True):
            page.text(x, 64, name, color=colour, weight="bold", ha="right")
            for confidence, y in ((generated, 90), (real, 114)):
                inside = (confidence >= low) & (confidence < high)
                share = f"{100 * np.mean(inside):.1f} %" if len(confidence) else "none"
                page.text(x, y, share, size=13, ha="right")

        axes = _chart(page, left, top, 898 - left, 264, xlim=(0, 1), yscale="log")
        _draw_histograms(axes, generated, real, np.linspace(0, 1, 41))
        axes.set_ylim(0.5 / max(len(generated), len(real), 100), 1.5)
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(lambda confidence, _: f"{100 * confidence:g} %")
        axes.set_xlabel("confidence")
        page.text(left, top - 10, "share of images", color=MUTED)
        for x, text, colour in (
            (weak_threshold, "weak  ", WEAK),
            (strong_threshold, "strong", STRONG),
        ):
            axes.axvline(x, color=colour, linestyle="--", linewidth=1.5)
            right = left + (898 - left) * (1 if colour == STRONG else x)
            page.text(right, top - 10, text, color=colour, weight="bold", ha="right")


def draw_calibration(file, panels):
    """Reliability diagrams, with the number of images below.  Guo et al. 2017, figure 4.

    panels: a list of ("images, probabilities", reliability), the latter a mapping with edges
    (bins + 1,), confidence, accuracy and count (bins,), NaN where a bin is empty, and ece, a float.
    """
    left, top, between = 70, 128, 20
    width = (WIDTH - MARGIN + between - left) / len(panels) - between
    most = max(np.max(reliability["count"]) for _, reliability in panels)
    with _page(file, 438, "Is the classifier right as often as it is sure?") as page:
        _draw_key(page, MARGIN, 62, GENERATED, "accuracy")
        _draw_key(page, MARGIN + 110, 62, WEAK, "gap to the confidence: too sure")
        _draw_key(page, MARGIN + 370, 62, INK, "gap: not sure enough")
        for panel, (title, reliability) in enumerate(panels):
            x, edges = left + panel * (width + between), np.asarray(reliability["edges"])
            confidence, accuracy = reliability["confidence"], reliability["accuracy"]
            bins = {"x": edges[:-1], "width": np.diff(edges), "align": "edge"}
            ticks = {"xlim": (0, 1), "xticks": (0, 0.5, 1), "xticklabels": ("0", "0.5", "1")}
            upper = _chart(page, x, top, width, 200, ylim=(0, 1), **ticks)
            upper.bar(height=accuracy, color=GENERATED, alpha=0.55, edgecolor="white", **bins)
            gap = np.where(np.greater(confidence, accuracy), WEAK, INK)
            upper.bar(
                height=confidence - accuracy,
                bottom=accuracy,
                color="none",
                edgecolor=gap,
                hatch="/////",
                **bins,
            )
            upper.plot((0, 1), (0, 1), "--", color=MUTED, linewidth=1)
            lower = _chart(page, x, top + 216, width, 50, yscale="log", **ticks)
            lower.bar(height=reliability["count"], color=BETWEEN, edgecolor="white", **bins)
            lower.set(ylim=(0.7, 2 * most), yticks=(1, 100, 10000), xlabel="confidence")
            lower.minorticks_off()
            lower.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
            upper.tick_params(labelbottom=False)
            if panel == 0:
                upper.set_ylabel("accuracy")
                lower.set_ylabel("images")
            for axes in (upper, lower):
                axes.tick_params(labelsize=10, labelleft=panel == 0)
            which, _, how = title.partition(", ")
            page.text(x, top - 26, which, size=13)
            page.text(x, top - 10, f"{how}, ECE {reliability['ece']:.4f}", color=MUTED)


def draw_class_balance(file, generated, accepted, balanced, class_names):
    """Images of each class, as generated, as accepted and as balanced.

    generated, accepted, balanced: (classes,) counts.
    """
    top, row, label = 104, 26, 74
    left = MARGIN + 14 + 8 * max(map(len, class_names))
    width = (WIDTH - MARGIN - left) / 3 - label
    bottom = top + row * min(len(class_names), MOST_CLASSES)
    longest = max(1, *generated, *accepted, *balanced)
    with _page(file, bottom + MARGIN, "How many images of each class") as page:
        names = _first_classes(page, class_names)
        for panel, (title, counts, colour) in enumerate(
            (
                ("as generated", generated, GENERATED),
                ("as accepted", accepted, STRONG),
                ("as balanced", balanced, CLASSES[8]),
            )
        ):
            x = left + panel * (width + label)
            page.text(x, top - 30, title, size=13, weight="bold")
            page.text(x, top - 12, f"{sum(counts):,} images", color=MUTED)
            axes = _chart(page, x, top, width, bottom - top, xlim=(0, longest), xticks=())
            bars = axes.barh(range(len(names)), counts[: len(names)], height=0.7, color=colour)
            axes.bar_label(bars, fmt="{:,.0f}", padding=4, fontsize=11)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_yticks(range(len(names)), names if panel == 0 else (), color=INK)
            axes.tick_params(length=0)
            axes.spines["bottom"].set_visible(False)


def draw_copies(
    file,
    generated_distance,
    real_distance,
    generated_correlation,
    real_correlation,
    pairs,
    real_pairs,
):
    """How near images come to the training images, and the nearest of all beside their twins.

    Distance to and correlation with the closest training image, of generated images (n,) and of
    real test images (m,).  pairs, real_pairs: (images (k, 28, 28), the closest training image of
    each (k, 28, 28), correlation (k,)).
    """
    columns, scale, gap = 7, 2, (9, 7)
    top, width, height = 92, 394, 190
    blocks = []
    bottom = top + height + 76
    for name, (images, twins, correlation) in (("generated", pairs), ("real test", real_pairs)):
        blank = np.full((len(images), 28, 1), 255, np.uint8)
        both = np.concatenate([_as_bytes(images), blank, _as_bytes(twins)], axis=2)
        blocks.append((bottom, name, both, correlation))
        bottom += -(-len(images) // columns) * (28 + gap[0]) * scale + 46
    with _page(file, bottom - 26, "Are the images copies of training images?") as page:
        _draw_key(page, MARGIN, 62, GENERATED, "generated images")
        _draw_key(page, MARGIN + 180, 62, REAL, "real test images")
        for left, name, generated, real in (
            (64, "Euclidean distance to", generated_distance, real_distance),
            (520, "correlation with", generated_correlation, real_correlation),
        ):
            axes = _chart(page, left, top, width, height)
            every = np.concatenate([generated, real])
            _draw_histograms(axes, generated, real, np.linspace(every.min(), every.max(), 61))
            axes.set_xlabel(f"{name} the closest training image")
        for y, name, both, correlation in blocks:
            heading = f"The closest {name} images, each with its training image at the right"
            if len(both) == 0:
                heading = f"No {name} images"
            page.text(MARGIN, y, heading, size=13, weight="bold")
            captions = [f"correlation {value:.3f}" for value in correlation]
            _draw_captioned(page, both, captions, MARGIN, y + 4, columns, scale, gap)


def draw_diagram(file):
    """The way from training images to trusted ones, and what is asked of these."""
    middle = 142
    with _page(file, 430) as page:

        def panel(x, y, width, height, colour):
            style = "round,pad=0,rounding_size=10"
            box = FancyBboxPatch((x, y), width, height, style, facecolor=colour, edgecolor="none")
            page.add_patch(box)

        def arrow(*points, colour=MUTED):
            *start, end = points
            page.plot(*zip(*points, strict=True), color=colour, linewidth=1.6)
            style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "shrinkB": 0}
            page.annotate("", end, start[-1], arrowprops={**style, "mutation_scale": 14})

        def label(x, y, text, **style):
            page.text(x, y, text, **{"ha": "center", "va": "center", "size": 12, **style})

        def tiles(x, digits, style):
            for i, digit in enumerate(digits):
                left, top = x + i % 3 * 33, middle - 48 + i // 3 * 33
                page.add_patch(Rectangle((left, top), 30, 30, facecolor="black"))
                label(left + 15, top + 15, digit, color="white", size=19, style=style)

        panel(146, 66, 336, 176, "#e6f1f8")
        label(314, 84, "variational autoencoder", color=GENERATED, weight="bold")
        arrow((112, middle), (164, middle))
        arrow((232, middle), (256, middle))
        arrow((372, middle), (396, middle))
        arrow((464, middle), (516, middle))
        arrow((615, middle), (640, middle))

        tiles(16, "504192131", "normal")
        label(64, 208, "training\nimages", va="top")
        for x, left_height, right_height, name in (
            (166, 48, 22, "encoder"),
            (396, 22, 48, "decoder"),
        ):
            corners = [
                (x, middle - left_height),
                (x + 66, middle - right_height),
                (x + 66, middle + right_height),
                (x, middle + left_height),
            ]
            page.add_patch(Polygon(corners, facecolor=GENERATED))
            label(x + 33, middle, name, color="white")

        page.add_patch(Rectangle((258, middle - 42), 112, 84, facecolor="white"))
        for x, y, width, height, angle, colour in (
            (285, -17, 40, 22, 30, 0),
            (322, -21, 30, 20, -20, 1),
            (350, 0, 26, 38, 15, 3),
            (288, 19, 36, 22, -25, 2),
            (325, 19, 38, 20, 12, 4),
        ):
            for size, alpha in ((1, 0.3), (0.65, 0.4), (0.3, 0.6)):
                page.add_patch(
                    Ellipse(
                        (x, middle + y),
                        width * size,
                        height * size,
                        angle=angle,
                        facecolor=CLASSES[colour],
                        alpha=alpha,
                    )
                )
        label(314, 208, "latents z,\nmixture prior", va="top")

        tiles(518, "728306945", "italic")
        label(566, 208, "generated\nimages", va="top")

        layers = ((652, 5), (692, 4), (732, 3))
        nodes = [
            [(x, middle + 22 * (i - (count - 1) / 2)) for i in range(count)] for x, count in layers
        ]
        for before, after in pairwise(nodes):
            for a in before:
                for b in after:
                    page.plot(*zip(a, b, strict=True), color="#c4c4c4", linewidth=0.8)
        for layer in nodes:
            page.plot(*zip(*layer, strict=True), "o", color=INK, markersize=14)
        label(692, 208, "dense classifier,\ncalibrated confidence", va="top")

        for y, name, colour in (
            (middle - 52, "weak", WEAK),
            (middle, "in between", BETWEEN),
            (middle + 52, "strong", STRONG),
        ):
            arrow((746, middle), (796, y), colour=colour)
            panel(800, y - 18, 114, 36, colour)
            label(857, y, name, color="white", size=14, weight="bold")

        arrow((64, 90), (64, 42), (692, 42), (692, 88))
        label(378, 30, "the classifier learns from labelled images", color=MUTED)

        panel(16, 292, 898, 122, "#e5f5f0")
        arrow((857, 214), (857, 290), colour=STRONG)
        for x, mark, question, answer in (
            (34, "✓", "right?", "a stronger classifier\nof another kind agrees"),
            (258, "=", "balanced?", "as many images\nof every class"),
            (478, "≠", "new?", "compared with the closest\nof all training images"),
            (700, "↗", "useful?", "a classifier trained on\nthem alone, tested on\nreal images"),
        ):
            page.add_patch(Circle((x + 18, 352), 18, facecolor=STRONG))
            label(x + 18, 352, mark, color="white", size=20, weight="bold")
            page.text(x + 46, 340, question, size=14, weight="bold")
            page.text(x + 46, 350, answer, va="top", linespacing=1.3)
        page.text(34, 316, "Are the strong images ...", color=STRONG, weight="bold")
