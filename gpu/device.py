"""Finds the GPU and its name by the CUDA driver, without any array library."""

import ctypes
import re


class NoDevice(Exception):  # noqa: N818
    """No CUDA device can be used; the message says why."""


def find_device() -> str:
    """Return the name of the first CUDA device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        msg = "the CUDA driver (libcuda.so.1) is not installed"
        raise NoDevice(msg) from None
    _require(driver.cuInit(0), "cuInit")
    count, device, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    _require(driver.cuDeviceGetCount(ctypes.byref(count)), "cuDeviceGetCount")
    if not count.value:
        msg = "the CUDA driver knows no device"
        raise NoDevice(msg)
    _require(driver.cuDeviceGet(ctypes.byref(device), 0), "cuDeviceGet")
    _require(driver.cuDeviceGetName(name, len(name), device), "cuDeviceGetName")
    return name.value.decode()


def _require(status: int, function: str) -> None:
    if status:
        msg = f"the CUDA driver is there, but {function} fails with {status}"
        raise NoDevice(msg)


def slug(name: str) -> str:
    """Return the name of the folder for a device."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
