/* refusal: see refusal.h. */
#include "client/refusal.h"

#include "base/clock.h"
#include "base/error.h"

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_html(const struct http_parser *answer)
{
    struct slice type = http_parser_header(answer, "content-type");
    struct slice html = SLICE("text/html");
    return type.bytes >= html.bytes &&
           slice_equal_ignoring_case(slice_make(type.data, html.bytes), html);
}

bool refusal_by_head(const struct http_parser *answer)
{
    int status = answer->status_code;
    return is_redirect(status) || status == 401 || status == 403 || status == 429 ||
           status == 503 || is_html(answer);
}

/* Where a redirect leads, without the query: that repeats ours, with the payload in it, and a
 * message ends up in logs. */
static struct slice location_of(const struct http_parser *answer)
{
    struct slice url = http_parser_header(answer, "location");
    size_t bytes = 0;
    while (bytes < url.bytes && url.data[bytes] != '?' && url.data[bytes] != '#') {
        bytes++;
    }
    return slice_make(url.data, bytes);
}

/* Retry-After (RFC 9110 10.2.3): seconds, or a date, which counts from the date of the answer
 * itself, so that our clock need not be right. */
static uint64_t retry_after_ms(const struct http_parser *answer)
{
    unsigned long long seconds = 0;
    int64_t until_ms;
    int64_t now_ms;
    struct slice value = http_parser_header(answer, "retry-after");
    if (slice_to_u64(value, &seconds)) {
        return seconds > 86400 ? UINT64_C(86400000) : seconds * 1000;
    }
    if (clock_parse_http_date(value, &until_ms) &&
        clock_parse_http_date(http_parser_header(answer, "date"), &now_ms) && until_ms > now_ms) {
        return (uint64_t)(until_ms - now_ms);
    }
    return 0;
}

void refusal_fill(const struct http_parser *answer, struct sluice_failure *out)
{
    int status = answer->status_code;
    *out = (struct sluice_failure){.http_status = status, .retry_after_ms = retry_after_ms(answer)};
    if (status == 401 || status == 403) {
        (void)error_set(&out->error, SLUICE_UNAUTHORIZED,
                        "the server refuses access (HTTP %d): check the payload and the headers",
                        status);
    } else if (is_redirect(status)) {
        struct slice location = location_of(answer);
        (void)error_set(&out->error, SLUICE_OFFLINE,
                        "the server redirects (HTTP %d) to '%.*s', which is not followed: use that "
                        "URL, or log in to the network",
                        status, SLICE_PRINT(location));
    } else if (status == 429 || status == 503) {
        (void)error_set(&out->error, SLUICE_OFFLINE,
                        "the server cannot serve us now (HTTP %d); trying again later", status);
    } else if (is_html(answer)) {
        (void)error_set(
            &out->error, SLUICE_OFFLINE,
            "an HTML page instead of a sync server (HTTP %d): a captive portal, a proxy, "
            "or another URL's server",
            status);
    } else {
        (void)error_set(&out->error, SLUICE_OFFLINE,
                        "not a sync server's answer (HTTP %d): check the URL", status);
    }
}
