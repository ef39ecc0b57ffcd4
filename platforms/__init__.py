"""Suite and tests at every level of instructions that one machine can play, aarch64 under QEMU among them."""
