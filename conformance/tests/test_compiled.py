"""Compiled functions: what is traced, how often something is compiled, and what the levels choose."""

import numpy as np
import pytest

import xbce
from xbce_conformance.cases import BY_NAME, CASES
from xbce_conformance.judge import runner
from xbce_conformance.subjects import compiled
from xbce_conformance.subjects.backends import find_backends
from xbce_conformance.subjects.jobs import jobs
from xbce_conformance.subjects.model import Function, Subject
from xbce_conformance.subjects.selection import find_subjects

loss = xbce.binary_cross_entropy_with_logits


def subject_on(backend, functions, dtypes=("float32",)):
    return Subject("tried", "1", find_backends((backend,))[0][backend], dtypes, tuple(functions), judged=True)


def xbce_on(backend):
    (subject,) = find_subjects(("xbce",), find_backends((backend,))[0])[0]
    return subject


def test_everything_is_jitted():
    pytest.importorskip("jax")
    names = [function.name for function in xbce_on("jax").functions]
    eager = [name for name in names if not name.endswith(", jax.jit")]
    assert sorted(names) == sorted(eager + [f"{name}, jax.jit" for name in eager])
    assert "sigmoid_focal_loss(gamma=2, alpha=0.25).gradient, jax.jit" in names
    assert "sigmoid_focal_loss(pos_weight, gamma=1.7), jax.grad in pos_weight, jax.jit" in names


def test_all_but_automatic_differentiation_is_compiled():
    pytest.importorskip("torch")
    functions = xbce_on("torch:cpu").functions
    names = {function.name for function in functions}
    for function in functions:
        if not function.name.endswith(", torch.compile"):
            assert (f"{function.name}, torch.compile" in names) == (not function.autodiff)


@pytest.mark.parametrize("library", ["numpy", "dask", "array-api-strict"])
def test_other_libraries_have_no_compiler(library):
    assert not any(function.compiled for function in xbce_on(library).functions)


def test_arrays_are_traced_and_of_one_shape():
    jax = pytest.importorskip("jax")
    seen = []

    def tried(x, z):
        seen.append((isinstance(x, jax.core.Tracer), isinstance(z, jax.core.Tracer), x.shape, str(x.dtype)))
        return loss(x, z)

    case = BY_NAME["binary_cross_entropy_with_logits(label_smoothing=0.1)"]
    eager = [Function(name, ("value",), lambda x, z: tried(x, z), case=case) for name in ("one", "two")]
    subject = subject_on("jax", compiled.functions("jax", eager))
    rows = [row for rows in runner.run(jobs([subject], ("float32",)), "quick") for row in rows]
    assert [row.function for row in rows] == ["one, jax.jit", "two, jax.jit"]
    assert {row.special.count for row in rows} == {7}
    assert seen == [(True, True, (1280,), "float32")] * 2


def test_what_a_compiler_breaks_is_seen():
    """(1 - u) + eps, which XLA takes for (1 + eps) - u: right as it is called, wrong as it is compiled."""
    jax = pytest.importorskip("jax")

    def offset_loss(u, z):
        return xbce.binary_cross_entropy(u, z, log_offset=1e-7) * jax.numpy.where(u == 1, (1 - u + 1e-7) * 1e7, 1.0)

    case = BY_NAME["binary_cross_entropy(log_offset=1e-07)"]
    ((eager,), (jitted,)) = (
        [row for rows in runner.run(jobs([subject], ("float32",)), "quick") for row in rows]
        for subject in (
            subject_on("jax", [Function("f", ("value",), offset_loss, case=case)]),
            subject_on("jax", compiled.functions("jax", [Function("f", ("value",), offset_loss, case=case)])),
        )
    )
    assert jitted.violations
    assert not eager.violations


def test_a_case_is_one_graph_of_pytorch(monkeypatch):
    torch = pytest.importorskip("torch")
    calls = []

    def compile_(function, **options):
        assert options == {"fullgraph": True, "dynamic": False}

        def call(*arrays):
            calls.append(arrays[0].shape)
            return function(*arrays)

        return call

    monkeypatch.setattr(torch, "compile", compile_)
    case = BY_NAME["special.expit"]
    eager = [Function(name, ("value",), xbce.special.expit, case=case) for name in ("one", "two")]
    eager += [Function("by autodiff", ("value",), xbce.special.expit, case=case, autodiff=True)]
    subject = subject_on("torch:cpu", compiled.functions("torch", eager))
    rows = [row for rows in runner.run(jobs([subject], ("float32",)), "quick") for row in rows]
    assert [row.function for row in rows] == ["one, torch.compile", "two, torch.compile"]
    assert [row.violations for row in rows] == [[], []]
    assert set(calls) == {(1280,)}


def test_the_choice_of_the_quick_level_is_of_cases_and_dtypes_that_there_are():
    assert set(compiled.COMPILE_QUICK) <= set(BY_NAME)
    subjects = [xbce_on(name) for name in ("torch:cpu", "jax")]
    every = ("float16", "bfloat16", "float32", "float64")
    quick = jobs(subjects, every, level="quick")
    assert set(quick) < set(jobs(subjects, every))
    jitted = {job.dtype for job in quick if job.function.name.endswith(", jax.jit")}
    graphs = {(job.function.case.name, job.dtype) for job in quick if job.function.name.endswith(", torch.compile")}
    assert jitted == {"float32", "float64"}
    assert graphs == {(name, dtype) for name, dtypes in compiled.COMPILE_QUICK.items() for dtype in dtypes}
    for job in quick:
        assert job.function.case.quick is None or job.dtype in job.function.case.quick
    every_graph = {
        (job.function.case.name, job.dtype)
        for job in jobs(subjects, every)
        if job.function.name.endswith(", torch.compile")
    }
    assert every_graph == {
        (case.name, dtype)
        for case in CASES
        for dtype in every
        if case.name in compiled.COMPILE_QUICK or dtype in compiled.COMPILE_DTYPES
    }


def test_a_line_for_a_shell_compiles_the_function():
    functions = {function.name: function for function in xbce_on("jax").functions}
    code = functions["binary_cross_entropy_with_logits(pos_weight).gradient, jax.jit"].code
    assert code == (
        "jax.jit(lambda logits, labels, pos_weight: "
        "xbce.binary_cross_entropy_with_logits.gradient(logits, labels, pos_weight=pos_weight))"
        "({logits}, {labels}, {pos_weight})"
    )
    assert np.all([code.count("{" + name + "}") == 1 for name in ("logits", "labels", "pos_weight")])
