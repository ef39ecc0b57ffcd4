"""Compiles a function of arrays to calls that write into few buffers, for libraries that run one operation at a time.

`recording` records the function as a graph, `lowering` replaces idioms by operations of the library, `program` compiles
the graph to Python code, `cache` keeps it, `blocks` runs it on blocks of large arrays, which `layout` chooses and
`threads` shares out. `hoisting` serves the compilers of other libraries. No module contains a loss or the name of a
library: differences between libraries are in `program.Target`.
"""
