"""The diagram of the README.

python -m trust.show.diagram imgs/diagram.png
"""

import sys

from matplotlib.patches import Rectangle

from trust.show import figures


def draw_diagram(file):
    """Draws the way from training images to strong ones, and the questions that are asked of these.
    file: a path or a binary file object."""
    nodes = {
        "training\nimages": (58, 130, "black"),
        "encoder": (178, 130, figures.GENERATED),
        "latents z,\nGaussian mixture": (314, 130, figures.CLASSES[5]),
        "decoder": (450, 130, figures.GENERATED),
        "generated\nimages": (566, 130, "black"),
        "classifier,\ncalibrated": (700, 130, figures.REAL),
        "weak": (858, 78, figures.WEAK),
        "in between": (858, 130, figures.BETWEEN),
        "strong": (858, 182, figures.STRONG),
        "Are they ...": (858, 256, figures.STRONG),
        "reconstructions of\nheld-out images": (566, 216, figures.BETWEEN),
        "compared with real images, held out or for tests only": (200, 256, figures.REAL),
    }
    questions = {
        "right?": (28, "the referee, a separate\nnetwork, agrees"),
        "realistic?": (190, "a network tells them\nfrom real images, or not"),
        "balanced?": (358, "as many images\nof every class"),
        "varied?": (478, "recall, coverage, twins\nbeside real images"),
        "new?": (640, "the nearest real image:\nseen, or a copy?"),
        "useful?": (795, "a classifier learns\nfrom them alone"),
    }
    with figures.open_page(file, height=376) as page:
        page.add_patch(Rectangle((118, 70), 390, 116, facecolor="#e6f1f8"))
        page.add_patch(Rectangle((16, 256), 898, 108, facecolor="#e5f5f0"))
        page.text(314, 88, "variational autoencoder", color=figures.GENERATED, ha="center")
        page.text(
            378, 46, "the classifier learns from labelled images", color=figures.MUTED, ha="center"
        )
        boxes = []
        for text, (x, y, colour) in nodes.items():
            box = {"boxstyle": "round,pad=0.6", "facecolor": colour, "edgecolor": "none"}
            boxes.append(page.text(x, y, text, color="white", bbox=box, ha="center", va="center"))
        steps = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (5, 7), (5, 8), (8, 9), (0, 5)]
        steps += [(10, 5)]
        for a, b in steps:
            arrow = {"arrowstyle": "-|>", "color": figures.MUTED, "mutation_scale": 14}
            arrow |= {"connectionstyle": f"arc3,rad={-0.22 if (a, b) == (0, 5) else 0}"}
            arrow |= {"patchA": boxes[a].get_bbox_patch(), "patchB": boxes[b].get_bbox_patch()}
            page.annotate("", boxes[b].get_position(), boxes[a].get_position(), arrowprops=arrow)
        for question, (x, answer) in questions.items():
            page.text(x, 300, question, size=14, weight="bold")
            page.text(x, 310, answer, va="top")


if __name__ == "__main__":
    draw_diagram(sys.argv[1])
