"""Suite and tests at every level that one machine can play, AVX-512 by Bochs and aarch64 by QEMU among them."""
