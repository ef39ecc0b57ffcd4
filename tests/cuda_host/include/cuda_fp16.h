// CUDA's type of half precision, as far as CuPy's float16 uses it. Conversions round once, to nearest even.

#pragma once

#include <string.h>

struct __half_raw {
  unsigned short x;
};

struct half {
  _Float16 value;

  half() {}
  half(float v) : value(static_cast<_Float16>(v)) {}
  half(double v) : value(static_cast<_Float16>(v)) {}
  half(int v) : value(static_cast<_Float16>(v)) {}
  half(unsigned v) : value(static_cast<_Float16>(v)) {}
  half(long long v) : value(static_cast<_Float16>(v)) {}
  half(unsigned long long v) : value(static_cast<_Float16>(v)) {}
  half(const __half_raw& raw) { memcpy(&value, &raw, sizeof value); }
  operator float() const { return static_cast<float>(value); }
  operator __half_raw() const {
    __half_raw raw;
    memcpy(&raw, &value, sizeof raw);
    return raw;
  }
};

static inline unsigned short __half_as_ushort(half h) { return static_cast<__half_raw>(h).x; }
static inline half __ushort_as_half(unsigned short bits) { return half(__half_raw{bits}); }
