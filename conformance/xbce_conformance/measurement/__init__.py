"""What is measured: a function is called on the inputs of a case, and compared with the exact values."""
