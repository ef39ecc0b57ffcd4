"""What automatic differentiation makes of the losses of xbce: reverse, forward, and one over the other.

They are judged like the closed forms, which they have to be.
"""

from collections.abc import Callable
from typing import Any

from xbce_conformance.cases import Case, Quantity
from xbce_conformance.exact_values.by_series import gradient_in

Loss = Callable[..., Any]
"""Takes the arrays of a case by position and returns every loss."""


Derivative = tuple[str, Quantity, Callable[[Loss], Callable[..., Any]]]
"""Name, quantity, and what makes the function of a loss."""


def derivatives(library: str, case: Case) -> list[Derivative]:
    """Return the derivatives that a library finds of a loss; none for most libraries."""
    found = {"torch": _torch, "jax": _jax, "mlx": _mlx}.get(library)
    if found is None:
        return []
    in_first, name, at = found()
    places = {gradient_in(argument): (i, argument) for i, argument in enumerate(case.arguments) if i}
    in_others = [
        (f"{name} {places[quantity][1]}", quantity, at(places[quantity][0]))
        for quantity in case.quantities
        if quantity in places
    ]
    return [*(derivative for derivative in in_first if derivative[1] in case.quantities), *in_others]


_At = Callable[[int], Callable[[Loss], Callable[..., Any]]]
"""Makes the derivative in the argument at a place."""


def _torch() -> tuple[list[Derivative], str, _At]:
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

    def at(place: int) -> Callable[[Loss], Callable[..., Any]]:
        def in_argument(loss: Loss) -> Callable[..., Any]:
            def slope(*arrays: Any) -> Any:
                before, x, after = arrays[:place], arrays[place].detach().requires_grad_(), arrays[place + 1 :]
                return torch.autograd.grad(loss(*before, x, *after).sum(), x)[0]

            return slope

        return in_argument

    in_first: list[Derivative] = [
        ("backward", "gradient", reverse),
        ("torch.func.jvp", "gradient", forward),
        ("backward twice", "hessian", reverse_twice),
        ("torch.func.jvp of torch.func.grad", "hessian", forward_over_reverse),
    ]
    return in_first, "backward to", at


def _jax() -> tuple[list[Derivative], str, _At]:
    import jax

    def total(loss: Loss) -> Callable[..., Any]:
        return lambda *arrays: loss(*arrays).sum()

    def slope(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, *rest: jax.jvp(lambda x: function(x, *rest), (x,), (jax.numpy.ones_like(x),))[1]

    in_first: list[Derivative] = [
        ("jax.grad", "gradient", lambda loss: jax.grad(total(loss))),
        ("jax.jvp", "gradient", slope),
        ("jax.grad twice", "hessian", lambda loss: jax.grad(lambda *a: jax.grad(total(loss))(*a).sum())),
        ("jax.jvp of jax.grad", "hessian", lambda loss: slope(jax.grad(total(loss)))),
    ]
    return in_first, "jax.grad in", lambda place: lambda loss: jax.grad(total(loss), place)


def _mlx() -> tuple[list[Derivative], str, _At]:
    import mlx.core as mx

    def total(loss: Loss) -> Callable[..., Any]:
        return lambda *arrays: loss(*arrays).sum()

    def slope(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, *rest: mx.jvp(lambda x: function(x, *rest), (x,), (mx.ones_like(x),))[1][0]

    in_first: list[Derivative] = [
        ("mx.grad", "gradient", lambda loss: mx.grad(total(loss))),
        ("mx.jvp", "gradient", slope),
        ("mx.grad twice", "hessian", lambda loss: mx.grad(lambda *a: mx.grad(total(loss))(*a).sum())),
        ("mx.jvp of mx.grad", "hessian", lambda loss: slope(mx.grad(total(loss)))),
    ]
    return in_first, "mx.grad in", lambda place: lambda loss: mx.grad(total(loss), place)
