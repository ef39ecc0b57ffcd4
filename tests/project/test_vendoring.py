"""A copy of xbce/ below another package runs without any other xbce, as array-api-extra's may be copied."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xbce
from tests.helpers import docstring_examples, some_long

PACKAGE = Path(xbce.__file__).parent
REFUSED = """
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("xbce", "xbce_conformance"):
            raise ModuleNotFoundError(f"{name} is refused", name=name)

sys.meta_path.insert(0, Refusal())
"""
VENDORED = f"{REFUSED}\nfrom mylib.externals import xbce\n"
LOSSES = """
import numpy

def show(*arrays):
    for x in arrays:
        print(type(x).__name__, x.dtype, numpy.asarray(x).tobytes().hex())

for name in xbce.losses.__all__:
    loss = getattr(xbce, name)
    x = p if name == "binary_cross_entropy" else logits
    for reduction in ("none", "mean"):
        options = {"weight": weights, "where": kept, "label_smoothing": 0.1, "reduction": reduction}
        for method in (loss, loss.gradient, loss.hessian, loss.label_gradient):
            show(method(x, labels, **options))
        show(*loss.value_and_gradient(x, labels, **options), *loss.gradient_and_hessian(x, labels, **options))
for name in xbce.special.__all__:
    show(getattr(xbce.special, name)(*((p, p) if name.startswith("xlog") else (-p,) if name == "log1mexp" else (p,))))
show(xbce.reduce(logits, reduction="sum"))
"""
LIBRARIES = {
    "numpy": "array = numpy.asarray",
    "torch": "import torch; array = torch.asarray",
    "jax": "import jax; array = jax.numpy.asarray",
    "dask": "import dask.array; array = lambda x: dask.array.from_array(x, chunks=2)",
    "array_api_strict": "import array_api_strict; array = array_api_strict.asarray",
}
ARRAYS = """
import numpy
logits = array(numpy.asarray([-20.0, -0.5, 0.0, 3.0, 20.0], "float32"))
p = array(numpy.asarray([0.01, 0.25, 0.5, 0.75, 0.999], "float32"))
labels = array(numpy.asarray([0.0, 1.0, 0.25, 1.0, 0.0], "float32"))
weights = array(numpy.asarray([1.0, 2.0, 3.0, 4.0, 5.0], "float32"))
kept = array(numpy.asarray([True, True, False, True, True]))
"""
DERIVATIVES = {
    "torch": """
x = logits.clone().requires_grad_()
xbce.sigmoid_focal_loss(x, labels, reduction="mean").backward()
show(x.grad, torch.func.hessian(lambda x: xbce.asymmetric_loss(x, labels, reduction="sum"))(logits))
compiled = torch.compile(xbce.conventions.pytorch.binary_cross_entropy_with_logits, backend="eager", fullgraph=True)
show(compiled(logits, labels))
""",
    "jax": """
show(jax.jit(jax.grad(lambda x: xbce.sigmoid_focal_loss(x, labels, reduction="mean")))(logits))
show(jax.hessian(lambda x: xbce.binary_cross_entropy_with_logits(x, labels, reduction="sum"))(logits))
""",
}


@pytest.fixture(scope="module")
def mylib(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vendoring")
    externals = folder / "mylib" / "externals"
    shutil.copytree(PACKAGE, externals / "xbce", ignore=shutil.ignore_patterns("__pycache__"))
    for package in (externals.parent, externals):
        (package / "__init__.py").touch()
    return folder


@pytest.fixture
def python(mylib):
    def run(code):
        path = os.pathsep.join([str(mylib), str(PACKAGE.parent)])
        environment = os.environ | {"PYTHONPATH": path}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=mylib, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_imports_are_relative():
    absolute = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            absolute += [f"{path}:{node.lineno}" for name in names if name.partition(".")[0] == "xbce"]
    assert absolute == []


def test_no_other_xbce_can_be_imported(python):
    code = "try: import xbce\nexcept ModuleNotFoundError as error: print(error)"
    assert python(REFUSED + code) == "xbce is refused\n"


@pytest.mark.parametrize("library", some_long({name: name for name in LIBRARIES}, ("numpy", "array_api_strict")))
def test_losses_and_special_functions(python, library):
    """They give the bits of the installed xbce."""
    pytest.importorskip(library)
    code = f"import numpy\n{LIBRARIES[library]}\n{ARRAYS}\n{LOSSES}\n{DERIVATIVES.get(library, '')}"
    copied, installed = python(VENDORED + code), python("import xbce\n" + code)
    assert copied.count("\n") > 70
    assert copied == installed


def test_conventions(python):
    """Calls are the examples of their docstrings, which print what they return."""
    examples = [e for name in xbce.conventions.__all__ for e in docstring_examples(getattr(xbce.conventions, name))]
    code = "\n".join(f"exec(compile({example!r}, 'example', 'single'))" for example in examples)
    copied, installed = python(REFUSED + code.replace("from xbce.", "from mylib.externals.xbce.")), python(code)
    assert installed.count("\n") > len(xbce.conventions.__all__)
    assert copied == installed


def test_pickles(python):
    code = """
import pickle
for thing in (xbce.binary_cross_entropy_with_logits, xbce.special.expit, xbce.conventions.optax.sigmoid_focal_loss):
    assert pickle.loads(pickle.dumps(thing)) is thing
    print(thing.__module__)
"""
    modules = ["losses", "special", "conventions.optax"]
    assert python(VENDORED + code).split() == [f"mylib.externals.xbce.{module}" for module in modules]


def test_pickles_of_pytorch_modules(python):
    pytest.importorskip("torch")
    code = """
import pickle
module = xbce.conventions.pytorch.BCEWithLogitsLoss(reduction="sum")
print(type(module).__module__, pickle.loads(pickle.dumps(module)).reduction)
"""
    assert python(VENDORED + code).split() == ["mylib.externals.xbce.conventions.pytorch", "sum"]


def test_errors(python):
    code = """
import numpy
try:
    xbce.binary_cross_entropy_with_logits(numpy.zeros(2), numpy.zeros(3))
except ValueError as error:
    print(error)
try:
    xbce.check_labels(numpy.asarray([0.0, 2.0]))
except ValueError as error:
    print(error)
try:
    xbce.conventions.mxnet
except AttributeError as error:
    print(error)
"""
    *errors, attribute = python(VENDORED + code).splitlines()
    assert len(errors) == 2
    assert errors == python("import xbce\n" + code).splitlines()[:2]
    assert attribute == "module 'mylib.externals.xbce.conventions' has no attribute 'mxnet'"


def test_beside_an_installed_one(python):
    pytest.importorskip("torch")
    code = """
import torch, xbce
from mylib.externals import xbce as copy
assert copy.binary_cross_entropy_with_logits is not xbce.binary_cross_entropy_with_logits
for package in (xbce, copy):
    x = torch.zeros(2, requires_grad=True)
    package.binary_cross_entropy_with_logits(x, torch.ones(2), reduction="sum").backward()
    print(package.__name__, x.grad.tolist())
"""
    assert python(code).splitlines() == ["xbce [-0.5, -0.5]", "mylib.externals.xbce [-0.5, -0.5]"]
