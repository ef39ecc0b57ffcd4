"""Error bounds of `precision="high"`, proved by Gappa and Sollya from the formula code itself."""
