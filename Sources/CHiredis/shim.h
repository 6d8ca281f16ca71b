// The protocol layer of hiredis: the RESP reader and the command formatter. Its sockets are not used.
#ifndef GATEWAY_HIREDIS_SHIM_H
#define GATEWAY_HIREDIS_SHIM_H

#include <hiredis/hiredis.h>
#include <hiredis/read.h>

#if HIREDIS_MAJOR > 0
typedef size_t gateway_count;
#else
typedef int gateway_count;
#endif

// hiredis allocates room for as many elements as the peer announces, and walks over it when it gives up: seconds for 13 bytes.
// The limits outlive the reader.
typedef struct gateway_reader_limits {
    redisReplyObjectFunctions functions;
    void *(*array)(const redisReadTask *, gateway_count);
    // Elements that the reply may still have, over all its arrays; negative: it wanted more.
    long left;
} gateway_reader_limits;

static inline void *gateway_limited_array(const redisReadTask *task, gateway_count elements) {
    gateway_reader_limits *limits = (gateway_reader_limits *)task->privdata;
    if ((long)elements > limits->left) {
        limits->left = -1;
        return NULL;
    }
    limits->left -= (long)elements;
    return limits->array(task, elements);
}

static inline void gateway_limit_reader(redisReader *reader, gateway_reader_limits *limits) {
    limits->functions = *reader->fn;
    limits->array = reader->fn->createArray;
    limits->functions.createArray = gateway_limited_array;
    reader->fn = &limits->functions;
    reader->privdata = limits;
}

#endif
