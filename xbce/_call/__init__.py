"""One call of a loss: its arguments are validated, its options become a kernel and a plan, which a backend runs.

In the order of a call: `loss` (the public object) looks up the plan of an earlier call, by the key that `cache_key`
makes. If there is none, `inputs` validates the arrays against each other, with the checks of `checks` and `array_kinds`
and the properties of an argument that `promotion`, `numbers` and `lengths` find. `plan` then makes a `kernel` of the
elementwise part, and sums. `chunks` repeats the checks where Dask computes a chunk.
"""
