"""The user's own arrays: what each system makes of them, where two differ and why, and whether it matters.

`arrays.py` has what a data set is, `read.py` the files that it comes in, `hooks.py` and `recording.py` the steps of
training that it is recorded from. `measure.py` measures a system on it, `verdict.py` says whether that matters,
`difference.py` compares two systems, `causes.py` says why a result is wrong; `show.py` and `page.py` show all that,
`picture.py` in a picture. `python.py` has it for Python.
"""
