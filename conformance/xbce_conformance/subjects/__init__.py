"""Who is measured: xbce on every backend, the losses of other systems where installed, and those that users name."""
