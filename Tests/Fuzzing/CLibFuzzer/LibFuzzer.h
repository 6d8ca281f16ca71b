#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Of LLVM's libFuzzer, which has no header for it: runs the fuzzer with the arguments of a program.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*check)(const uint8_t *data, size_t size));
