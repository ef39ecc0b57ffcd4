"""What is decided: each function of each subject is run, and its errors are turned into a verdict."""
