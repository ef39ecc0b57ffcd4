"""What a reader, an editor and `help` see of the losses: their parameters, and what each method means."""

import inspect
import pickle
import pydoc
import re
import typing

import pytest

import xbce
from xbce._call import options as _options
from xbce._call.loss import Loss
from xbce._typing import ArrayObject
from xbce_conformance.cases.losses import FAMILY

OWN = {name: (loss.first, {option: of.default for option, of in loss.options.items()}) for name, loss in FAMILY.items()}
"""What each loss calls its first argument, and its own options with their defaults."""
COMMON = {
    "pos_weight": None,
    "label_smoothing": 0.0,
    "weight": None,
    "where": None,
    "reduction": "none",
    "axis": None,
    "normalize_by": "count",
    "precision": "native",
    "keepdims": False,
    "dtype": None,
}


def parameters(function):
    """Return names, kinds and defaults, in order."""
    return [(p.name, p.kind.name, p.default) for p in inspect.signature(function).parameters.values()]


def expected(name):
    first, own = OWN[name]
    arrays = [(array, "POSITIONAL_ONLY", inspect.Parameter.empty) for array in (first, "labels")]
    return arrays + [(option, "KEYWORD_ONLY", default) for option, default in (own | COMMON).items()]


@pytest.mark.parametrize("name", OWN)
def test_parameters_of_a_loss(name):
    assert parameters(getattr(xbce, name)) == expected(name)


METHODS = ("gradient", "hessian", "value_and_gradient", "gradient_and_hessian", "label_gradient")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", OWN)
def test_methods_have_the_parameters_of_the_loss_and_a_meaning_of_their_own(name, method):
    bound = getattr(getattr(xbce, name), method)
    assert parameters(bound) == expected(name)
    assert pydoc.render_doc(bound, renderer=pydoc.plaintext).count("normalize_by:") == 1
    assert bound.__doc__ == f"{getattr(Loss, method).__doc__}\n\nThe arguments are those of :func:`xbce.{name}`."
    assert bound.__qualname__ == f"{name}.{method}"
    assert pickle.loads(pickle.dumps(bound)) == bound  # noqa: S301


def test_meanings_of_methods_differ():
    assert len({getattr(Loss, method).__doc__ for method in METHODS}) == len(METHODS)


@pytest.mark.parametrize("name", OWN)
def test_options_are_documented_where_the_source_refers_to_them(name):
    loss = getattr(xbce, name)
    source = inspect.cleandoc(loss.__wrapped__.__doc__)
    assert source.count(_options.ENTRY) == 1
    assert "{" not in source.partition("Returns\n")[0]
    assert _options.ENTRY not in loss.__doc__
    for option in COMMON:
        assert re.search(rf"^{option} : .+\n    \S", loss.__doc__, re.MULTILINE), option


def test_options_have_types_defaults_and_documentation_in_one_order():
    assert list(_options.LossOptions.__annotations__) == list(_options.DEFAULTS) == list(COMMON)
    assert re.findall(r"^    (\w+) : ", _options.LossOptions.__doc__, re.MULTILINE) == list(COMMON)
    typed = _options.LossOptions.__annotations__.items()
    arrays = [name for name, kind in typed if ArrayObject in typing.get_args(kind)]
    numbers = {"label_smoothing"}  # or arrays of them
    assert [name for name in arrays if name not in numbers] == list(_options.ARRAYS)


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((), {}, "sigmoid_focal_loss() missing 2 required positional arguments: 'logits' and 'labels'"),
        ((1.0,), {}, "sigmoid_focal_loss() missing 1 required positional argument: 'labels'"),
        ((1.0, 1, 2), {}, "sigmoid_focal_loss() takes 2 positional arguments but 3 were given"),
        ((1.0, 1), {"weights": 1}, "sigmoid_focal_loss() got an unexpected keyword argument 'weights'"),
        (
            (),
            {"logits": 1.0, "labels": 1},
            "sigmoid_focal_loss() got some positional-only arguments passed as keyword arguments: 'logits, labels'",
        ),
    ],
)
@pytest.mark.parametrize("method", ["__call__", "gradient"])
def test_calls_that_do_not_fit_are_refused_as_python_does(method, args, options, message):
    with pytest.raises(TypeError) as caught:
        getattr(xbce.sigmoid_focal_loss, method)(*args, **options)
    assert str(caught.value) == message
