"""Conformance of binary cross-entropy: inputs, subjects, a certified reference, measures, bounds and a report.

The flow is one way: inputs -> subject -> measure against the reference -> contract -> report. Each step is a table
that grows by a row. The reference shares no code with `xbce`.
"""
