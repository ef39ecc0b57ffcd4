// CUDA's words, for a C++ compiler: included before the source of a kernel, in place of what NVRTC has built in.
//
// A block is played by one thread of the host, so that what is shared within it is static, and a grid is a loop of blocks.
// Where a kernel has no barrier, each of a block's threads runs to its end before the next one starts. Where it has, each
// is a fiber with a stack of its own, and a barrier gives the word to the next.

#pragma once

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <xmmintrin.h>

#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0
#define __device__
#define __host__
#define __global__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __shared__ static

struct HostIndex {
  unsigned x, y, z;
};
static HostIndex threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

// Of several types, as CUDA has them.
#define HOST_MIN_MAX(T)                              \
  static inline T min(T a, T b) { return b < a ? b : a; } \
  static inline T max(T a, T b) { return a < b ? b : a; }
HOST_MIN_MAX(int)
HOST_MIN_MAX(unsigned)
HOST_MIN_MAX(long)
HOST_MIN_MAX(unsigned long)
HOST_MIN_MAX(long long)
HOST_MIN_MAX(unsigned long long)
#undef HOST_MIN_MAX
// With one NaN the result is the other argument: IEEE's minNum, which CUDA has for both names.
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }

// The number of the same bits.
template <class To, class From>
static inline To host_bits(From x) {
  static_assert(sizeof(To) == sizeof(From), "");
  To y;
  memcpy(&y, &x, sizeof y);
  return y;
}
static inline double __longlong_as_double(long long x) { return host_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return host_bits<long long>(x); }
static inline float __int_as_float(int x) { return host_bits<float>(x); }
static inline int __float_as_int(float x) { return host_bits<int>(x); }

namespace host {

struct Fiber {
  ucontext_t context;
  HostIndex index;
  bool finished;
  char stack[1 << 14];
};
static ucontext_t scheduler;
static Fiber* fibers;
static Fiber* current;
static void (*body)(void*);
static void* arguments;

static void barrier() { swapcontext(&current->context, &scheduler); }

static void run() {
  body(arguments);
  current->finished = true;
  barrier();
}

// Plays a block whose threads wait for each other: each of them runs up to its next barrier, in turn. CUDA leaves undefined
// what a barrier is that some threads reach and others not: that ends the process.
static void play_with_barriers(void (*body_)(void*), void* arguments_) {
  unsigned count = blockDim.x * blockDim.y * blockDim.z;
  body = body_;
  arguments = arguments_;
  if (fibers == nullptr) fibers = static_cast<Fiber*>(malloc(1024 * sizeof(Fiber)));
  for (unsigned i = 0; i < count; i++) {
    Fiber& fiber = fibers[i];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = sizeof fiber.stack;
    fiber.context.uc_link = nullptr;
    fiber.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
    fiber.finished = false;
    makecontext(&fiber.context, run, 0);
  }
  for (unsigned ended = 0; ended == 0;) {
    for (unsigned i = 0; i < count; i++) {
      current = &fibers[i];
      threadIdx = current->index;
      swapcontext(&scheduler, &current->context);
      ended += current->finished;
    }
    if (ended != 0 && ended != count) {
      fprintf(stderr, "a barrier that %u of %u threads do not reach\n", ended, count);
      abort();
    }
  }
}

static void play_freely(void (*body)(void*), void* arguments) {
  for (threadIdx.z = 0; threadIdx.z < blockDim.z; threadIdx.z++)
    for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)
      for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) body(arguments);
}

template <size_t... I>
struct Indices {};
template <size_t N, size_t... I>
struct Counted : Counted<N - 1, N - 1, I...> {};
template <size_t... I>
struct Counted<0, I...> {
  using type = Indices<I...>;
};

template <auto kernel>
struct Call;
template <class... A, void (*kernel)(A...)>
struct Call<kernel> {
  template <size_t... I>
  static void with(void** p, Indices<I...>) {
    kernel(*static_cast<A*>(p[I])...);
  }
  static void once(void* p) { with(static_cast<void**>(p), typename Counted<sizeof...(A)>::type()); }
};

// Plays the grid. With `flush` subnormal numbers are 0, as operands and as results: what -ftz=true means for float.
template <auto kernel>
void play(void** arguments, const unsigned* grid, const unsigned* block, bool barriers, bool flush) {
  unsigned before = _mm_getcsr();
  if (flush) _mm_setcsr(before | 0x8040);
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
      for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
        (barriers ? play_with_barriers : play_freely)(Call<kernel>::once, arguments);
  _mm_setcsr(before);
}

}  // namespace host

#define __syncthreads() host::barrier()
#define __syncwarp() static_assert(false, "no warps are played")
