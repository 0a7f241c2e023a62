#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/assert.h"
#include "endpoint/front_internal.h"
#include "endpoint/push_request.h"

#define INFLIGHT_BYTES_MAX 100000u

static struct front *front;
static struct sync *sync_core;
static const struct push_request *decided_request;

static int setup(void **state)
{
    (void)state;
    struct front_options options = {.inflight_bytes_max = INFLIGHT_BYTES_MAX};
    struct sync_options sync_options = {.event_bytes_max = 1000};
    front = front_create(&options, (struct endpoint[]){{0}}, 1);
    sync_core = sync_create(&sync_options); /* no push gets as far as the eventlog */
    decided_request = NULL;
    return front != NULL && sync_core != NULL ? 0 : -1;
}

/* front_destroy asserts that all that was taken has been given back. */
static int teardown(void **state)
{
    (void)state;
    front_destroy(front);
    sync_destroy(sync_core);
    return 0;
}

static void note_decision(struct push_request *request)
{
    decided_request = request;
}

static void it_copies_what_it_is_given(void **state)
{
    (void)state;
    char payload[] = "{\"batch\":[]}";
    char store_id[] = "store";
    struct push_request *request = NULL;
    assert_int_equal(push_request_create(front, slice_of_string(payload), slice_of_string(store_id),
                                         &request, NULL),
                     SLUICE_OK);
    struct slice kept = push_request_keep(request, slice_make(payload, 2));
    memset(payload, '?', sizeof payload);
    memset(store_id, '?', sizeof store_id);
    assert_true(slice_equal(request->payload, SLICE("{\"batch\":[]}")));
    assert_true(slice_equal(request->push.store_id, SLICE("store")));
    assert_true(slice_equal(kept, SLICE("{\"")));
    assert_non_null(push_request_keep(request, SLICE_EMPTY).data);
    push_request_destroy(request);
}

static void it_is_decided_when_sync_has_decided(void **state)
{
    (void)state;
    struct push_request *request = NULL;
    struct sluice_error error;
    assert_int_equal(push_request_create(front, SLICE("{}"), SLICE("store"), &request, &error),
                     SLUICE_OK);
    request->decided = note_decision;
    assert_int_equal(push_request_submit(request, sync_core, &error), SLUICE_OK);
    assert_ptr_equal(decided_request, request);
    assert_int_equal(request->push.status, SLUICE_OK);
    push_request_destroy(request);
}

static void what_it_holds_counts_against_the_bound_until_it_goes(void **state)
{
    (void)state;
    static char payload[4000];
    struct push_request *requests[100];
    struct sluice_error error;
    memset(payload, ' ', sizeof payload);
    size_t count = 0;
    enum sluice_status status = SLUICE_OK;
    while (status == SLUICE_OK) {
        assert_true(count < 100);
        status = push_request_create(front, slice_make(payload, sizeof payload), SLICE("store"),
                                     &requests[count], &error);
        count += status == SLUICE_OK;
    }
    assert_int_equal(status, SLUICE_UNAVAILABLE);
    assert_string_equal(error.message,
                        "the server holds too many messages (--inflight-bytes-max); push again "
                        "later");
    assert_in_range(front->inflight_bytes, count * sizeof payload, INFLIGHT_BYTES_MAX);
    push_request_destroy(requests[0]);
    assert_int_equal(push_request_create(front, slice_make(payload, sizeof payload), SLICE("store"),
                                         &requests[0], &error),
                     SLUICE_OK);
    for (size_t i = 0; i < count; i++) {
        push_request_destroy(requests[i]);
    }
}

static void what_decoding_took_counts_too(void **state)
{
    (void)state;
    static char payload[30000];
    struct push_request *request = NULL;
    struct sluice_error error;
    memset(payload, ' ', sizeof payload);
    assert_int_equal(push_request_create(front, slice_make(payload, sizeof payload), SLICE("store"),
                                         &request, &error),
                     SLUICE_OK);
    request->decided = note_decision;
    for (unsigned i = 0; i < 4; i++) {
        assert_non_null(push_request_keep(request, request->payload).data);
    }
    assert_int_equal(push_request_submit(request, sync_core, &error), SLUICE_UNAVAILABLE);
    assert_null(decided_request);
    push_request_destroy(request);
}

static void what_came_is_counted_once(void **state)
{
    (void)state;
    static char payload[10 * INFLIGHT_BYTES_MAX];
    front->options.inflight_bytes_max = sizeof payload * 3 / 2;
    struct push_request *request = NULL;
    struct sluice_error error;
    memset(payload, ' ', sizeof payload);
    assert_int_equal(push_request_create(front, slice_make(payload, sizeof payload), SLICE("store"),
                                         &request, &error),
                     SLUICE_OK);
    request->decided = note_decision;
    assert_int_equal(push_request_submit(request, sync_core, &error), SLUICE_OK);
    assert_in_range(front->inflight_bytes, sizeof payload, sizeof payload * 5 / 4);
    push_request_destroy(request);
    assert_int_equal(front->inflight_bytes, 0);
}

static void nothing_can_be_destroyed(void **state)
{
    (void)state;
    push_request_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_copies_what_it_is_given),
        TEST(it_is_decided_when_sync_has_decided),
        TEST(what_it_holds_counts_against_the_bound_until_it_goes),
        TEST(what_decoding_took_counts_too),
        TEST(what_came_is_counted_once),
        TEST(nothing_can_be_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
