"""`python -m xbce_conformance`."""

from xbce_conformance.cli import main

main()
