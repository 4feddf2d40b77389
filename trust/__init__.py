"""The modules that the two scripts use, one for each idea; no module imports a script.

In Python, the third door is one call:

    run = trust.examine(images, labels, dataset="mnist")
    print(run)
"""


def examine(images, labels=None, dataset="mnist", *, threshold=None, seed=0, say=None):
    """Examines images that any generator made, beside real ones, as `python -m trust` does.

    images: (n, h, w[, c]), 0 to 255 or 0 to 1.  labels: (n,) numbers or names of classes, or
    one-hot; if left out, a classifier names the images.  dataset: the real images to compare with,
    "mnist", "fashion_mnist", or the path of a file or folder.  threshold: examine only images of
    which the classifier is so sure.  say: a function that is told what is going on, such as print.

    Returns a trust.answered.Answered.  print() of it shows the answers, a notebook draws them;
    its `report` holds all numbers.  What cannot be examined raises trust.cli.UserError, whose
    message is one sentence.  The images are not changed, and nothing is written.  TensorFlow and
    Keras are seeded, and TensorFlow stays deterministic.
    """
    from trust import answered  # so that `import trust` is quick

    return answered.examine(images, labels, dataset, threshold=threshold, seed=seed, say=say)
