"""The whole public API under array-api-extra's checks of laziness: jitted with JAX, never computing with Dask."""

import operator
from types import SimpleNamespace

import numpy as np
import pytest
from array_api_compat import array_namespace

import xbce
from tests.helpers import step
from xbce import special
from xbce_conformance.cases.losses import FAMILY
from xbce_conformance.subjects.backends import BACKEND_NAMES, find_backends

testing = pytest.importorskip("array_api_extra.testing")
lazy_xp_function = testing.lazy_xp_function

pytestmark = pytest.mark.thread_unsafe(reason="array-api-extra counts the computations of all threads")
LOSSES = tuple(FAMILY)
METHODS = ("gradient", "hessian", "value_and_gradient", "gradient_and_hessian", "label_gradient")
PRIMITIVES = {
    "expit": (-3.0, 3.0),
    "log_expit": (-3.0, 3.0),
    "softplus": (-3.0, 3.0),
    "logit": (0.1, 0.9),
    "log1mexp": (-3.0, -0.1),
    "xlogy": (0.1, 3.0),
    "xlog1py": (0.1, 3.0),
}


def plain(function):
    """Return a function that array-api-extra can tag: it writes attributes and looks for functions in the module."""

    def call(*args, **kwargs):
        return function(*args, **kwargs)

    lazy_xp_function(call)
    return call


# Where `patch_lazy_xp_functions` finds them: among the globals of this module.
for _loss in LOSSES:
    globals()[_loss] = plain(getattr(xbce, _loss))
    for _method in METHODS:
        globals()[f"{_loss}_{_method}"] = plain(getattr(getattr(xbce, _loss), _method))
for _primitive in PRIMITIVES:
    globals()[_primitive] = plain(getattr(special, _primitive))
reduce = plain(xbce.reduce)
looks_at_values = plain(float)

OPTIONS = {
    "none": {},
    "all": {"reduction": "mean", "axis": 0, "normalize_by": "weight", "label_smoothing": 0.1},
}


@pytest.fixture(params=BACKEND_NAMES)
def xp(request):
    found, missing = find_backends((request.param,))
    if missing:
        pytest.skip(f"{request.param}: {missing[request.param]}")
    namespace = array_namespace(found[request.param].from_numpy(np.float64([0.0])))
    with testing.patch_lazy_xp_functions(request, xp=namespace):
        yield found[request.param]


def test_everything_public_is_tagged():
    public = {*LOSSES, "reduce"} | {"check_labels", "conventions", "get_num_threads", "set_num_threads", "special"}
    public.add("SumAccumulator")  # it reads values
    assert public >= set(xbce.__all__)
    assert set(PRIMITIVES) == set(special.__all__)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_losses(xp, loss, options):
    rng = np.random.default_rng(0)
    x, z, w = rng.uniform(0.1, 0.9, (4, 3)), rng.uniform(0, 1, (4, 3)), rng.uniform(0.5, 2, 3)
    extra = {"weight": w, "pos_weight": w, "where": x > 0.2} if options else {}
    of_xp = {name: xp.from_numpy(a) for name, a in extra.items()}
    for method in (None, *METHODS):
        function = getattr(getattr(xbce, loss), method) if method else getattr(xbce, loss)
        with step(xp, function, **options):
            wanted = function(x, z, **options, **extra)
            got = globals()[f"{loss}_{method}" if method else loss](*map(xp.from_numpy, (x, z)), **options, **of_xp)
            for a, b in zip(got, wanted, strict=True) if isinstance(wanted, tuple) else [(got, wanted)]:
                np.testing.assert_allclose(xp.to_numpy(a), b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives(xp, name):
    x = np.linspace(*PRIMITIVES[name], 12).reshape(4, 3)
    arguments = (x, x) if name.startswith("xlog") else (x,)
    got = globals()[name](*map(xp.from_numpy, arguments))
    np.testing.assert_allclose(xp.to_numpy(got), getattr(special, name)(*arguments), rtol=1e-12, atol=0)


def test_reduce(xp):
    x = np.linspace(0.1, 2, 12).reshape(4, 3)
    got = reduce(xp.from_numpy(x), where=xp.from_numpy(x > 0.5), axis=1)
    np.testing.assert_allclose(xp.to_numpy(got), xbce.reduce(x, where=x > 0.5, axis=1), rtol=1e-12, atol=0)


def test_looking_at_values_would_be_noticed(xp):
    x = xp.from_numpy(np.asarray(1.0))
    if xp.name in ("jax", "jax:cuda", "dask"):
        with pytest.raises((TypeError, AssertionError)):
            looks_at_values(x)
    else:
        assert looks_at_values(x) == 1


class Graph:
    """An array of a library that knows the first length only when it runs, as graphs of ONNX do: None in its shape.

    Operations are those of array-api-strict.
    """

    def __init__(self, array):
        self.array = array
        self.dtype, self.device, self.ndim = array.dtype, array.device, array.ndim
        self.shape = (None, *array.shape[1:])[: array.ndim]

    def __array_namespace__(self, *, api_version=None):
        return graphs


def on_graphs(function):
    def call(*args, **kwargs):
        with np.errstate(all="ignore"):
            result = function(*(a.array if isinstance(a, Graph) else a for a in args), **kwargs)
        return Graph(result) if hasattr(result, "ndim") else result

    return call


for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "neg",
    "eq",
    "ge",
    "radd",
    "rsub",
    "rmul",
    "rtruediv",
    "invert",
    "and_",
    "or_",
):
    _operation = getattr(operator, _name.removeprefix("r"))
    _swapped = _name.startswith("r")
    setattr(
        Graph,
        f"__{_name.rstrip('_')}__",
        on_graphs((lambda f: lambda a, b: f(b, a))(_operation) if _swapped else _operation),
    )


class Namespace(SimpleNamespace):
    def __getattr__(self, name):
        found = getattr(pytest.importorskip("array_api_strict"), name)
        return on_graphs(found) if callable(found) and "dtype" not in str(type(found)).lower() else found


graphs = Namespace(__name__="graphs")

MEANS = {
    "count": {"normalize_by": "count"},
    "size": {"normalize_by": "size"},
    "an axis": {"axis": 0},
    "the other axis": {"axis": 1},
    "both axes": {"axis": (0, 1)},
}


@pytest.mark.parametrize("options", MEANS.values(), ids=MEANS)
def test_means_over_lengths_that_are_none(options):
    strict = pytest.importorskip("array_api_strict")
    x = np.linspace(-3, 3, 12).reshape(4, 3)
    z = (x > 1) * 1.0
    bce = xbce.binary_cross_entropy_with_logits
    got = bce.value_and_gradient(*(Graph(strict.asarray(a)) for a in (x, z)), reduction="mean", **options)
    for quantity, a, b in zip(
        ("value", "gradient"), got, bce.value_and_gradient(x, z, reduction="mean", **options), strict=True
    ):
        with step("lengths that are None", bce, quantity, **options):
            np.testing.assert_allclose(np.from_dlpack(a.array), b, rtol=1e-13)
    reduced = xbce.reduce(Graph(strict.asarray(x)), **options)
    np.testing.assert_allclose(np.from_dlpack(reduced.array), xbce.reduce(x, **options), rtol=1e-13, atol=1e-15)


def test_batch_of_a_length_that_is_none():
    strict = pytest.importorskip("array_api_strict")
    x = Graph(strict.zeros((4, 3)))
    text = r"^normalize_by='batch' divides by the length of axis 0, but that of losses is not known yet$"
    with pytest.raises(ValueError, match=text):
        xbce.reduce(x, normalize_by="batch")
