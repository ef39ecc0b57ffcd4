"""Compiles a function of arrays into calls that write into few arrays, for libraries that run one operation at a time.

`recording` makes a graph of what the function does, `lowering` has the library say each idiom in its own way, `program`
turns that into Python source, `cache` keeps it, `blocks` runs it on parts of large arrays, which `layout` chooses, and
`threads` shares these. `hoisting` is for compilers that others wrote. Nothing here knows a loss, and nothing a library:
what differs between libraries is in `program.Target`.
"""
