"""The elementwise functions that losses are made of, with SciPy's names and special values, for any array library.

All of them follow the rules of the losses. Arrays are of float16, bfloat16, float32 or float64 and of any library that
follows the array API standard; the result is of the same library, on the same device. The half types are computed in
float32 and rounded once; float64 is never narrowed. No function reads the values in an array, so all can be traced,
compiled and differentiated, and none raises a floating-point warning.

The errors are at most 4 ULP for float32 and float64, and 0.51 ULP for the half types, over the whole range of the
dtype, tails and subnormal results included. Libraries that flush subnormal numbers to zero (JAX on CPU, CuPy by
default) may return zero for a subnormal result, and take a subnormal argument as zero. The figures in the notes of each
function are the largest errors found in millions of arguments, with NumPy 2.4.6, PyTorch 2.13 and JAX 0.10 (also
compiled) on an x86-64 processor with AVX2; they are lower bounds.
"""

from collections.abc import Callable
from typing import Any, overload

from ._backends import runner_for
from ._call.chunks import checked
from ._call.inputs import primitive_inputs
from ._call.kernel import Elementwise
from ._formulas import elementary
from ._typing import Array, ArrayObject, ArrayT, Precision

__all__ = ["expit", "log1mexp", "log_expit", "logit", "softplus", "xlog1py", "xlogy"]


def expit(x: ArrayT, /, *, precision: Precision = "native") -> ArrayT:
    """Logistic sigmoid, ``1 / (1 + exp(-x))``.

    Parameters
    ----------
    x : array
        Any shape; float16, bfloat16, float32 or float64.
    precision : {"native", "high"}, optional
        "high" rounds the exact result once, with the same bits everywhere; see `xbce.binary_cross_entropy_with_logits`.

    Returns
    -------
    array
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of a floating dtype.

    Notes
    -----
    With ``e = exp(-|x|)`` it is ``1 / (1 + e)`` for ``x >= 0`` and ``e / (1 + e)`` for ``x < 0``: the left tail keeps
    its digits. ``1 - expit(x)`` loses them in the right tail: write ``expit(-x)``.

    **Accuracy:** float32 3.64 ULP in NumPy, 2.5 elsewhere; float64 2.6; half types 0.5002.

    **Special values.** 0 at -inf, 1/2 at 0, 1 at inf; NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.special import expit
    >>> expit(np.array([-40.0, 0.0, 40.0]))
    array([4.24835426e-18, 5.00000000e-01, 1.00000000e+00])
    """
    return _elementwise(elementary.expit, precision, x=x)


def log_expit(x: ArrayT, /, *, precision: Precision = "native") -> ArrayT:
    """Logarithm of the logistic sigmoid, ``log(expit(x))``.

    Parameters
    ----------
    x : array
        Any shape; float16, bfloat16, float32 or float64.
    precision : {"native", "high"}, optional
        "high" rounds the exact result once, with the same bits everywhere; see `xbce.binary_cross_entropy_with_logits`.

    Returns
    -------
    array
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of a floating dtype.

    See Also
    --------
    softplus : ``log_expit(x)`` is ``-softplus(-x)``, bit for bit.

    Notes
    -----
    **Accuracy:** float32 2.97 ULP; float64 2.7; half types 0.5002.

    **Special values.** -inf at -inf, ``-log(2)`` at 0, 0 at inf; NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.special import log_expit
    >>> log_expit(np.array([-800.0, 0.0, 40.0]))
    array([-8.00000000e+02, -6.93147181e-01, -4.24835426e-18])
    """
    return _elementwise(elementary.log_expit, precision, x=x)


def softplus(x: ArrayT, /, *, precision: Precision = "native") -> ArrayT:
    """Smooth maximum of 0 and x, ``log(1 + exp(x))``.

    Parameters
    ----------
    x : array
        Any shape; float16, bfloat16, float32 or float64.
    precision : {"native", "high"}, optional
        "high" rounds the exact result once, with the same bits everywhere; see `xbce.binary_cross_entropy_with_logits`.

    Returns
    -------
    array
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of a floating dtype.

    See Also
    --------
    log_expit : The same function with both signs changed.

    Notes
    -----
    It is computed as ``max(x, 0) + log1p(exp(-|x|))``, a sum of non-negative terms.

    **Accuracy:** float32 2.97 ULP; float64 2.7; half types 0.5002.

    **Special values.** 0 at -inf, ``log(2)`` at 0, inf at inf; NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.special import softplus
    >>> softplus(np.array([-40.0, 0.0, 800.0]))
    array([4.24835426e-18, 6.93147181e-01, 8.00000000e+02])
    """
    return _elementwise(elementary.softplus, precision, x=x)


def logit(p: ArrayT, /, *, precision: Precision = "native") -> ArrayT:
    """Inverse of the logistic sigmoid, ``log(p / (1 - p))``.

    Parameters
    ----------
    p : array
        Any shape; float16, bfloat16, float32 or float64.
    precision : {"native", "high"}, optional
        "high" rounds the exact result once, with the same bits everywhere; see `xbce.binary_cross_entropy_with_logits`.

    Returns
    -------
    array
        Of the shape and dtype of `p`.

    Raises
    ------
    TypeError
        If `p` is not an array of a floating dtype.

    Notes
    -----
    For ``p <= 1/2`` it is ``log(p) - log1p(-p)``, but from 1/3 on ``-log1p((1 - 2 p) / p)``, so it keeps its digits
    next to the root at 1/2. For ``p > 1/2`` it is minus the logit of ``1 - p``, which is exact there.

    **Accuracy:** float32 2.6 ULP; float64 1.9; half types 0.5002.

    **Special values.** -inf at 0, 0 at 1/2, inf at 1; NaN outside [0, 1] and for NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.special import logit
    >>> logit(np.array([0.0, 1e-300, 0.5, 0.75, 1.0]))
    array([         -inf, -690.7755279 ,    0.        ,    1.09861229,
                     inf])
    """
    return _elementwise(elementary.logit, precision, p=p)


def log1mexp(x: ArrayT, /, *, precision: Precision = "native") -> ArrayT:
    """Logarithm of ``1 - exp(x)``, for ``x <= 0``.

    It maps the logarithm of a probability to the logarithm of its complement: ``log1mexp(log_expit(x))`` is
    ``log_expit(-x)``.

    Parameters
    ----------
    x : array
        Any shape; float16, bfloat16, float32 or float64.
    precision : {"native", "high"}, optional
        "high" rounds the exact result once, with the same bits everywhere; see `xbce.binary_cross_entropy_with_logits`.

    Returns
    -------
    array
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array of a floating dtype.

    Notes
    -----
    For ``x < -1.4`` it is ``log1p(-exp(x))``, and nearer to 0 ``log(-x) + x / 2 + log(sinh(x / 2) / (x / 2))``. The
    last term is a series in ``x^2`` with Bernoulli numbers in its coefficients. The usual ``log(-expm1(x))`` [1]_
    depends on an accurate ``expm1``, which not every library has.

    **Accuracy:** float32 3.26 ULP in NumPy, 2.2 elsewhere; float64 2.4; half types 0.5002.

    **Special values.** 0 at -inf, -inf at 0; NaN for ``x > 0`` and for NaN.

    References
    ----------
    .. [1] M. Maechler, "Accurately computing ``log(1 - exp(-|a|))``", vignette of the R package Rmpfr,
       https://cran.r-project.org/web/packages/Rmpfr/vignettes/log1mexp-note.pdf

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.special import log1mexp
    >>> log1mexp(np.array([-1e-20, -1.0, -40.0]))
    array([-4.60517019e+01, -4.58675145e-01, -4.24835426e-18])
    """
    return _elementwise(elementary.log1mexp, precision, x=x)


@overload
def xlogy(x: float, y: ArrayT, /, *, precision: Precision = ...) -> ArrayT: ...
@overload
def xlogy(x: ArrayT, y: ArrayObject | float, /, *, precision: Precision = ...) -> ArrayT: ...
def xlogy(x: Any, y: Any, /, *, precision: Precision = "native") -> Any:
    """Product ``x log(y)``, which is 0 where x is 0.

    Parameters
    ----------
    x, y : array or scalar
        Of shapes that broadcast against each other; float16, bfloat16, float32 or float64; of one library, on one
        device. One of them may be a Python or NumPy scalar.
    precision : {"native", "high"}, optional
        "high" rounds the exact result once, with the same bits everywhere; see `xbce.binary_cross_entropy_with_logits`.

    Returns
    -------
    array
        Of the broadcast shape, and of the wider of the dtypes; a scalar never widens, nor does an array without
        dimensions beside one that has some.

    Raises
    ------
    TypeError
        If `x` or `y` is not of a floating dtype, both are scalars, or they are of different libraries.
    ValueError
        If their devices differ, or their shapes do not broadcast.

    Notes
    -----
    Where a library's ``log`` is not good enough, between 1/2 and 2, the logarithm is ``log1p(m - 1) + k log(2)`` with
    ``y = m 2^k`` and ``m`` near 1; in NumPy's float32 it is a series in ``y - 1``.

    **Accuracy:** float32 2.6 ULP; float64 2.2; half types 0.5002.

    **Special values.** 0 where ``x == 0``, whatever `y` is, unless it is NaN; otherwise those of the product, NaN for
    ``y < 0``. The derivatives at ``x == 0`` are ``log(y)`` and 0, and both 0 where ``log(y)`` is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.special import xlogy
    >>> xlogy(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0]))
    array([  0., -inf,   0.])
    >>> p = np.array([0.0, 0.25, 0.75])
    >>> -xlogy(p, p).sum()  # entropy
    np.float64(0.56233514461880...)
    """
    return _elementwise(elementary.xlogy, precision, x=x, y=y)


@overload
def xlog1py(x: float, y: ArrayT, /, *, precision: Precision = ...) -> ArrayT: ...
@overload
def xlog1py(x: ArrayT, y: ArrayObject | float, /, *, precision: Precision = ...) -> ArrayT: ...
def xlog1py(x: Any, y: Any, /, *, precision: Precision = "native") -> Any:
    """Product ``x log(1 + y)``, which is 0 where x is 0.

    Parameters
    ----------
    x, y : array or scalar
        Of shapes that broadcast against each other; float16, bfloat16, float32 or float64; of one library, on one
        device. One of them may be a Python or NumPy scalar.
    precision : {"native", "high"}, optional
        "high" rounds the exact result once, with the same bits everywhere; see `xbce.binary_cross_entropy_with_logits`.

    Returns
    -------
    array
        Of the broadcast shape, and of the wider of the dtypes; a scalar never widens, nor does an array without
        dimensions beside one that has some.

    Raises
    ------
    TypeError
        If `x` or `y` is not of a floating dtype, both are scalars, or they are of different libraries.
    ValueError
        If their devices differ, or their shapes do not broadcast.

    Notes
    -----
    With ``u`` for ``1 + y`` rounded, the logarithm is ``log(u) + (y - (u - 1)) / u``, with ``log(u)`` as in `xlogy`. In
    NumPy it is the library's for float64, and for float32 a series from -1/2 to 1 and ``log(u)`` beyond.

    **Accuracy:** float32 3.4 ULP; float64 2.5; half types 0.5002.

    **Special values.** 0 where ``x == 0``, whatever `y` is, unless it is NaN; otherwise those of the product, NaN for
    ``y < -1``. The derivatives at ``x == 0`` are ``log(1 + y)`` and 0, and both 0 where ``log(1 + y)`` is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from xbce.special import xlog1py
    >>> xlog1py(np.array([0.0, 1.0, 2.0]), np.array([-1.0, -1.0, 1e-20]))
    array([0.e+00,   -inf, 2.e-20])
    """
    return _elementwise(elementary.xlog1py, precision, x=x, y=y)


def _elementwise(function: Callable[..., Array], precision: Precision, **arguments: ArrayT) -> ArrayT:
    inputs = primitive_inputs(**arguments).with_precision(precision)
    computed = checked(inputs, Elementwise(function, inputs.computing, inputs.dtype, inputs.arithmetic))
    result: ArrayT = runner_for(inputs.xp).map(inputs.xp, computed, inputs.arrays)
    return result
