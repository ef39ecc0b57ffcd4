"""The tests that `pytest --pyargs xbce_conformance` runs on the subjects that it is told."""
