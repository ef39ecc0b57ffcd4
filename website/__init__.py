"""The documentation as a site: `python -m website` makes it of the repository's Markdown ([README](README.md))."""
