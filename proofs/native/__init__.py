"""The native theorem: bounds of the loss and its derivatives, given bounds of the library's exp and log1p."""
