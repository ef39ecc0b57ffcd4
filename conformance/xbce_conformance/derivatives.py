"""Automatic differentiation by each library that has it, as expressions."""

_TORCH = (
    "(lambda {first}: torch.autograd.grad(({call}).sum(), {first})[0])({argument}.detach().clone().requires_grad_())"
)
REVERSE_MODE = {
    "torch:cpu": _TORCH,
    "torch:cuda": _TORCH,
    "jax": "jax.grad(lambda {first}: ({call}).sum())({argument})",
    "mlx": "mx.grad(lambda {first}: ({call}).sum())({argument})",
    "tensorflow": "(lambda {first}, t: (t.__enter__(), t.watch({first}), t.gradient({call}, {first}))[-1])"
    "({argument}, tf.GradientTape())",
    "paddle": "(lambda {first}: (setattr({first}, 'stop_gradient', False), paddle.grad(({call}).sum(), {first})[0])"
    "[-1])({argument}.clone())",
}
"""Expression of the gradient of `call` in the variable `first` at `argument`, per backend."""


def reverse_mode_code(backend: str, call: str, first: str) -> str | None:
    """Return the expression of the gradient of an expression, or None where the backend has no autodiff.

    `call` names the arguments in braces; `first` is the one that is differentiated.
    """
    template = REVERSE_MODE.get(backend)
    if template is None:
        return None
    bound = call.replace("{" + first + "}", first)
    return template.format(first=first, call=bound, argument="{" + first + "}")
