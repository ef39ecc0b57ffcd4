"""What is kept: the rows of a run, as plain data, and what changed between two runs."""
