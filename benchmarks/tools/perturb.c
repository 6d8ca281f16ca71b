// LD_PRELOAD library for the test of the guard: adds a known cost to each read from a socket.
//
// BENCH_PERTURB is a list of words: `allocation` adds one malloc, `syscall` adds one system call.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static ssize_t (*real_recv)(int, void *, size_t, int);
static int adds_allocation, adds_call;
// Volatile, or the compiler removes a block that is freed unused.
static void *volatile block;

__attribute__((constructor)) static void attach(void) {
    const char *words = getenv("BENCH_PERTURB");
    real_recv = (ssize_t(*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
    adds_allocation = words && strstr(words, "allocation") != NULL;
    adds_call = words && strstr(words, "syscall") != NULL;
}

ssize_t recv(int fd, void *buffer, size_t size, int flags) {
    if (adds_allocation) {
        block = malloc(64);
        free(block);
    }
    if (adds_call) syscall(SYS_getppid);
    return real_recv(fd, buffer, size, flags);
}
