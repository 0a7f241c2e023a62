#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../base/failing_alloc.h"
#include "base/json.h"
#include "client/pull_order.h"

static char text[1u << 16];

/* A page of events given as "seq:parent seq:parent …". */
static struct slice page_of(const char *events)
{
    size_t at = (size_t)snprintf(text, sizeof(text), "{\"batch\":[");
    const char *separator = "";
    while (*events != '\0') {
        char *end;
        unsigned long seq_num = strtoul(events, &end, 10);
        unsigned long parent = strtoul(end + 1, &end, 10);
        at += (size_t)snprintf(text + at, sizeof(text) - at,
                               "%s{\"eventEncoded\":{\"name\":\"e\",\"args\":%lu,\"seqNum\":%lu,"
                               "\"parentSeqNum\":%lu,\"clientId\":\"\\n\",\"sessionId\":\"s\"}}",
                               separator, seq_num, seq_num, parent);
        separator = ",";
        events = *end == ' ' ? end + 1 : end;
    }
    at += (size_t)snprintf(text + at, sizeof(text) - at,
                           "],\"pageInfo\":{\"_tag\":\"NoMore\"},\"backendId\":\"b\"}");
    assert_true(at < sizeof(text));
    return slice_make(text, at);
}

/* Takes a page and writes what is delivered as "seq seq | seq …". The text is overwritten before
 * held pages are looked at, as a connection's buffer would be. */
static enum pull_order_verdict take(struct pull_order *order, const char *events, char *out,
                                    size_t out_bytes)
{
    struct sluice_page page;
    enum pull_order_verdict verdict;
    size_t at = 0;
    out[0] = '\0';
    assert_int_equal(pull_order_take(order, page_of(events), &verdict, &page, NULL), SLUICE_OK);
    enum pull_order_verdict first = verdict;
    for (const char *bar = ""; verdict == PULL_ORDER_PAGE; bar = "| ") {
        at += (size_t)snprintf(out + at, out_bytes - at, "%s", bar);
        for (size_t i = 0; i < page.event_count; i++) {
            char args[24];
            int bytes =
                snprintf(args, sizeof(args), "%llu", (unsigned long long)page.events[i].seq_num);
            assert_true(page.events[i].args.bytes == (size_t)bytes &&
                        memcmp(page.events[i].args.data, args, (size_t)bytes) == 0);
            at += (size_t)snprintf(out + at, out_bytes - at, "%s ", args);
        }
        assert_true(at < out_bytes);
        memset(text, '#', sizeof(text));
        verdict = pull_order_next(order, &page);
    }
    return first;
}

static void assert_takes(struct pull_order *order, const char *events, const char *expected)
{
    char out[1000];
    (void)take(order, events, out, sizeof(out));
    assert_string_equal(out, expected);
}

static void events_after_the_cursor_are_given_in_order(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(5, 0);
    assert_takes(order, "4:3 5:4 6:5 9:6", "6 9 ");
    assert_takes(order, "12:9", "12 ");
    assert_int_equal(pull_order_seq_num(order), 12);
    assert_false(pull_order_has_gap(order));
    pull_order_destroy(order);
}

static void inside_a_page_events_are_sorted_and_given_once(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(0, 0);
    assert_takes(order, "3:2 1:0 2:1 2:1 1:0", "1 2 3 ");
    pull_order_destroy(order);
}

static void a_page_that_is_too_early_waits(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(0, 0);
    assert_takes(order, "5:3 6:5", "");
    assert_takes(order, "7:6", "");
    assert_true(pull_order_has_gap(order));
    assert_int_equal(pull_order_gap(order), 5);
    assert_takes(order, "1:0 3:1", "1 3 | 5 6 | 7 ");
    assert_false(pull_order_has_gap(order));
    pull_order_destroy(order);
}

static void a_gap_inside_a_page_holds_the_rest_back(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(0, 0);
    assert_takes(order, "1:0 2:1 5:4 9:8", "1 2 ");
    assert_int_equal(pull_order_gap(order), 5);
    assert_takes(order, "3:2 4:3", "3 4 | 5 ");
    assert_int_equal(pull_order_gap(order), 9);
    assert_takes(order, "6:5 7:6 8:7", "6 7 8 | 9 ");
    pull_order_destroy(order);
}

static void held_events_that_come_again_are_given_once(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(0, 0);
    assert_takes(order, "3:2 4:3", "");
    assert_takes(order, "3:2", "");
    assert_takes(order, "1:0 2:1 3:2", "1 2 3 | 4 ");
    assert_false(pull_order_has_gap(order));
    pull_order_destroy(order);
}

static void a_page_without_anything_new_has_no_events(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(7, 0);
    char out[100];
    assert_int_equal(take(order, "6:5 7:6", out, sizeof(out)), PULL_ORDER_PAGE);
    assert_string_equal(out, "");
    assert_int_equal(take(order, "", out, sizeof(out)), PULL_ORDER_PAGE);
    pull_order_destroy(order);
}

static void a_gap_that_is_accepted_is_passed_on(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(2, 8);
    assert_takes(order, "8:6 9:8", "8 9 ");
    assert_takes(order, "12:11", "");
    pull_order_destroy(order);
}

static void a_page_that_is_not_taken_is_not_lost(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(0, 0);
    struct sluice_page page;
    enum pull_order_verdict verdict;
    assert_int_equal(pull_order_take(order, page_of("1:0"), &verdict, &page, NULL), SLUICE_OK);
    assert_int_equal(pull_order_seq_num(order), 0);
    pull_order_destroy(order);
}

static void what_is_held_is_bounded_and_the_gap_stays_known(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(0, 0);
    char events[40];
    char out[4000];
    enum pull_order_verdict verdict = PULL_ORDER_HELD;
    for (unsigned n = 10; n < 10 + 2 * PULL_ORDER_HELD_PAGES_MAX && verdict != PULL_ORDER_GAP;
         n++) {
        (void)snprintf(events, sizeof(events), "%u:%u", n, n - 1);
        verdict = take(order, events, out, sizeof(out));
    }
    assert_int_equal(verdict, PULL_ORDER_GAP);
    assert_int_equal(pull_order_gap(order), 10);
    (void)take(order, "9:0", out, sizeof(out));
    assert_true(pull_order_has_gap(order)); /* what was dropped has to be pulled again */
    assert_int_equal(pull_order_seq_num(order), 9 + PULL_ORDER_HELD_PAGES_MAX);
    pull_order_destroy(order);
}

static void a_page_full_of_gaps_costs_no_more_than_what_can_be_held(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(0, 0);
    char events[8000];
    char out[10];
    size_t at = 0;
    for (unsigned n = 1; n <= 500; n++) {
        at += (size_t)snprintf(events + at, sizeof(events) - at, "%s%u:%u", n > 1 ? " " : "",
                               10 * n, 10 * n - 1);
    }
    failing_alloc_arm(UINT32_MAX);
    assert_int_equal(take(order, events, out, sizeof(out)), PULL_ORDER_GAP);
    assert_in_range(failing_alloc_seen, PULL_ORDER_HELD_PAGES_MAX, 4 * PULL_ORDER_HELD_PAGES_MAX);
    failing_alloc_disarm();
    assert_int_equal(pull_order_gap(order), 10);
    pull_order_destroy(order);
}

static void nonsense_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    struct pull_order *order = pull_order_create(0, 0);
    struct sluice_page page;
    enum pull_order_verdict verdict;
    assert_int_equal(pull_order_take(order, SLICE("{}"), &verdict, &page, NULL), SLUICE_INVALID);
    assert_takes(order, "1:0", "1 ");
    pull_order_destroy(order);
}

/* A log with gaps in its numbers, in pages that come shuffled, some twice: all events come out,
 * once and in order. */
static void whatever_the_order_each_event_is_given_once(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        srand(seed);
        enum { EVENTS = 30 };
        unsigned numbers[EVENTS + 1] = {0};
        char pages[2 * EVENTS][200];
        unsigned page_count = 0;
        for (unsigned i = 1; i <= EVENTS; i++) {
            numbers[i] = numbers[i - 1] + 1 + (unsigned)rand() % 3;
        }
        for (unsigned i = 1; i <= EVENTS;) {
            unsigned count = 1 + (unsigned)rand() % 4;
            unsigned copies = 1 + (unsigned)(rand() % 4 == 0);
            char page[200] = "";
            size_t at = 0;
            for (unsigned end = i + count; i < end && i <= EVENTS; i++) {
                at += (size_t)snprintf(page + at, sizeof(page) - at, "%s%u:%u", at > 0 ? " " : "",
                                       numbers[i], numbers[i - 1]);
            }
            for (; copies > 0; copies--) {
                memcpy(pages[page_count++], page, sizeof(page));
            }
        }
        for (unsigned i = page_count - 1; i > 0; i--) {
            unsigned other = (unsigned)rand() % (i + 1);
            char page[200];
            memcpy(page, pages[i], sizeof(page));
            memcpy(pages[i], pages[other], sizeof(page));
            memcpy(pages[other], page, sizeof(page));
        }
        struct pull_order *order = pull_order_create(0, 0);
        unsigned given = 0;
        for (unsigned i = 0; i < page_count; i++) {
            char out[2000];
            (void)take(order, pages[i], out, sizeof(out));
            for (char *at = out; *at != '\0'; at++) {
                if (*at >= '0' && *at <= '9') {
                    assert_int_equal(strtoul(at, &at, 10), numbers[++given]);
                }
            }
        }
        assert_int_equal(given, EVENTS);
        assert_false(pull_order_has_gap(order));
        pull_order_destroy(order);
    }
}

static void without_memory_nothing_is_taken(void **state)
{
    (void)state;
    failing_alloc_arm(0);
    assert_null(pull_order_create(0, 0));
    failing_alloc_disarm();
    struct slice both = page_of("1:0 4:3");
    enum sluice_status status = SLUICE_NO_MEMORY;
    unsigned successes = 0;
    for (; status == SLUICE_NO_MEMORY; successes++) {
        struct pull_order *order = pull_order_create(0, 0);
        struct sluice_page page;
        enum pull_order_verdict verdict;
        failing_alloc_arm(successes);
        status = pull_order_take(order, both, &verdict, &page, NULL);
        failing_alloc_disarm();
        assert_int_equal(pull_order_has_gap(order), status == SLUICE_OK);
        pull_order_destroy(order);
    }
    assert_int_equal(status, SLUICE_OK);
    assert_true(successes > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_after_the_cursor_are_given_in_order),
        cmocka_unit_test(inside_a_page_events_are_sorted_and_given_once),
        cmocka_unit_test(a_page_that_is_too_early_waits),
        cmocka_unit_test(a_gap_inside_a_page_holds_the_rest_back),
        cmocka_unit_test(held_events_that_come_again_are_given_once),
        cmocka_unit_test(a_page_without_anything_new_has_no_events),
        cmocka_unit_test(a_gap_that_is_accepted_is_passed_on),
        cmocka_unit_test(a_page_that_is_not_taken_is_not_lost),
        cmocka_unit_test(what_is_held_is_bounded_and_the_gap_stays_known),
        cmocka_unit_test(a_page_full_of_gaps_costs_no_more_than_what_can_be_held),
        cmocka_unit_test(nonsense_is_refused_and_changes_nothing),
        cmocka_unit_test(whatever_the_order_each_event_is_given_once),
        cmocka_unit_test(without_memory_nothing_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
