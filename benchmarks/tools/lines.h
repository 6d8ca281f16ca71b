// The lines of a file, in turn, for what differs from request to request.

#pragma once
#include "answers.h"
#include <errno.h>
#include <sys/stat.h>

struct lines {
    char **all;
    long count, next;
};

static inline void lines_read(struct lines *lines, const char *name) {
    FILE *file = fopen(name, "r");
    struct stat about;
    if (!file || fstat(fileno(file), &about) < 0) fail(name, strerror(errno));
    char *text = calloc(1, (size_t)about.st_size + 1);
    if (!text || fread(text, 1, (size_t)about.st_size, file) != (size_t)about.st_size) fail(name, "cannot be read");
    fclose(file);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (lines->count % 1024 == 0)
            lines->all = realloc(lines->all, (size_t)(lines->count + 1024) * sizeof *lines->all);
        if (!lines->all) fail(name, strerror(errno));
        lines->all[lines->count++] = line;
    }
    if (lines->count == 0) fail(name, "is empty");
}

static inline void lines_begin(struct lines *lines, long first) {
    lines->next = lines->count ? first % lines->count : 0;
}

static inline const char *lines_next(struct lines *lines) {
    const char *line = lines->all[lines->next++];
    if (lines->next == lines->count) lines->next = 0;
    return line;
}
