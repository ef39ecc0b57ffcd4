"""Paragraphs that the docstrings of several losses share."""

OPTIONS_MARK = "{options}"

OPTIONS = """\
pos_weight : array or scalar, optional
    Factor of the term of the positive label, not negative; 1 by default. Broadcasts to the shape of the first
    argument, as all arrays below do: per class, for example. A number is exact, whatever the dtype of the array can
    hold, and finite; so is one for `weight`.
label_smoothing : float, optional
    a in [0, 1]: labels z become ``z (1 - a) + a / 2`` first.
weight : array or scalar, optional
    Factor of each loss.
where : array of bool, optional
    False drops an element before any arithmetic: it contributes nothing, whatever it holds, NaN and infinity
    included; its loss reads 0, and so do its derivatives.
reduction : {"none", "mean", "sum"}, optional
    What is returned: every loss, their mean or their sum.
axis : int or tuple of int, optional
    Axes that the mean or sum runs over; all by default. Not allowed with ``reduction="none"``.
normalize_by : {"count", "size", "weight", "nonzero", "batch"}, optional
    What a mean divides by: the number of elements that `where` keeps; of all elements; the sum of the weights; the
    number of weights that are not 0; or the length of axis 0. A zero denominator gives NaN."""
