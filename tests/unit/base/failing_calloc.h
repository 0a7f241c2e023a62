/* failing_calloc: failing_alloc for programs that are linked with --wrap=calloc, too. */
#ifndef SLUICE_TESTS_FAILING_CALLOC_H
#define SLUICE_TESTS_FAILING_CALLOC_H

#include "failing_alloc.h"

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

void *__wrap_calloc(size_t count, size_t bytes)
{
    return failing_alloc_fails_now() ? NULL : __real_calloc(count, bytes);
}

#endif
