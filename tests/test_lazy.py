"""The whole public API under array-api-extra's checks of laziness: jitted with JAX, never computing with Dask."""

import numpy as np
import pytest
from array_api_compat import array_namespace

import xbce
from xbce import special
from xbce_conformance.backends import BACKEND_NAMES, find_backends

testing = pytest.importorskip("array_api_extra.testing")
lazy_xp_function = testing.lazy_xp_function

LOSSES = ("binary_cross_entropy_with_logits", "binary_cross_entropy", "sigmoid_focal_loss", "asymmetric_loss")
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
    assert public >= set(xbce.__all__)
    assert set(PRIMITIVES) == set(special.__all__)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses(xp, loss, method, options):
    rng = np.random.default_rng(0)
    x, z, w = rng.uniform(0.1, 0.9, (4, 3)), rng.uniform(0, 1, (4, 3)), rng.uniform(0.5, 2, 3)
    extra = {"weight": w, "pos_weight": w, "where": x > 0.2} if options else {}
    wanted = (getattr(getattr(xbce, loss), method) if method else getattr(xbce, loss))(x, z, **options, **extra)
    tagged = globals()[f"{loss}_{method}" if method else loss]
    got = tagged(*map(xp.from_numpy, (x, z)), **options, **{k: xp.from_numpy(v) for k, v in extra.items()})
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
    if xp.name in ("jax", "dask"):
        with pytest.raises((TypeError, AssertionError)):
            looks_at_values(x)
    else:
        assert looks_at_values(x) == 1
