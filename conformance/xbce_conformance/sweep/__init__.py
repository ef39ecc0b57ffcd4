"""Every logit of a format, in chunks that are counted once each, however often a sweep is killed."""

from xbce_conformance.sweep.facts import target_of
from xbce_conformance.sweep.plan import Plan, Target
from xbce_conformance.sweep.run import sweep, sweep_results

__all__ = ["Plan", "Target", "sweep", "sweep_results", "target_of"]
