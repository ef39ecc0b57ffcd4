"""A second device of PyTorch, "second", played on the CPU: to be imported in a process of its own.

It is PyTorch's PrivateUse1, registered from Python. A tensor of it has a shape, strides and a storage without memory;
the storage's Python object holds the memory that it plays. Every operation runs in one fallback on CPU tensors of the
same shapes and strides. PyTorch checks devices, dispatches and differentiates as for any other device. A process that
has differentiated before cannot take a new device: autograd has its threads then.
"""

from functools import partial
from itertools import chain

import torch
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "second"
META = torch._C.DispatchKeySet(torch._C.DispatchKey.Meta)
aten = torch.ops.aten

operations: list[str] = []
"""What ran on the device, in order."""
mixed: list[str] = []
"""Operations that took a tensor of another device, with its shape: copies from there, and what PyTorch lets pass."""


def played(t):
    """Return the CPU tensor that a tensor of the device plays."""
    memory = t.untyped_storage().memory
    return torch.empty(0, dtype=t.dtype).set_(memory, t.storage_offset(), t.shape, t.stride())


def placed(r, of_memory):
    """Return a tensor of the device that plays a CPU tensor; a view of one that has its memory already."""
    if r._is_zerotensor():  # which has no memory
        r = torch.zeros(r.shape, dtype=r.dtype)
    base = of_memory.get(r.untyped_storage().data_ptr()) if r.untyped_storage().nbytes() else None
    if base is None:
        base = torch._C._acc.create_empty_tensor([0], r.dtype)
        base.untyped_storage().memory = r.untyped_storage()
    assert base.dtype == r.dtype, "a view of another dtype is not played"
    return aten.as_strided.default.redispatch(META, base, r.shape, r.stride(), r.storage_offset())


def run(op, *args, **kwargs):
    """Run an operation of the device."""
    tensors: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # by the id of what is played

    def entered(a):
        if isinstance(a, torch.Tensor):
            if a.device.type != NAME:
                mixed.append(f"{op} takes {a.device.type} {a.dtype} {tuple(a.shape)}")
                return a
            own = played(a)
            tensors[id(own)] = a, own
            return own
        if isinstance(a, torch.device):
            return torch.device("cpu") if a.type == NAME else a
        return [entered(x) for x in a] if isinstance(a, list | tuple) else a

    def left(r):
        if isinstance(r, torch.Tensor):
            return tensors[id(r)][0] if id(r) in tensors else placed(r, of_memory)
        return type(r)(map(left, r)) if isinstance(r, list | tuple) else r

    operations.append(str(op))
    own = [entered(a) for a in args]
    named = {name: entered(a) for name, a in kwargs.items()}
    if op is aten._copy_from.default:
        own[1].copy_(own[0])
        return args[1]
    if not torch._C._should_allow_numbers_as_tensors(op.name().partition("::")[2].partition(".")[0]):
        wanted = [isinstance(a.type, torch.TensorType) for a in op._schema.arguments]
        own = [_tensor(a) if tensor else a for a, tensor in zip(own, chain(wanted, wanted), strict=False)]
    of_memory = {x.untyped_storage().data_ptr(): t for t, x in tensors.values()}
    result = op(*own, **named)
    for t, x in tensors.values():
        if x.shape != t.shape:  # resized, as what an operation is to write into
            t.data = placed(x, {})
    return left(result)


def _tensor(a):
    """Return a number as a tensor where an operation takes nothing else: PyTorch unwraps what it had wrapped."""
    if not isinstance(a, bool | int | float):
        return a
    return torch.tensor(a, dtype=torch.float64 if isinstance(a, float) else None)


_setup_privateuseone_for_python_backend(NAME)
_ALL = torch.library.Library("_", "IMPL")
_ALL.fallback(run, "PrivateUse1")
# A fallback cannot be called while a dispatch mode is on, but passed over, as when PyTorch makes a tensor of a list.
_SOME = torch.library.Library("aten", "IMPL", "PrivateUse1")
for _op in (aten.empty_strided.default, aten.empty.memory_format, aten._copy_from.default):
    _SOME.impl(_op, partial(run, _op))
