"""Options that are arrays: for each class or element, traced, and differentiated by PyTorch and JAX."""

import itertools
import math
import re

import mpmath
import numpy as np
import pytest

import xbce
from tests.helpers import NUMPY, approx, assert_equal, assert_same_bits, assert_ulp, forget_plans, jax_float64, step
from xbce_conformance.cases import METHODS
from xbce_conformance.cases.losses import FAMILY
from xbce_conformance.exact_values import definitions
from xbce_conformance.exact_values.by_series import SeriesReference
from xbce_conformance.inputs.formats import FORMATS
from xbce_conformance.inputs.regimes import DRAWN

bce, focal, asymmetric = xbce.binary_cross_entropy_with_logits, xbce.sigmoid_focal_loss, xbce.asymmetric_loss
OPTIONS = {(loss.name, name): DRAWN[name] for loss in FAMILY.values() for name in (*loss.options, "label_smoothing")}
METHOD_NAMES = [method or "__call__" for method in METHODS]


def _scores(loss, backend, dtype="float64", shape=(6, 5)):
    rng = np.random.default_rng(7)
    x = rng.uniform(0.01, 0.99, shape) if FAMILY[loss].first == "probabilities" else 6 * rng.standard_normal(shape)
    z = np.where(rng.random(shape) < 0.5, rng.random(shape), rng.random(shape) < 0.5)
    return backend.from_numpy(x.astype(dtype)), backend.from_numpy(z.astype(dtype))


@pytest.mark.parametrize(("loss", "option"), OPTIONS)
def test_each_element_is_that_of_its_number(backend, loss, option):
    x, z = _scores(loss, backend)
    for shape, name in itertools.product(
        ((), (5,), (6, 1), (6, 5)) if backend.name == "numpy" else ((5,),), METHOD_NAMES
    ):
        numbers = np.resize(DRAWN[option], shape) if shape else np.float64(DRAWN[option][1])
        array = backend.from_numpy(np.asarray(numbers))
        method = getattr(getattr(xbce, loss), name)
        with step(backend, method, shape, **{option: numbers}):
            found = method(x, z, **{option: array})
            several = found if isinstance(found, tuple) else (found,)
            for number in np.unique(numbers):
                wanted = method(x, z, **{option: float(number)})
                for a, b in zip(several, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
                    here = np.broadcast_to(numbers == number, (6, 5))
                    np.testing.assert_allclose(backend.to_numpy(a)[here], backend.to_numpy(b)[here], 4e-14, 0)


def test_the_dtype_of_an_option_decides_nothing_and_is_not_rounded(backend, dtype):
    """Beside narrower logits an option of float64 has the computation run in float64, rounded once."""
    if dtype == "float64" or "float64" not in backend.dtypes:
        pytest.skip("no dtype is wider")
    narrow, wide = FORMATS[dtype], FORMATS["float64"]
    x, z = (narrow.round(a) for a in _scores("sigmoid_focal_loss", NUMPY))
    for shape in ((5,),) if backend.name == "numpy" else ((), (5,)):  # an array of NumPy without dimensions is a number
        gamma = backend.from_numpy(np.full(shape, 1.3))
        with step(backend, focal, shape):
            found = backend.to_numpy(focal(*map(backend.from_numpy, (x, z)), gamma=gamma))
            exact = focal(*(backend.from_numpy(wide.round(a)) for a in (x, z)), gamma=gamma)
            assert found.dtype == narrow.dtype
            np.testing.assert_array_equal(found, narrow.round(backend.to_numpy(exact)))


def test_integers_are_numbers(backend):
    x, z = _scores("sigmoid_focal_loss", backend)
    whole = np.array([0, 1, 2, 3, 4])
    assert_same_bits(
        backend,
        focal(x, z, gamma=backend.from_numpy(whole)),
        focal(x, z, gamma=backend.from_numpy(whole.astype("float64"))),
    )


@pytest.mark.parametrize(("loss", "option"), OPTIONS)
def test_what_a_mask_drops_may_be_anything(backend, loss, option):
    x, z = _scores(loss, backend)
    kept = np.arange(30).reshape(6, 5) % 3 > 0
    numbers = np.resize(DRAWN[option], (6, 5))
    spoilt = np.where(kept, numbers, np.nan)
    where = backend.from_numpy(kept)
    for name, reduction in itertools.product(METHOD_NAMES, ("none", "mean")):
        method = getattr(getattr(xbce, loss), name)
        with step(backend, method, option, reduction=reduction):
            found, wanted = (
                method(x, z, where=where, reduction=reduction, **{option: backend.from_numpy(a)})
                for a in (spoilt, numbers)
            )
            assert_equal(backend, found, wanted)


@pytest.mark.parametrize(
    ("option", "kind", "text"),
    [
        (np.ones((2, 6, 5)), ValueError, "gamma must broadcast to the shape of logits without enlarging it, "),
        (
            np.ones(4),
            ValueError,
            "gamma must broadcast to the shape of logits without enlarging it, got gamma (4,) and ",
        ),
        (
            np.ones(5, "bool"),
            TypeError,
            "gamma must be integer or one of float16, bfloat16, float32, float64, got bool",
        ),
        (
            np.ones(5, "complex64"),
            TypeError,
            "gamma must be integer or one of float16, bfloat16, float32, float64, got ",
        ),
        (np.ma.ones(5), TypeError, "gamma must not be a masked array: its mask would be ignored"),
        ([1.0, 2.0], TypeError, "gamma must be a number or an array, got list"),
    ],
    ids=["larger", "longer", "boolean", "complex", "masked", "list"],
)
def test_arrays_that_are_refused(option, kind, text):
    with pytest.raises(kind, match=f"^{re.escape(text)}"):
        focal(*_scores("sigmoid_focal_loss", NUMPY), gamma=option)


def test_another_library_is_refused():
    torch = pytest.importorskip("torch")
    text = "gamma must be an array of the same library as logits (numpy), got an array of torch"
    with pytest.raises(TypeError, match=f"^{re.escape(text)}"):
        focal(*_scores("sigmoid_focal_loss", NUMPY), gamma=torch.ones(5))


def test_numpy_arrays_beside_those_of_jax():
    jnp = pytest.importorskip("jax.numpy")
    x, z, gamma = jnp.zeros(3), jnp.ones(3), np.array([0.0, 1.0, 2.0], "float32")
    np.testing.assert_allclose(focal(x, z, gamma=gamma), math.log(2) / 2**gamma, 1e-6)


def test_values_of_arrays_follow_the_formula():
    """They are not looked at: out of range they are as the formula has them."""
    x, z = np.array([0.5, -0.5]), np.array([1.0, 1.0])
    m = 1 / (1 + np.exp(x))
    np.testing.assert_allclose(focal(x, z, gamma=np.array([-1.0, -2.0])), bce(x, z) / m ** np.array([1, 2]), 1e-14)
    np.testing.assert_allclose(focal(x, z, gamma=0, alpha=np.array([2.0, -1.0])), bce(x, z) * [2, -1], 1e-14)


# --- derivatives ----------------------------------------------------------------------------------------------------


def _inside(option):
    """Return a number of the option for each of three classes, where the loss has derivatives in it."""
    return np.resize(DRAWN[option][1:], 3) + 2.0**-9


def _call(loss, option, z):
    def call(x, numbers):
        return getattr(xbce, loss)(x, z, **{option: numbers})

    return call


@pytest.mark.parametrize(("loss", "option"), OPTIONS)
def test_pytorch_differentiates_twice(loss, option):
    torch = pytest.importorskip("torch")
    x, z = (torch.from_numpy(a) for a in _scores(loss, NUMPY, shape=(2, 3)))
    numbers = torch.from_numpy(_inside(option))
    call = _call(loss, option, z)
    arguments = x.requires_grad_(), numbers.requires_grad_()
    assert torch.autograd.gradcheck(call, arguments)
    assert torch.autograd.gradgradcheck(call, arguments)


@pytest.mark.parametrize(
    ("loss", "option"),
    [
        # The suite measures the derivatives of all of them, and PyTorch takes the same closed forms.
        pytest.param(*names, marks=() if names == ("sigmoid_focal_loss", "gamma") else pytest.mark.long)
        for names in OPTIONS
    ],
)
def test_jax_differentiates_twice(loss, option):
    jax = pytest.importorskip("jax")
    from jax.test_util import check_grads

    with jax_float64(True):
        x, z = (jax.numpy.asarray(a) for a in _scores(loss, NUMPY, shape=(2, 3)))
        numbers = jax.numpy.asarray(_inside(option))
        check_grads(jax.jit(_call(loss, option, z)), (x, numbers), order=2, modes=("fwd", "rev"), rtol=1e-4)


def _differentiable(library):
    """Return the gradient of a sum in one argument, for arrays of NumPy."""
    if library == "torch":
        torch = pytest.importorskip("torch")

        def gradient(function, place, *arrays):
            arrays = [torch.tensor(a, requires_grad=i == place) for i, a in enumerate(arrays)]
            return torch.autograd.grad(function(*arrays).sum(), arrays[place])[0].numpy()

        def twice(function, places, *arrays):
            arrays = [torch.tensor(a, requires_grad=i in places) for i, a in enumerate(arrays)]
            (once,) = torch.autograd.grad(function(*arrays).sum(), arrays[places[0]], create_graph=True)
            return torch.autograd.grad(once.sum(), arrays[places[1]])[0].numpy()

        return gradient, twice
    jax = pytest.importorskip("jax")

    def gradient(function, place, *arrays):
        arrays = map(jax.numpy.asarray, arrays)
        return np.asarray(jax.grad(lambda *a: function(*a).sum(), place)(*arrays))

    def twice(function, places, *arrays):
        once = jax.grad(lambda *a: function(*a).sum(), places[0])
        return np.asarray(jax.grad(lambda *a: once(*a).sum(), places[1])(*map(jax.numpy.asarray, arrays)))

    return gradient, twice


def _focal(x, z, gamma):
    return focal(x, z, gamma=gamma)


TAILS = [-80.0, -20.0, -1.0, 0.0, 1.0, 20.0, 80.0]


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_derivatives_in_gamma_keep_their_digits_in_both_tails(library):
    """Where 1 - p_t rounds to 1 its logarithm has all digits still; first and second order, and with the logits."""
    gradient, twice = _differentiable(library)
    grid = itertools.product(TAILS, (0.0, 0.25, 1.0), (0.0, 0.3, 1.0, 2.5))
    x, z, g = (np.array(column, "float32") for column in zip(*grid, strict=True))
    found = {
        "gamma": gradient(_focal, 2, x, z, g),
        "gamma, gamma": twice(_focal, (2, 2), x, z, g),
        "gamma, logits": twice(_focal, (2, 0), x, z, g),
        "logits, gamma": twice(_focal, (0, 2), x, z, g),
    }
    with mpmath.workdps(80):
        for i, numbers in enumerate(zip(x, z, g, strict=True)):
            exact = _exact(*map(mpmath.mpf, map(float, numbers)))
            for name, value in exact.items():
                with step(library, focal, name, *numbers):
                    within = 20 * 2.0**-23 * (1 + float(numbers[2])) * abs(float(value)) + 2.0**-126  # JAX flushes
                    assert abs(float(found[name][i]) - float(value)) <= within


def _exact(x, z, g):
    """Return derivatives of M^g C, written out."""
    f, b = 1 / (1 + mpmath.exp(-x)), 1 / (1 + mpmath.exp(x))
    m, c = z * b + (1 - z) * f, -z * mpmath.log(f) - (1 - z) * mpmath.log(b)
    log, m_x, c_x = mpmath.log(m), (1 - 2 * z) * f * b, f - z
    power = m**g
    mixed = power * (log * c_x + (g * log + 1) * m_x / m * c)
    return {
        "gamma": power * log * c,
        "gamma, gamma": power * log**2 * c,
        "gamma, logits": mixed,
        "logits, gamma": mixed,
    }


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_derivatives_in_gamma_at_infinite_logits_are_limits(library):
    gradient, twice = _differentiable(library)
    x = np.array([np.inf, np.inf, -np.inf, -np.inf, np.inf], "float32")
    z = np.array([1.0, 0.0, 1.0, 0.0, 0.25], "float32")
    for gamma in (0.0, 0.5, 2.0):
        g = np.full(5, gamma, "float32")
        with step(library, focal, gamma=gamma):
            np.testing.assert_array_equal(gradient(_focal, 2, x, z, g), [0, 0, 0, 0, -np.inf])
            np.testing.assert_array_equal(twice(_focal, (2, 0), x, z, g)[:4], 0)
            np.testing.assert_array_equal(twice(_focal, (2, 2), x, z, g)[:4], 0)


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_derivatives_in_the_label_smoothing_at_infinite_logits(library):
    gradient, _ = _differentiable(library)
    x, z = np.array([np.inf, np.inf, -np.inf, np.inf], "float32"), np.array([0.0, 1.0, 1.0, 0.5], "float32")
    for loss in (bce, focal):
        with step(library, loss):
            found = gradient(lambda x, z, a: loss(x, z, label_smoothing=a), 2, x, z, np.full(4, 0.5, "float32"))  # noqa: B023
            np.testing.assert_array_equal(found[:3], [-np.inf, np.inf, -np.inf])
            assert found[3] == 0


def test_an_option_without_dimensions_is_learnt_as_optax_learns_it():
    optax, torch = pytest.importorskip("optax"), pytest.importorskip("torch")
    jax = pytest.importorskip("jax")
    rng = np.random.default_rng(3)
    x, z = rng.standard_normal(400).astype("float32"), (rng.random(400) < 0.3).astype("float32")

    def optax_loss(options):
        gamma, temperature = options
        return optax.sigmoid_focal_loss(x / temperature, z, gamma=gamma).mean()

    def jax_loss(options):
        gamma, temperature = options
        return focal(jax.numpy.asarray(x) / temperature, z, gamma=gamma, reduction="mean")

    trained = {}
    for name, loss in (("optax", optax_loss), ("jax", jax_loss)):
        options, step_of = (2.0, 1.0), jax.jit(jax.grad(loss))
        for _ in range(50):
            options = tuple(float(o - 0.5 * slope) for o, slope in zip(options, step_of(options), strict=True))
        trained[name] = options
    gamma, temperature = (torch.nn.Parameter(torch.tensor(n)) for n in (2.0, 1.0))
    descent = torch.optim.SGD([gamma, temperature], lr=0.5)
    for _ in range(50):
        descent.zero_grad()
        focal(torch.tensor(x) / temperature, torch.tensor(z), gamma=gamma, reduction="mean").backward()
        descent.step()
    trained["torch"] = gamma.item(), temperature.item()
    assert trained["optax"][0] > 2.5
    assert trained["jax"] == approx(trained["optax"], rel=1e-5)
    assert trained["torch"] == approx(trained["optax"], rel=1e-5)


# --- compilers ------------------------------------------------------------------------------------------------------


def test_jax_traces_and_maps():
    jax = pytest.importorskip("jax")
    x, z = _scores("sigmoid_focal_loss", NUMPY, "float32")
    gammas = np.array([0.0, 0.5, 2.0], "float32")
    total = jax.jit(lambda g: focal(jax.numpy.asarray(x), jax.numpy.asarray(z), gamma=g, reduction="sum"))
    slope = jax.jit(jax.grad(total))
    mapped = jax.vmap(slope)(gammas)
    for gamma, mapped_slope in zip(gammas.tolist(), mapped.tolist(), strict=True):
        with step("jax", focal, gamma=gamma):
            assert float(total(gamma)) == approx(float(focal(x, z, gamma=gamma, reduction="sum")), rel=1e-6)
            assert mapped_slope == approx(float(slope(gamma)), rel=1e-6)


def test_torch_compile_compiles_once_for_all_values():
    torch = pytest.importorskip("torch")
    x, z = (torch.from_numpy(a) for a in _scores("sigmoid_focal_loss", NUMPY, "float32"))
    torch.compiler.reset()

    def total(x, z, gamma, alpha):
        return focal(x, z, gamma=gamma, alpha=alpha, reduction="sum")

    compiled = torch.compile(total, fullgraph=True, dynamic=False)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for number in (0.0, 0.5, 2.0, 3.7):
            options = [torch.tensor(number, requires_grad=True), torch.full((5,), 0.3, requires_grad=True)]
            with step("torch", focal, gamma=number):
                found = torch.autograd.grad(compiled(x, z, *options), options)
                wanted = torch.autograd.grad(total(x, z, *options), options)
                torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0)


def test_torch_func_maps_over_options():
    torch = pytest.importorskip("torch")
    x, z = (torch.from_numpy(a) for a in _scores("sigmoid_focal_loss", NUMPY))
    gammas = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    slope = torch.func.grad(lambda g: focal(x, z, gamma=g, reduction="sum"))
    torch.testing.assert_close(torch.func.vmap(slope)(gammas), torch.stack([slope(g) for g in gammas]))
    tangent = torch.func.jvp(
        lambda g: focal(x, z, gamma=g, reduction="sum"), (gammas[1],), (torch.ones_like(gammas[1]),)
    )
    torch.testing.assert_close(tangent[1], slope(gammas[1]))


def test_dask_computes_nothing_in_a_call():
    da = pytest.importorskip("dask.array")
    x, z = _scores("sigmoid_focal_loss", NUMPY, shape=(40, 5))
    gamma = np.linspace(0, 4, 5)
    lazy = focal(da.from_array(x, (7, 2)), da.from_array(z, (7, 2)), gamma=da.from_array(gamma, 2), reduction="mean")
    assert float(lazy.compute()) == approx(float(focal(x, z, gamma=gamma, reduction="mean")), rel=1e-14)


def test_a_kept_plan_serves_other_values_and_no_other_shapes():
    x, z = _scores("sigmoid_focal_loss", NUMPY)
    for gamma in (np.zeros(5), np.full(5, 2.0), np.full((6, 5), 2.0), 2.0, np.float64(2), np.array(2.0)):
        with step(NUMPY, focal, gamma=gamma):
            np.testing.assert_allclose(
                focal(x, z, gamma=gamma), focal(x, z, gamma=float(np.ravel(gamma)[0])), 4e-14, err_msg=repr(gamma)
            )


@pytest.mark.parametrize(
    ("x", "z"), [(-(2.0**122), 1.9 * 2.0**-101), (2.0**122, 1 - 2.0**-24), (-(2.0**123), 2.0**-128)]
)
@pytest.mark.parametrize("gamma", [0.3, 1.0, 1.3])
def test_a_small_label_beside_a_huge_logit(x, z, gamma):
    """With alpha=1 the weight of the loss is as small as the label, and its product with a root of M underflows."""
    torch = pytest.importorskip("torch")
    numbers = tuple(np.float32([n]) for n in (x, z))
    held = np.float32(gamma)
    exact = SeriesReference(definitions.focal(float(held), 1.0)).exact("label_gradient", numbers)["label_gradient"]
    for given in (float(held), np.array([held])):
        assert_ulp(float(focal.label_gradient(*numbers, gamma=given, alpha=1)[0]), exact.high[0], 10, "float32")
    # M is a subnormal number where the label is one, not exp(-|x|).
    definition = definitions.with_arrays(("gamma",), lambda series: definitions.focal(series["gamma"]))
    reference = SeriesReference(definition, ("logits", "labels", "gamma"))
    exact = reference.exact("gamma_gradient", (*numbers, np.array([held])))["gamma_gradient"]
    options = torch.tensor([held], requires_grad=True)
    focal(*map(torch.from_numpy, numbers), gamma=options).sum().backward()
    assert_ulp(options.grad.item(), exact.high[0], 12, "float32")


def test_an_exponent_above_1_beside_an_array_multiplies_the_error_of_exp_once():
    """The root that exponents below 1 need multiplies it by 4: 28.8 ULP here, of JAX's exp."""
    jnp = pytest.importorskip("jax.numpy")
    x, z = float.fromhex("-0x1.7e7b0b188409fp+6"), 0.0
    exact = SeriesReference(definitions.asymmetric(1.0, 6.0)).exact("label_gradient", (np.array([x]), np.array([z])))
    with jax_float64(on=True):
        logits, labels, gamma_pos = (jnp.full(64, number) for number in (x, z, 1.0))
        slope = asymmetric.label_gradient(logits, labels, gamma_pos=gamma_pos, gamma_neg=6)
        assert_ulp(float(slope[0]), exact["label_gradient"].high[0], 6, "float64")


def test_an_array_of_shifts_may_hold_zeros():
    """Where the power of M is a normal number, although M has underflowed, and everywhere else."""
    x, z = np.array([-3000.0, -900.0, -1.0, 1.0, 900.0, 3000.0]), np.array([0.0, 0.0, 0.25, 0.0, 1.0, 1.0])
    exponents = {"gamma_pos": 0.2, "gamma_neg": 0.1}
    for name in METHOD_NAMES:
        method = getattr(asymmetric, name)
        found, wanted = (method(x, z, shift=shift, **exponents) for shift in (np.zeros(6), 0))
        with step(NUMPY, method):
            np.testing.assert_allclose(found, wanted, 4e-15, 0)


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_derivatives_in_alpha_and_gamma_keep_their_digits(library):
    _, twice = _differentiable(library)
    x, z = np.array([20.0, -20.0, 1.0], "float32"), np.array([0.0, 1.0, 0.0], "float32")
    options = np.full(3, 2.0, "float32"), np.full(3, 0.25, "float32")
    mixed = [
        twice(lambda x, z, g, a: focal(x, z, gamma=g, alpha=a), places, x, z, *options) for places in ((2, 3), (3, 2))
    ]
    with mpmath.workdps(40):
        for one, other, label, *numbers in zip(*mixed, z, x, z, strict=True):
            exact = float(_exact(*map(mpmath.mpf, map(float, numbers)), mpmath.mpf(2))["gamma"]) * (2 * label - 1)
            assert one == approx(exact, rel=4e-6)
            assert other == approx(exact, rel=4e-6)


def test_no_label_matters_where_all_are_smoothed():
    """With label_smoothing=1 the slope in the labels is 0, also at an infinite logit."""
    x, z = np.array([np.inf, -np.inf, 3.0]), np.array([0.0, 1.0, 1.0])
    for smoothing in (1, np.ones(3)):
        assert_equal(NUMPY, bce.label_gradient(x, z, label_smoothing=smoothing), np.zeros(3), context=repr(smoothing))


def test_the_gradient_at_the_largest_gamma_is_within_the_bound():
    x, z, gamma = np.float32([-3.0]), np.float32([0.0]), np.float32([50.0])
    with mpmath.workdps(60):
        m = 1 / (1 + mpmath.exp(3))
        exact = float(m**50 * -mpmath.log(1 - m))
    assert_ulp(float(focal(x, z, gamma=gamma)[0]), exact, 204, "float32")


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_an_array_that_is_two_options_is_not_planned_for(library):
    xp = pytest.importorskip(library)
    x, half, quarter = xp.linspace(-3, 3, 5), xp.ones(5) / 2, xp.ones(5) / 4
    z = (x > 1) + 0.0
    for second in (half, quarter):
        forget_plans(focal)
        expected = focal(x, z, gamma=half + 0, alpha=second + 0)
        forget_plans(focal)
        focal(x, z, gamma=half, alpha=half)
        assert (focal(x, z, gamma=half, alpha=second) == expected).all(), second
