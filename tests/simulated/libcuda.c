/* A simulated CUDA driver on the host's memory, for the runner's own logic where there is no GPU.

   As strict as the real one where the runner could err: work that is queued is done at cuStreamSynchronize and not
   before, device addresses cannot be read by the host, copies beyond an allocation are refused, a captured queue does
   nothing until its graph is launched. An engine's work comes in through cuLaunchHostFunc. It says nothing of speed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef unsigned long long Address;
typedef void (*Work)(void *);
enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, CAPTURE_UNSUPPORTED = 900, MOST = 4096, MOST_OPS = 4096 };
#define DEVICE_OFFSET 0x500000000000ull /* no program has its memory there */

typedef struct { Address begin; size_t size; } Block;
typedef struct { Work work; void *data; void *target; const void *source; size_t size; } Op;
typedef struct { int is_capturing; size_t count; Op ops[MOST_OPS]; } Queue;

static Block device_blocks[MOST], host_blocks[MOST];
static int is_integrated = 1, is_graph_refused = 0, launches = 0;

void simulated_set(int integrated, int refuse_graphs) { is_integrated = integrated; is_graph_refused = refuse_graphs; launches = 0; }
int simulated_graph_launches(void) { return launches; }
size_t simulated_allocations(void) {
  size_t n = 0;
  for (int i = 0; i < MOST; i++) n += (device_blocks[i].size > 0) + (host_blocks[i].size > 0);
  return n;
}
static Block *block_of(Block *blocks, Address at, size_t size) {
  for (int i = 0; i < MOST; i++)
    if (blocks[i].size && at >= blocks[i].begin && at + size <= blocks[i].begin + blocks[i].size) return &blocks[i];
  return NULL;
}
/* Where the host finds what the device has at an address; NULL where the device has nothing there. */
void *simulated_host_pointer(Address at, size_t size) {
  if (block_of(device_blocks, at, size)) return (void *)(uintptr_t)(at - DEVICE_OFFSET);
  if (is_integrated && at >= DEVICE_OFFSET && block_of(host_blocks, at - DEVICE_OFFSET, size)) return (void *)(uintptr_t)(at - DEVICE_OFFSET);
  return NULL;
}
static Result kept(Block *blocks, Address begin, size_t size) {
  for (int i = 0; i < MOST; i++)
    if (!blocks[i].size) { blocks[i].begin = begin; blocks[i].size = size; return OK; }
  return OUT_OF_MEMORY;
}
static Result freed(Block *blocks, Address begin, Address offset) {
  for (int i = 0; i < MOST; i++)
    if (blocks[i].size && blocks[i].begin == begin) { free((void *)(uintptr_t)(begin - offset)); blocks[i].size = 0; return OK; }
  return INVALID_VALUE;
}
static Result queued(Queue *queue, Op op) {
  if (queue->count == MOST_OPS) return OUT_OF_MEMORY;
  queue->ops[queue->count++] = op;
  return OK;
}
static void run(const Op *op) { if (op->work) op->work(op->data); else memcpy(op->target, op->source, op->size); }
static Result copied(Queue *queue, void *target, const void *source, size_t size) {
  if (!target || !source) return INVALID_VALUE;
  return queued(queue, (Op){NULL, NULL, target, source, size});
}

Result cuInit(unsigned flags) { return flags ? INVALID_VALUE : OK; }
Result cuDriverGetVersion(int *version) { *version = 12060; return OK; }
Result cuDeviceGetCount(int *count) { *count = 1; return OK; }
Result cuDeviceGet(int *device, int number) { *device = 0; return number ? INVALID_VALUE : OK; }
Result cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Simulated", size); return device ? INVALID_VALUE : OK; }
Result cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 8ull << 30; return device ? INVALID_VALUE : OK; }
Result cuDeviceGetAttribute(int *value, int attribute, int device) {
  switch (attribute) {
    case 16: *value = 8; break;   /* multiprocessors */
    case 18: *value = is_integrated; break;
    case 75: *value = 8; break;   /* compute capability */
    case 76: *value = 7; break;
    default: return INVALID_VALUE;
  }
  return device ? INVALID_VALUE : OK;
}
Result cuDevicePrimaryCtxRetain(void **context, int device) { *context = &launches; return device ? INVALID_VALUE : OK; }
Result cuDevicePrimaryCtxRelease_v2(int device) { return device ? INVALID_VALUE : OK; }
Result cuCtxSetCurrent(void *context) { return context ? OK : INVALID_VALUE; }
Result cuMemAlloc_v2(Address *at, size_t size) {
  void *memory = size ? malloc(size) : NULL;
  if (!memory) return INVALID_VALUE;
  memset(memory, 0xA5, size); /* new memory holds anything */
  *at = (Address)(uintptr_t)memory + DEVICE_OFFSET;
  return kept(device_blocks, *at, size);
}
Result cuMemFree_v2(Address at) { return freed(device_blocks, at, DEVICE_OFFSET); }
Result cuMemHostAlloc(void **at, size_t size, unsigned flags) {
  *at = size && flags == 2 ? malloc(size) : NULL; /* 2: mapped */
  return *at ? kept(host_blocks, (Address)(uintptr_t)*at, size) : INVALID_VALUE;
}
Result cuMemFreeHost(void *at) { return freed(host_blocks, (Address)(uintptr_t)at, 0); }
Result cuMemHostGetDevicePointer_v2(Address *device, void *at, unsigned flags) {
  *device = (Address)(uintptr_t)at + DEVICE_OFFSET;
  return !flags && is_integrated && block_of(host_blocks, (Address)(uintptr_t)at, 1) ? OK : INVALID_VALUE;
}
Result cuMemcpyHtoDAsync_v2(Address target, const void *source, size_t size, Queue *queue) { return copied(queue, simulated_host_pointer(target, size), source, size); }
Result cuMemcpyDtoHAsync_v2(void *target, Address source, size_t size, Queue *queue) { return copied(queue, target, simulated_host_pointer(source, size), size); }
Result cuLaunchHostFunc(Queue *queue, Work work, void *data) { return queued(queue, (Op){work, data, NULL, NULL, 0}); }
Result cuStreamCreate(Queue **queue, unsigned flags) { *queue = calloc(1, sizeof(Queue)); return flags <= 1 && *queue ? OK : INVALID_VALUE; }
Result cuStreamDestroy_v2(Queue *queue) { free(queue); return OK; }
Result cuStreamSynchronize(Queue *queue) {
  if (queue->is_capturing) return CAPTURE_UNSUPPORTED;
  for (size_t i = 0; i < queue->count; i++) run(&queue->ops[i]);
  queue->count = 0;
  return OK;
}
Result cuStreamBeginCapture_v2(Queue *queue, int mode) {
  if (is_graph_refused) return CAPTURE_UNSUPPORTED;
  Result result = cuStreamSynchronize(queue);
  queue->is_capturing = 1;
  return mode <= 2 ? result : INVALID_VALUE;
}
Result cuStreamEndCapture(Queue *queue, Queue **graph) {
  if (!queue->is_capturing) return INVALID_VALUE;
  *graph = malloc(sizeof(Queue));
  if (!*graph) return OUT_OF_MEMORY;
  memcpy(*graph, queue, sizeof(Queue));
  queue->is_capturing = 0;
  queue->count = 0;
  return OK;
}
Result cuGraphInstantiateWithFlags(Queue **executable, Queue *graph, unsigned long long flags) {
  *executable = malloc(sizeof(Queue));
  if (flags || !*executable) return INVALID_VALUE;
  memcpy(*executable, graph, sizeof(Queue));
  return OK;
}
Result cuGraphDestroy(Queue *graph) { free(graph); return OK; }
Result cuGraphExecDestroy(Queue *executable) { free(executable); return OK; }
Result cuGraphLaunch(Queue *executable, Queue *queue) {
  launches++;
  for (size_t i = 0; i < executable->count; i++)
    if (queued(queue, executable->ops[i]) != OK) return OUT_OF_MEMORY;
  return OK;
}
Result cuGetErrorName(Result error, const char **name) { *name = error == INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE" : "CUDA_ERROR"; return OK; }
Result cuGetErrorString(Result error, const char **text) { *text = error == INVALID_VALUE ? "invalid argument" : "error"; return OK; }

/* cuda-python asks for every function by its name without the ending of its version. */
#define ONE(name, function) if (!strcmp(symbol, name)) { *at = (void *)function; return OK; }
Result cuGetProcAddress_v2(const char *symbol, void **at, int version, unsigned long long flags, int *status) {
  (void)version; (void)flags;
  if (status) *status = 0;
  ONE("cuInit", cuInit) ONE("cuDriverGetVersion", cuDriverGetVersion) ONE("cuDeviceGet", cuDeviceGet) ONE("cuDeviceGetCount", cuDeviceGetCount)
  ONE("cuDeviceGetName", cuDeviceGetName) ONE("cuDeviceTotalMem", cuDeviceTotalMem_v2) ONE("cuDeviceGetAttribute", cuDeviceGetAttribute)
  ONE("cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain) ONE("cuDevicePrimaryCtxRelease", cuDevicePrimaryCtxRelease_v2)
  ONE("cuCtxSetCurrent", cuCtxSetCurrent) ONE("cuMemAlloc", cuMemAlloc_v2) ONE("cuMemFree", cuMemFree_v2)
  ONE("cuMemHostAlloc", cuMemHostAlloc) ONE("cuMemFreeHost", cuMemFreeHost) ONE("cuMemHostGetDevicePointer", cuMemHostGetDevicePointer_v2)
  ONE("cuMemcpyHtoDAsync", cuMemcpyHtoDAsync_v2) ONE("cuMemcpyDtoHAsync", cuMemcpyDtoHAsync_v2)
  ONE("cuLaunchHostFunc", cuLaunchHostFunc) ONE("cuStreamCreate", cuStreamCreate) ONE("cuStreamDestroy", cuStreamDestroy_v2)
  ONE("cuStreamSynchronize", cuStreamSynchronize) ONE("cuStreamBeginCapture", cuStreamBeginCapture_v2) ONE("cuStreamEndCapture", cuStreamEndCapture)
  ONE("cuGraphInstantiate", cuGraphInstantiateWithFlags) ONE("cuGraphInstantiateWithFlags", cuGraphInstantiateWithFlags)
  ONE("cuGraphDestroy", cuGraphDestroy) ONE("cuGraphExecDestroy", cuGraphExecDestroy) ONE("cuGraphLaunch", cuGraphLaunch)
  ONE("cuGetErrorName", cuGetErrorName) ONE("cuGetErrorString", cuGetErrorString) ONE("cuGetProcAddress", cuGetProcAddress_v2)
  *at = NULL;
  if (status) *status = 1;
  return NOT_FOUND;
}
