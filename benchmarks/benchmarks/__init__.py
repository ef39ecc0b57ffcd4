"""The asv suite of xbce."""
