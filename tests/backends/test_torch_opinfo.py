"""PyTorch's own machinery for testing operators, OpInfo, aimed at the losses: its samples, its checks, its devices."""

from functools import partial

import pytest

import xbce
from tests.helpers import step
from xbce_conformance.cases import WITH_NUMBERS
from xbce_conformance.cases.losses import FAMILY

torch = pytest.importorskip("torch")

from torch.testing import make_tensor  # noqa: E402
from torch.testing._internal.common_device_type import instantiate_device_type_tests, ops  # noqa: E402
from torch.testing._internal.common_dtype import floating_types_and  # noqa: E402
from torch.testing._internal.common_utils import TestCase  # noqa: E402
from torch.testing._internal.opinfo.core import OpInfo, SampleInput  # noqa: E402

pytestmark = pytest.mark.thread_unsafe(reason="PyTorch's TestCase keeps its settings in one thread")
SHAPES = [(), (3, 4), (2, 1, 3)]


def samples(_op_info, device, dtype, requires_grad, *, options=({},), low=-6, **_kwargs):
    """Yield logits (or probabilities) and labels of several shapes and layouts, with every option."""
    make = partial(make_tensor, device=device, dtype=dtype)
    for shape in SHAPES:
        for kwargs in options:
            scores = make(shape, low=low, high=-low if low < 0 else 0.95, requires_grad=requires_grad)
            labels = make(shape, low=0.05, high=0.95, requires_grad=requires_grad)
            yield SampleInput(scores, args=(labels,), kwargs=dict(kwargs))
    x = make((4, 3), low=low, high=-low if low < 0 else 0.95, noncontiguous=True, requires_grad=requires_grad)
    z = make((4, 3), low=0.05, high=0.95, noncontiguous=True, requires_grad=requires_grad)
    # Two tensors: finite differences change them in place.
    weight, pos_weight = (make((3,), low=0.5, high=2.0, requires_grad=requires_grad) for _ in range(2))
    where = torch.tensor([[True], [False], [True], [True]], device=device)
    for reduced in ({}, {"reduction": "mean"}, {"reduction": "sum", "axis": 0}):
        yield SampleInput(x, args=(z,), kwargs={"pos_weight": pos_weight, "weight": weight, "where": where, **reduced})


REDUCED = ({}, {"reduction": "mean"}, {"reduction": "sum"}, {"label_smoothing": 0.1})


def op(loss):
    own = [dict(case.options) for case in WITH_NUMBERS if case.function == loss.name]
    options = (*REDUCED, *(numbers for numbers in own if numbers not in REDUCED))
    low = 0.05 if loss.first == "probabilities" else -6
    return OpInfo(
        f"xbce.{loss.name}",
        op=getattr(xbce, loss.name),
        dtypes=floating_types_and(torch.float16, torch.bfloat16),
        sample_inputs_func=partial(samples, options=options, low=low),
        supports_out=False,
        supports_forward_ad=True,
        supports_fwgrad_bwgrad=True,
        check_batched_forward_grad=True,
        supports_autograd=True,
    )


LOSSES = [op(loss) for loss in FAMILY.values()]


def function_of_tensors(op, sample):
    """Return a function of all tensors that want a gradient, and these."""
    keywords = [k for k, v in sample.kwargs.items() if isinstance(v, torch.Tensor) and v.requires_grad]
    rest = {k: v for k, v in sample.kwargs.items() if k not in keywords}

    def function(x, z, *tensors):
        return op(x, z, **dict(zip(keywords, tensors, strict=True)), **rest)

    return function, (sample.input, *sample.args, *(sample.kwargs[k] for k in keywords))


class TestLosses(TestCase):
    """What PyTorch asks of an operator."""

    @ops(LOSSES)
    def test_every_dtype_runs_backward_and_keeps_its_dtype(self, device, dtype, op):
        for sample in op.sample_inputs(device, dtype, requires_grad=True):
            with step(device, op, sample.input, dtype, **sample.kwargs):
                result = op(sample.input, *sample.args, **sample.kwargs)
                assert result.dtype == dtype
                assert result.device == torch.device(device)
                result.sum().backward()
                assert sample.input.grad.dtype == dtype
                assert sample.input.grad.shape == sample.input.shape

    @ops(LOSSES, allowed_dtypes=[torch.float64])
    def test_reverse_and_forward_first_order(self, device, dtype, op):
        for sample in op.sample_inputs(device, dtype, requires_grad=True):
            with step(device, op, sample.input, dtype, **sample.kwargs):
                function, arrays = function_of_tensors(op, sample)
                assert torch.autograd.gradcheck(
                    function,
                    arrays,
                    check_forward_ad=op.supports_forward_ad,
                    check_batched_grad=True,
                    check_batched_forward_grad=op.check_batched_forward_grad,
                    fast_mode=True,
                )

    @pytest.mark.long
    @ops(LOSSES, allowed_dtypes=[torch.float64])
    def test_second_order(self, device, dtype, op):
        for sample in op.sample_inputs(device, dtype, requires_grad=True):
            with step(device, op, sample.input, dtype, **sample.kwargs):
                function, arrays = function_of_tensors(op, sample)
                assert torch.autograd.gradgradcheck(
                    function, arrays, check_fwd_over_rev=op.supports_fwgrad_bwgrad, fast_mode=True
                )

    @ops(LOSSES, allowed_dtypes=[torch.float64])
    def test_noncontiguous_is_the_same(self, device, dtype, op):
        for sample in op.sample_inputs(device, dtype):
            with step(device, op, sample.input, dtype, **sample.kwargs):
                apart = sample.noncontiguous()
                wanted = op(sample.input, *sample.args, **sample.kwargs)
                torch.testing.assert_close(op(apart.input, *apart.args, **apart.kwargs), wanted, rtol=1e-15, atol=0)

    @ops(LOSSES, allowed_dtypes=[torch.float32])
    def test_fake_tensors_have_the_right_meta(self, device, dtype, op):
        from torch._subclasses.fake_tensor import FakeTensorMode

        for sample in op.sample_inputs(device, dtype):
            with step(device, op, sample.input, dtype, **sample.kwargs):
                wanted = op(sample.input, *sample.args, **sample.kwargs)
                with FakeTensorMode() as mode:
                    fake = sample.transform(lambda t: mode.from_tensor(t) if isinstance(t, torch.Tensor) else t)
                    result = op(fake.input, *fake.args, **fake.kwargs)
                assert (result.shape, result.dtype) == (wanted.shape, wanted.dtype)


instantiate_device_type_tests(TestLosses, globals())
