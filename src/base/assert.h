/* assert: assertions that stay on in release builds. For arguments, transitions and counters; never
 * for anything that a peer, the disk or the configuration can bring about. */
#ifndef SLUICE_BASE_ASSERT_H
#define SLUICE_BASE_ASSERT_H

#define SLUICE_ASSERT(condition)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            sluice_assert_failed(#condition, __FILE__, __LINE__, __func__);                        \
        }                                                                                          \
    } while (0)

__attribute__((noreturn)) void sluice_assert_failed(const char *condition, const char *file,
                                                    int line, const char *function);

#endif
