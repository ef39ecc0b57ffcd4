// What CuPy calls of CUDA's runtime and driver, on a machine without either: memory is the host's, a module is a shared
// object that `compiler.py` built of a kernel's source, and a launch plays the grid at once. host.py puts these functions
// in the place of CuPy's own; those that are not here go on raising CuPy's error that there is no driver.

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

struct PyObject;
extern "C" {
PyObject* PyBool_FromLong(long);
char* PyBytes_AsString(PyObject*);
const char* PyUnicode_AsUTF8(PyObject*);
void PyErr_SetString(PyObject*, const char*);
extern PyObject* PyExc_RuntimeError;
}

namespace {

PyObject* done() { return PyBool_FromLong(1); }

// CuPy takes 0 for a failed call where a handle is returned, and looks for the exception.
template <class T>
T failed(const std::string& what, T result) {
  PyErr_SetString(PyExc_RuntimeError, what.c_str());
  return result;
}

// cudaDeviceAttr, by its number: what CuPy asks of a device, as a GPU of compute capability 9.0 answers.
int attribute(int number) {
  switch (number) {
    case 1:  // threads in a block
    case 2:  // along x
    case 3:  // along y
      return 1024;
    case 4:
      return 64;
    case 5:  // blocks along x
      return 2147483647;
    case 6:
    case 7:
      return 65535;
    case 8:  // shared memory of a block
      return 49152;
    case 10:  // threads in a warp
      return 32;
    case 16:  // multiprocessors
      return 2;
    case 39:  // threads of a multiprocessor
      return 2048;
    case 75:
      return 9;
    case 76:
    default:
      return 0;
  }
}

using Entry = void (*)(void** arguments, const unsigned* grid, const unsigned* block);

int launches = 0;

}  // namespace

extern "C" {

int host_getDeviceCount(int) { return 1; }
int host_getDevice(int) { return 0; }
PyObject* host_setDevice(int, int) { return done(); }
int host_deviceGetAttribute(int number, int, int) { return attribute(number); }
// All memory is as memory that CUDA does not know.
int host_pointerGetMemoryType(intptr_t, int) { return 0; }
PyObject* host__ensure_context() { return done(); }
int host_driverGetVersion(int) { return 13000; }
int host_runtimeGetVersion(int) { return 13000; }
PyObject* host_deviceSynchronize(int) { return done(); }
PyObject* host_streamSynchronize(intptr_t, int) { return done(); }
int host_streamIsCapturing(intptr_t, int) { return 0; }
intptr_t host_eventCreate(int) { return 1; }
intptr_t host_eventCreateWithFlags(unsigned, int) { return 1; }
PyObject* host_eventRecord(intptr_t, intptr_t, int) { return done(); }
PyObject* host_eventQuery(intptr_t, int) { return done(); }
PyObject* host_eventSynchronize(intptr_t, int) { return done(); }
PyObject* host_eventDestroy(intptr_t, int) { return done(); }

// CUDA aligns to 256 bytes. Memory is filled, so that a kernel that reads what it has not written is found.
intptr_t host_malloc(size_t size, int) {
  size_t whole = (size + 255) / 256 * 256 + 256;
  void* memory = aligned_alloc(256, whole);
  if (memory == nullptr) return failed<intptr_t>("no memory", 0);
  memset(memory, 0xA5, whole);
  return reinterpret_cast<intptr_t>(memory);
}
intptr_t host_hostAlloc(size_t size, unsigned, int) { return host_malloc(size, 0); }
PyObject* host_free(intptr_t memory, int) {
  free(reinterpret_cast<void*>(memory));
  return done();
}
PyObject* host_freeHost(intptr_t memory, int) { return host_free(memory, 0); }

PyObject* host_memcpy(intptr_t to, intptr_t from, size_t size, int, int) {
  memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), size);
  return done();
}
PyObject* host_memcpyAsync(intptr_t to, intptr_t from, size_t size, int, intptr_t, int) {
  return host_memcpy(to, from, size, 0, 0);
}
PyObject* host_memset(intptr_t to, int value, size_t size, int) {
  memset(reinterpret_cast<void*>(to), value, size);
  return done();
}
PyObject* host_memsetAsync(intptr_t to, int value, size_t size, intptr_t, int) {
  return host_memset(to, value, size, 0);
}

// The image of a module is the path of a shared object. It stays loaded: CuPy keeps kernels as long as the process lives.
intptr_t host_moduleLoadData(PyObject* image, int) {
  void* module = dlopen(PyBytes_AsString(image), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) return failed<intptr_t>(dlerror(), 0);
  return reinterpret_cast<intptr_t>(module);
}
PyObject* host_moduleUnload(intptr_t, int) { return done(); }

intptr_t host_moduleGetFunction(intptr_t module, PyObject* name, int) {
  std::string entry = std::string("host_entry_") + PyUnicode_AsUTF8(name);
  void* function = dlsym(reinterpret_cast<void*>(module), entry.c_str());
  if (function == nullptr) return failed<intptr_t>("no kernel " + entry, 0);
  return reinterpret_cast<intptr_t>(function);
}

PyObject* host_launchKernel(intptr_t function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                            unsigned bz, unsigned, intptr_t, intptr_t arguments, intptr_t extra, int) {
  if (extra != 0) return failed<PyObject*>("packed arguments are not played", nullptr);
  unsigned grid[] = {gx, gy, gz};
  unsigned block[] = {bx, by, bz};
  reinterpret_cast<Entry>(function)(reinterpret_cast<void**>(arguments), grid, block);
  launches += 1;
  return done();
}

int host_launches() { return launches; }

}  // extern "C"
