// Times of the generators: a monotonic clock and a histogram of latencies.

#pragma once
#include <stdint.h>
#include <time.h>

enum { BUCKETS = 64 * 32 };

static uint64_t histogram[BUCKETS], slowest;

static inline uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/// Buckets of 1/32 of a power of two: a quantile is exact to 3 %.
static inline void record(uint64_t ns) {
    int power = 63 - __builtin_clzll(ns | 32);
    histogram[(power - 5) * 32 + (int)(ns >> (power - 5) & 31)]++;
    if (ns > slowest) slowest = ns;
}

static inline double quantile_us(double q) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) total += histogram[i];
    for (int i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (total > 0 && (double)seen >= q * (double)total) return (double)((uint64_t)(32 + i % 32) << (i / 32)) / 1000;
    }
    return 0;
}
