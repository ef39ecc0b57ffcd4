"""Formats: their constants against what the libraries say, and ULP at the edges."""

import ml_dtypes
import numpy as np
import pytest

from xbce_conformance.inputs.formats import FORMATS


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_constants(fmt):
    info = ml_dtypes.finfo(fmt.dtype)
    assert fmt.tiny == float(info.smallest_normal)
    assert fmt.smallest == float(info.smallest_subnormal)
    assert fmt.max == float(info.max)
    assert 2.0 ** (1 - fmt.p) == float(info.eps)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_ulp_is_the_spacing(fmt):
    x = np.array([fmt.smallest, fmt.tiny, 0.75, 1.0, 1.5, 2.0, fmt.max / 4])
    np.testing.assert_array_equal(fmt.ulp(x), np.float64(np.spacing(fmt.round(x))))
    np.testing.assert_array_equal(fmt.ulp(-x), fmt.ulp(x))
    assert fmt.ulp(0.0) == fmt.smallest


def test_ulp_just_below_a_power_of_two_is_that_of_the_lower_binade():
    below = np.nextafter(1.0, 0.0)
    assert FORMATS["float32"].ulp(below) == 2.0**-24
    assert FORMATS["float32"].ulp(1.0) == 2.0**-23
