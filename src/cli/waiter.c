/* waiter: see waiter.h. The one state that is global here is the signal handler's: it has no other
 * way to reach anything. */
#include "cli/waiter.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int caught_signal;
static atomic_int signal_wake_fd = -1;

static const int ENDING_SIGNALS[] = {SIGINT, SIGTERM, SIGHUP};
#define ENDING_SIGNAL_COUNT (sizeof(ENDING_SIGNALS) / sizeof(ENDING_SIGNALS[0]))

static void wake(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof(one));
    (void)written; /* full: then it is awake */
}

static void on_signal(int number)
{
    int saved_errno = errno;
    atomic_store(&caught_signal, number);
    wake(atomic_load(&signal_wake_fd));
    errno = saved_errno;
}

/* A signal that is ignored, as in `nohup sluice …`, stays so. */
static void set_handlers(void (*handler)(int))
{
    for (size_t i = 0; i < ENDING_SIGNAL_COUNT; i++) {
        struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
        struct sigaction before;
        (void)sigemptyset(&action.sa_mask);
        if (sigaction(ENDING_SIGNALS[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            (void)sigaction(ENDING_SIGNALS[i], &action, NULL);
        }
    }
}

enum sluice_status waiter_init(struct waiter *waiter, struct sluice_error *error)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        return error_set(error, SLUICE_IO, "cannot make an eventfd: %s", strerror(errno));
    }
    (void)pthread_mutex_init(&waiter->mutex, NULL);
    (void)pthread_cond_init(&waiter->room, NULL);
    waiter->wake_fd = fd;
    atomic_store(&signal_wake_fd, fd);
    set_handlers(on_signal);
    return SLUICE_OK;
}

void waiter_deinit(struct waiter *waiter)
{
    set_handlers(SIG_DFL);
    atomic_store(&signal_wake_fd, -1);
    (void)close(waiter->wake_fd);
    (void)pthread_cond_destroy(&waiter->room);
    (void)pthread_mutex_destroy(&waiter->mutex);
}

void waiter_lock(struct waiter *waiter)
{
    (void)pthread_mutex_lock(&waiter->mutex);
}

void waiter_unlock(struct waiter *waiter)
{
    (void)pthread_mutex_unlock(&waiter->mutex);
}

void waiter_wake(struct waiter *waiter)
{
    wake(waiter->wake_fd);
}

void waiter_wait_for_room(struct waiter *waiter)
{
    (void)pthread_cond_wait(&waiter->room, &waiter->mutex);
}

void waiter_make_room(struct waiter *waiter)
{
    (void)pthread_cond_broadcast(&waiter->room);
}

bool waiter_wait(struct waiter *waiter, int fd, int timeout_ms)
{
    struct pollfd polled[] = {{.fd = waiter->wake_fd, .events = POLLIN},
                              {.fd = fd, .events = POLLIN}};
    if (poll(polled, 2, timeout_ms) < 0) {
        return false; /* a signal; poll has no other failure here that waiting could mend */
    }
    if (polled[0].revents != 0) {
        uint64_t wakes = 0;
        ssize_t got = read(waiter->wake_fd, &wakes, sizeof(wakes));
        (void)got;
    }
    return fd >= 0 && polled[1].revents != 0;
}

int waiter_signal(void)
{
    return atomic_load(&caught_signal);
}

enum sluice_status waiter_write_lines(int fd, struct slice lines, struct sluice_error *error)
{
    size_t done = 0;
    size_t end = lines.bytes;
    while (done < end) {
        if (waiter_signal() != 0) {
            const char *rest = lines.data + done;
            bool at_line = done == 0 || rest[-1] == '\n';
            const char *newline = at_line ? NULL : memchr(rest, '\n', end - done);
            end = newline != NULL ? (size_t)(newline - lines.data) + 1 : done;
            if (end == done) {
                return SLUICE_OK;
            }
        }
        ssize_t written = write(fd, lines.data + done, end - done);
        if (written >= 0) {
            done += (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd polled = {.fd = fd, .events = POLLOUT};
            (void)poll(&polled, 1, -1);
        } else if (errno != EINTR) {
            return error_set(error, SLUICE_IO, "cannot write to standard output: %s",
                             strerror(errno));
        }
    }
    return SLUICE_OK;
}
