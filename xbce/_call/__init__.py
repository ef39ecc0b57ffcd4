"""One call of a loss: its arguments are validated, its options become a kernel and a plan, which a backend runs.

In the order of a call: `loss` (the public object, and the plans that it keeps) asks `cache_key` whether it knows a call
like this one. If not, `inputs` validates the arrays against each other, with the checks of `checks` and `array_kinds`
and what `promotion`, `numbers` and `lengths` know of an argument, and `plan` makes a `kernel` of what is elementwise,
and sums of the rest. `chunks` repeats the checks where Dask computes a chunk.
"""
