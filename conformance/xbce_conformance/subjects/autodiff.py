"""What automatic differentiation makes of the losses of xbce: reverse, forward, and one over the other.

They are judged like the closed forms, which they have to be.
"""

from collections.abc import Callable
from typing import Any

from xbce_conformance.cases import Quantity

Loss = Callable[..., Any]
"""Takes the arrays of a case by position and returns every loss."""


def derivatives(library: str) -> list[tuple[str, Quantity, Callable[[Loss], Callable[..., Any]]]]:
    """Return name, quantity and maker of each derivative that a library finds of a loss; none for most libraries."""
    return {"torch": _torch, "jax": _jax}.get(library, list)()


def _torch() -> list[tuple[str, Quantity, Callable[[Loss], Callable[..., Any]]]]:
    import torch

    def gradient(loss: Loss, x: Any, *rest: Any, **keep: bool) -> Any:
        return torch.autograd.grad(loss(x, *rest).sum(), x, **keep)[0]

    def reverse(loss: Loss) -> Callable[..., Any]:
        return lambda x, *rest: gradient(loss, x.detach().requires_grad_(), *rest)

    def forward(loss: Loss) -> Callable[..., Any]:
        return lambda x, *rest: torch.func.jvp(lambda x: loss(x, *rest), (x,), (torch.ones_like(x),))[1]

    def reverse_twice(loss: Loss) -> Callable[..., Any]:
        def hessian(x: Any, *rest: Any) -> Any:
            x = x.detach().requires_grad_()
            return torch.autograd.grad(gradient(loss, x, *rest, create_graph=True).sum(), x)[0]

        return hessian

    def forward_over_reverse(loss: Loss) -> Callable[..., Any]:
        def hessian(x: Any, *rest: Any) -> Any:
            slope = torch.func.grad(lambda x: loss(x, *rest).sum())
            return torch.func.jvp(slope, (x,), (torch.ones_like(x),))[1]

        return hessian

    def labels(loss: Loss) -> Callable[..., Any]:
        return lambda x, z, *rest: gradient(lambda z: loss(x, z, *rest), z.detach().requires_grad_())

    def pos_weight(loss: Loss) -> Callable[..., Any]:
        return lambda x, z, p, *rest: gradient(lambda p: loss(x, z, p, *rest), p.detach().requires_grad_())

    return [
        ("backward", "gradient", reverse),
        ("torch.func.jvp", "gradient", forward),
        ("backward twice", "hessian", reverse_twice),
        ("torch.func.jvp of torch.func.grad", "hessian", forward_over_reverse),
        ("backward to labels", "label_gradient", labels),
        ("backward to pos_weight", "pos_weight_gradient", pos_weight),
    ]


def _jax() -> list[tuple[str, Quantity, Callable[[Loss], Callable[..., Any]]]]:
    import jax

    def total(loss: Loss) -> Callable[..., Any]:
        return lambda *arrays: loss(*arrays).sum()

    def slope(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, *rest: jax.jvp(lambda x: function(x, *rest), (x,), (jax.numpy.ones_like(x),))[1]

    return [
        ("jax.grad", "gradient", lambda loss: jax.grad(total(loss))),
        ("jax.jvp", "gradient", slope),
        ("jax.grad twice", "hessian", lambda loss: jax.grad(lambda *a: jax.grad(total(loss))(*a).sum())),
        ("jax.jvp of jax.grad", "hessian", lambda loss: slope(jax.grad(total(loss)))),
        ("jax.grad in labels", "label_gradient", lambda loss: jax.grad(total(loss), 1)),
        ("jax.grad in pos_weight", "pos_weight_gradient", lambda loss: jax.grad(total(loss), 2)),
    ]
