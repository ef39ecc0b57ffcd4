"""`make release-check`: the dry run of a release. docs/releasing.md is the checklist."""
