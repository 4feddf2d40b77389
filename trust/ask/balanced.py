"""Question 2, are the classes balanced? The smallest class, as a share of the largest."""

import numpy as np

from trust.ask.questions import Asked
from trust.ask.verdicts import Verdict, decide

LEAST_BALANCE = 0.05  # balanced fails at this share of a class's due


def class_balance(counts: np.ndarray) -> float:
    """Smallest class / largest class, of the counts (classes,) of images; 0 without an image."""
    return counts.min() / max(counts.max(), 1)


def ask(asked: Asked) -> dict:
    """{set: {key: number}}."""
    beside, classes = asked.beside, asked.reference.classes
    sets = {
        name: {
            "class_balance": class_balance(filtered.strong(classes)),
            "images": len(asked.rows[name]),
        }
        for name, filtered in (asked.subjects | beside.held_out).items()
    }
    if "other_prior" in beside.others:
        strong = beside.others["other_prior"].strong(classes)
        sets["other_prior"] = {"class_balance": class_balance(strong)}
    return sets


def verdict(numbers: dict, real: dict) -> Verdict:
    """To be done."""
    return decide(fails=False, worse=False, detectable=float("nan"), bound=1 - LEAST_BALANCE)
