/* aborts: runs a statement in a child process and checks that an assertion ends it. */
#ifndef SLUICE_TESTS_ABORTS_H
#define SLUICE_TESTS_ABORTS_H

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASSERT_ABORTS(statement)                                                                   \
    do {                                                                                           \
        pid_t child_ = fork();                                                                     \
        assert_true(child_ >= 0);                                                                  \
        if (child_ == 0) {                                                                         \
            signal(SIGABRT, SIG_DFL); /* cmocka catches it */                                      \
            dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);                                      \
            statement;                                                                             \
            _exit(0);                                                                              \
        }                                                                                          \
        int how_;                                                                                  \
        assert_int_equal(waitpid(child_, &how_, 0), child_);                                       \
        assert_true(WIFSIGNALED(how_));                                                            \
        assert_int_equal(WTERMSIG(how_), SIGABRT);                                                 \
    } while (0)

#endif
