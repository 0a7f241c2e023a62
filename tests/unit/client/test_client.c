/* The public API on a runner that the test plays: what it checks and copies, and that every request
 * is freed after its last callback, whatever order things come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/failing_alloc.h"
#include "client/runner.h"
#include "sluice/sluice.h"

/* ---- the runner: commands wait until run_all, with a core that is never connected ---- */

struct runner {
    struct runner_options options;
    struct client_core *core;
    struct runner_command *first;
    struct runner_command **last;
    uint64_t now_ms;
};

static bool on_own_thread;

static void nothing(void *user)
{
    (void)user;
}

static void send_nothing(void *user, struct slice bytes)
{
    (void)user, (void)bytes;
}

static void no_random(void *user, void *out, size_t bytes)
{
    (void)user;
    memset(out, 0, bytes);
}

static void on_connection(void *user, const struct sluice_connection *connection)
{
    struct runner *runner = user;
    runner->options.connection(runner->options.user, connection);
}

static void on_backend_id(void *user, struct slice backend_id)
{
    struct runner *runner = user;
    runner->options.backend_id(runner->options.user, backend_id);
}

static const struct client_core_ops OPS = {.open = nothing,
                                           .send = send_nothing,
                                           .shut = nothing,
                                           .random = no_random,
                                           .connection = on_connection,
                                           .backend_id = on_backend_id};

static struct runner *last_runner;

enum sluice_status __wrap_runner_create(const struct runner_options *options, struct runner **out,
                                        struct sluice_error *error);
enum sluice_status __wrap_runner_create(const struct runner_options *options, struct runner **out,
                                        struct sluice_error *error)
{
    struct runner *runner = calloc(1, sizeof(*runner));
    runner->options = *options;
    runner->last = &runner->first;
    runner->core = client_core_create(options->config, &OPS, runner);
    if (runner->core == NULL) {
        free(runner);
        return error_set(error, SLUICE_NO_MEMORY, "out of memory for a core");
    }
    last_runner = runner;
    *out = runner;
    return SLUICE_OK;
}

void __wrap_runner_post(struct runner *runner, struct runner_command *command);
void __wrap_runner_post(struct runner *runner, struct runner_command *command)
{
    command->next = NULL;
    *runner->last = command;
    runner->last = &command->next;
}

static void run_all(struct runner *runner)
{
    while (runner->first != NULL) {
        struct runner_command *command = runner->first;
        runner->first = command->next;
        if (runner->first == NULL) {
            runner->last = &runner->first;
        }
        command->run(command, runner->core, runner->now_ms);
    }
}

bool __wrap_runner_is_connected(const struct runner *runner);
bool __wrap_runner_is_connected(const struct runner *runner)
{
    return client_core_is_connected(runner->core);
}

bool __wrap_runner_is_own_thread(const struct runner *runner);
bool __wrap_runner_is_own_thread(const struct runner *runner)
{
    (void)runner;
    return on_own_thread;
}

void __wrap_runner_close(struct runner *runner);
void __wrap_runner_close(struct runner *runner)
{
    client_core_close(runner->core, runner->now_ms);
    run_all(runner);
    client_core_destroy(runner->core);
    runner->options.closed(runner->options.user);
    free(runner);
}

/* ---- what is told ---- */

static char told[1000];

static void note(const char *what, const struct sluice_failure *failure)
{
    size_t at = strlen(told);
    (void)snprintf(told + at, sizeof(told) - at, "%s %s; ", what,
                   failure == NULL ? "OK" : sluice_status_name(failure->error.status));
}

static void on_connect(void *user, const struct sluice_failure *failure)
{
    note(user, failure);
}

static void on_ping(void *user, const struct sluice_failure *failure, uint64_t round_trip_ms)
{
    (void)round_trip_ms;
    note(user, failure);
}

static void on_ended(void *user, const struct sluice_failure *failure)
{
    note(user, failure);
}

static void on_push(void *user, const struct sluice_push_result *result)
{
    note(user, result->failure);
}

static const struct sluice_pull_callbacks CALLBACKS = {.ended = on_ended};

static struct sluice_client_options options(void)
{
    struct sluice_client_options made;
    sluice_client_options_init(&made);
    made.url = "ws://h/";
    made.store_id = "s";
    return made;
}

static struct sluice_client *client;

static int setup(void **state)
{
    (void)state;
    struct sluice_client_options made = options();
    told[0] = '\0';
    on_own_thread = false;
    assert_int_equal(sluice_client_create(&made, &client, NULL), SLUICE_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(sluice_client_close(client, NULL, NULL), SLUICE_OK);
    return 0;
}

/* ---- tests ---- */

static void options_that_make_no_sense_are_refused_by_name(void **state)
{
    static const struct sluice_header BAD_NAME[] = {{"a b", "v"}};
    static const struct sluice_header OWN_NAME[] = {{"content-LENGTH", "0"}};
    static const struct sluice_header BAD_VALUE[] = {{"a", "v\r\nX: y"}};
    (void)state;
    struct {
        struct sluice_client_options options;
        const char *part;
    } wrong[13];
    size_t count = sizeof(wrong) / sizeof(wrong[0]);
    for (size_t i = 0; i < count; i++) {
        wrong[i].options = options();
    }
    wrong[0].options.url = NULL;
    wrong[0].part = "url";
    wrong[1].options.url = "gopher://h/";
    wrong[1].part = "url";
    wrong[2].options.store_id = "";
    wrong[2].part = "store_id";
    wrong[3].options.payload_json = "{";
    wrong[3].part = "payload_json";
    wrong[4].options.headers = BAD_NAME;
    wrong[4].options.header_count = 1;
    wrong[4].part = "headers[0].name";
    wrong[5].options.headers = BAD_VALUE;
    wrong[5].options.header_count = 1;
    wrong[5].part = "headers[0].value";
    wrong[6].options.ping_timeout_ms = wrong[6].options.ping_interval_ms;
    wrong[6].part = "ping_timeout_ms";
    wrong[7].options.backoff_base_ms = 0;
    wrong[7].part = "backoff_base_ms";
    wrong[8].options.backoff_cap_ms = 1;
    wrong[8].part = "backoff_cap_ms";
    wrong[9].options.message_bytes_max = 0;
    wrong[9].part = "message_bytes_max";
    wrong[10].options.transport = (enum sluice_transport)7;
    wrong[10].part = "transport";
    wrong[11].options.struct_bytes = 8;
    wrong[11].part = "sluice_client_options_init";
    wrong[12].options.headers = OWN_NAME;
    wrong[12].options.header_count = 1;
    wrong[12].part = "headers[0].name";
    for (size_t i = 0; i < count; i++) {
        struct sluice_client *made = NULL;
        struct sluice_error error = {0};
        assert_int_equal(sluice_client_create(&wrong[i].options, &made, &error), SLUICE_CONFIG);
        assert_null(made);
        if (strstr(error.message, wrong[i].part) == NULL) {
            fail_msg("'%s' does not name %s", error.message, wrong[i].part);
        }
    }
}

static void options_are_copied(void **state)
{
    (void)state;
    char url[] = "ws://h:81/";
    char value[] = "secret";
    struct sluice_header header = {"Authorization", value};
    struct sluice_client_options made = options();
    made.url = url;
    made.headers = &header;
    made.header_count = 1;
    struct sluice_client *other = NULL;
    assert_int_equal(sluice_client_create(&made, &other, NULL), SLUICE_OK);
    memset(url, 'x', strlen(url));
    memset(value, 'x', strlen(value));
    const struct client_core_config *config = last_runner->options.config;
    assert_string_equal(sluice_client_metadata(other)->url, "ws://h:81/");
    assert_string_equal(config->url->host, "h");
    assert_string_equal(config->headers[0].value, "secret");
    assert_int_equal(sluice_client_close(other, NULL, NULL), SLUICE_OK);
}

static void a_client_says_what_it_is(void **state)
{
    (void)state;
    assert_string_equal(sluice_client_metadata(client)->name, "libsluice");
    assert_string_equal(sluice_client_metadata(client)->protocol, "ws");
    assert_true(sluice_client_supports(client, SLUICE_SUPPORTS_PULL_PAGE_INFO_KNOWN));
    assert_true(sluice_client_supports(client, SLUICE_SUPPORTS_PULL_LIVE));
    assert_false(sluice_client_supports(client, (enum sluice_feature)99));
    assert_false(sluice_client_is_connected(client));
    assert_true(strlen(sluice_version()) > 0);
}

static struct sluice_event event(uint64_t seq_num, uint64_t parent_seq_num)
{
    return (struct sluice_event){.seq_num = seq_num,
                                 .parent_seq_num = parent_seq_num,
                                 .name = sluice_text_of("n"),
                                 .args = sluice_text_of("{}"),
                                 .client_id = sluice_text_of("c"),
                                 .session_id = sluice_text_of("s")};
}

static void events_that_break_a_rule_are_refused_before_anything_is_sent(void **state)
{
    (void)state;
    struct sluice_error error = {0};
    struct sluice_event broken[] = {event(1, 0), event(3, 2)};
    assert_int_equal(sluice_client_push(client, broken, 2, on_push, "push", &error),
                     SLUICE_INVALID);
    assert_non_null(strstr(error.message, "events[1].parent_seq_num"));
    struct sluice_event nameless = event(1, 0);
    nameless.name.bytes = 0;
    assert_int_equal(sluice_client_push(client, &nameless, 1, on_push, "push", &error),
                     SLUICE_INVALID);
    struct sluice_pull *pull;
    assert_int_equal(sluice_client_pull(client, SLUICE_SEQ_NUM_MAX + 1, false, &CALLBACKS, "pull",
                                        &pull, &error),
                     SLUICE_INVALID);
    assert_int_equal(sluice_client_commit(client, &nameless, NULL, &error), SLUICE_CONFIG);
    assert_non_null(strstr(error.message, "outbox_path"));
    run_all(last_runner);
    assert_string_equal(told, "");
}

static void closing_ends_everything_with_one_callback_each(void **state)
{
    (void)state;
    struct sluice_client_options made = options();
    struct sluice_client *other = NULL;
    struct sluice_pull *pull;
    struct sluice_event one = event(1, 0);
    assert_int_equal(sluice_client_create(&made, &other, NULL), SLUICE_OK);
    assert_int_equal(sluice_client_connect(other, on_connect, "connect", NULL), SLUICE_OK);
    assert_int_equal(sluice_client_ping(other, on_ping, "ping", NULL), SLUICE_OK);
    assert_int_equal(sluice_client_pull(other, 0, true, &CALLBACKS, "pull", &pull, NULL),
                     SLUICE_OK);
    run_all(last_runner);
    assert_int_equal(sluice_client_push(other, &one, 1, on_push, "push", NULL), SLUICE_OK);
    assert_int_equal(sluice_client_close(other, nothing, NULL), SLUICE_OK);
    assert_string_equal(told, "connect CLOSED; ping CLOSED; pull CLOSED; push CLOSED; ");
}

static void a_client_is_not_closed_from_its_own_thread(void **state)
{
    (void)state;
    on_own_thread = true;
    assert_int_equal(sluice_client_close(client, NULL, NULL), SLUICE_INVALID);
    on_own_thread = false;
    assert_int_equal(sluice_client_close(NULL, NULL, NULL), SLUICE_OK);
}

static void a_pull_is_cancelled_once_at_any_time(void **state)
{
    (void)state;
    struct sluice_pull *pull;
    assert_int_equal(sluice_client_pull(client, 0, true, &CALLBACKS, "early", &pull, NULL),
                     SLUICE_OK);
    sluice_pull_cancel(pull); /* before it has started */
    run_all(last_runner);
    assert_int_equal(sluice_client_pull(client, 0, true, &CALLBACKS, "late", &pull, NULL),
                     SLUICE_OK);
    run_all(last_runner);
    sluice_pull_cancel(pull);
    sluice_pull_cancel(pull);
    run_all(last_runner);
    assert_string_equal(told, "early CLOSED; late CLOSED; ");
}

static void a_pull_may_end_while_its_cancelling_is_under_way(void **state)
{
    (void)state;
    struct sluice_client_options made = options();
    struct sluice_client *other = NULL;
    struct sluice_pull *pull;
    assert_int_equal(sluice_client_create(&made, &other, NULL), SLUICE_OK);
    assert_int_equal(sluice_client_pull(other, 0, true, &CALLBACKS, "pull", &pull, NULL),
                     SLUICE_OK);
    run_all(last_runner);
    sluice_pull_cancel(pull); /* in the queue when closing ends the pull */
    assert_int_equal(sluice_client_close(other, NULL, NULL), SLUICE_OK);
    assert_string_equal(told, "pull CLOSED; ");
}

static struct sluice_client *asking;

static void ask_again(void *user, const struct sluice_failure *failure)
{
    struct sluice_error error = {0};
    note(user, failure);
    assert_int_equal(sluice_client_connect(asking, ask_again, user, &error), SLUICE_CLOSED);
    assert_int_equal(error.status, SLUICE_CLOSED);
}

static void who_asks_again_while_it_is_closed_is_told_at_once(void **state)
{
    (void)state;
    struct sluice_client_options made = options();
    assert_int_equal(sluice_client_create(&made, &asking, NULL), SLUICE_OK);
    assert_int_equal(sluice_client_connect(asking, ask_again, "connect", NULL), SLUICE_OK);
    run_all(last_runner);
    assert_int_equal(sluice_client_close(asking, NULL, NULL), SLUICE_OK);
    assert_string_equal(told, "connect CLOSED; ");
}

static enum sluice_status load_id(void *user, char out[SLUICE_BACKEND_ID_BYTES_MAX], size_t *bytes)
{
    (void)user;
    memcpy(out, "kept", 4);
    *bytes = 4;
    return SLUICE_OK;
}

static enum sluice_status save_id(void *user, struct sluice_text backend_id)
{
    (void)user;
    (void)snprintf(told, sizeof(told), "saved %.*s", (int)backend_id.bytes, backend_id.data);
    return SLUICE_OK;
}

static void the_backend_id_is_loaded_and_saved_by_the_callers_functions(void **state)
{
    static const struct sluice_state_callbacks STATE = {.load = load_id, .save = save_id};
    (void)state;
    struct sluice_client_options made = options();
    struct sluice_client *other = NULL;
    made.state = &STATE;
    assert_int_equal(sluice_client_create(&made, &other, NULL), SLUICE_OK);
    assert_true(slice_equal(client_core_backend_id(last_runner->core), SLICE("kept")));
    on_backend_id(last_runner, SLICE("new"));
    assert_string_equal(told, "saved new");
    assert_int_equal(sluice_client_close(other, NULL, NULL), SLUICE_OK);
}

/* Every allocation of creating a client and of asking it for things fails in turn. */
static void without_memory_each_call_says_so(void **state)
{
    (void)state;
    struct sluice_client_options made = options();
    struct sluice_event events[] = {event(1, 0), event(2, 1)};
    unsigned failures = 0;
    made.payload_json = "{\"a\":1}";
    for (unsigned step = 0; step < 4; step++) {
        enum sluice_status status = SLUICE_NO_MEMORY;
        for (unsigned successes = 0; status == SLUICE_NO_MEMORY; successes++) {
            struct sluice_client *other = NULL;
            struct sluice_pull *pull;
            struct sluice_error error = {0};
            failing_alloc_arm(successes);
            if (step == 0) {
                status = sluice_client_create(&made, &other, &error);
            } else if (step == 1) {
                status = sluice_client_ping(client, on_ping, "ping", &error);
            } else if (step == 2) {
                status = sluice_client_pull(client, 0, true, &CALLBACKS, "pull", &pull, &error);
            } else {
                status = sluice_client_push(client, events, 2, on_push, "push", &error);
            }
            failing_alloc_disarm();
            assert_int_equal(status, error.status);
            failures += status == SLUICE_NO_MEMORY ? 1 : 0;
            assert_int_equal(sluice_client_close(other, NULL, NULL), SLUICE_OK);
        }
        assert_int_equal(status, SLUICE_OK);
    }
    assert_true(failures >= 6);
}

static void on_outbox_failed(void *user, const struct sluice_failure *failure, bool halted)
{
    note(user, failure);
    assert_true(halted);
}

static void an_outbox_that_found_no_memory_to_start_is_started_by_a_reset(void **state)
{
    static const struct sluice_outbox_callbacks OUTBOX = {.failed = on_outbox_failed};
    (void)state;
    char folder[] = "/tmp/sluice-client-XXXXXX";
    char path[64];
    struct sluice_client_options made = options();
    struct sluice_client *other = NULL;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/outbox", folder);
    made.outbox_path = path;
    made.outbox = &OUTBOX;
    made.user = (void *)"outbox";
    assert_int_equal(sluice_client_create(&made, &other, NULL), SLUICE_OK);
    failing_alloc_arm(0);
    run_all(last_runner);
    failing_alloc_disarm();
    assert_string_equal(told, "outbox NO_MEMORY; ");
    assert_int_equal(sluice_client_outbox_reset(other, NULL), SLUICE_OK);
    failing_alloc_arm(0);
    run_all(last_runner);
    failing_alloc_disarm();
    assert_string_equal(told, "outbox NO_MEMORY; outbox NO_MEMORY; ");
    assert_int_equal(client_core_deadline_ms(last_runner->core), UINT64_MAX);
    assert_int_equal(sluice_client_outbox_reset(other, NULL), SLUICE_OK);
    run_all(last_runner);
    assert_string_equal(told, "outbox NO_MEMORY; outbox NO_MEMORY; ");
    assert_int_not_equal(client_core_deadline_ms(last_runner->core), UINT64_MAX);
    assert_int_equal(sluice_client_close(other, NULL, NULL), SLUICE_OK);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/outbox.lock", folder);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(options_that_make_no_sense_are_refused_by_name),
        TEST(options_are_copied),
        TEST(a_client_says_what_it_is),
        TEST(events_that_break_a_rule_are_refused_before_anything_is_sent),
        TEST(closing_ends_everything_with_one_callback_each),
        TEST(a_client_is_not_closed_from_its_own_thread),
        TEST(a_pull_is_cancelled_once_at_any_time),
        TEST(a_pull_may_end_while_its_cancelling_is_under_way),
        TEST(who_asks_again_while_it_is_closed_is_told_at_once),
        TEST(the_backend_id_is_loaded_and_saved_by_the_callers_functions),
        TEST(without_memory_each_call_says_so),
        TEST(an_outbox_that_found_no_memory_to_start_is_started_by_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
