"""All measurements on a GPU, in one command that takes minutes."""
