/* http_writer: the way out of the HTTP endpoints and of the client (endpoint → http → net), as
 * bytes. Owns nothing, keeps no state; any thread.
 *
 * What it writes is what http_parser accepts; a caller that passes a peer's text on must have
 * checked it, since a control byte in a header would let that peer write headers of its own. */
#include "http/http_writer.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

static bool has_control_bytes(struct slice text)
{
    for (size_t at = 0; at < text.bytes; at++) {
        unsigned char byte = (unsigned char)text.data[at];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7F) {
            return true;
        }
    }
    return false;
}

/* One word of a request line: not empty, and nothing that could end it early. */
static bool is_word(struct slice text)
{
    return text.bytes > 0 && !has_control_bytes(text) && memchr(text.data, ' ', text.bytes) == NULL;
}

/* RFC 9110 15, RFC 6585 and RFC 4918; a code that is not listed has an empty phrase, as allowed. */
static const char *reason_phrase(int status)
{
    switch (status) {
    case 100:
        return "Continue";
    case 101:
        return "Switching Protocols";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 301:
        return "Moved Permanently";
    case 302:
        return "Found";
    case 303:
        return "See Other";
    case 304:
        return "Not Modified";
    case 307:
        return "Temporary Redirect";
    case 308:
        return "Permanent Redirect";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 411:
        return "Length Required";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 416:
        return "Range Not Satisfiable";
    case 417:
        return "Expectation Failed";
    case 421:
        return "Misdirected Request";
    case 422:
        return "Unprocessable Content";
    case 426:
        return "Upgrade Required";
    case 428:
        return "Precondition Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    case 507:
        return "Insufficient Storage";
    default:
        return "";
    }
}

void http_write_status_line(struct buffer *out, int status)
{
    SLUICE_ASSERT(status >= 100);
    SLUICE_ASSERT(status <= 599);
    buffer_append_literal(out, "HTTP/1.1 ");
    buffer_append_u64(out, (uint64_t)status);
    buffer_append_byte(out, ' '); /* required even before an empty phrase */
    buffer_append_slice(out, slice_of_string(reason_phrase(status)));
    buffer_append_literal(out, "\r\n");
}

void http_write_request_line(struct buffer *out, struct slice method, struct slice target)
{
    SLUICE_ASSERT(is_word(method));
    SLUICE_ASSERT(is_word(target));
    buffer_append_slice(out, method);
    buffer_append_byte(out, ' ');
    buffer_append_slice(out, target);
    buffer_append_literal(out, " HTTP/1.1\r\n");
}

void http_write_header(struct buffer *out, const char *name, struct slice value)
{
    SLUICE_ASSERT(is_word(slice_of_string(name)));
    SLUICE_ASSERT(!has_control_bytes(value));
    buffer_append_slice(out, slice_of_string(name));
    buffer_append_literal(out, ": ");
    buffer_append_slice(out, value);
    buffer_append_literal(out, "\r\n");
}

void http_write_header_u64(struct buffer *out, const char *name, uint64_t value)
{
    SLUICE_ASSERT(is_word(slice_of_string(name)));
    buffer_append_slice(out, slice_of_string(name));
    buffer_append_literal(out, ": ");
    buffer_append_u64(out, value);
    buffer_append_literal(out, "\r\n");
}

void http_write_head_end(struct buffer *out)
{
    buffer_append_literal(out, "\r\n");
}

void http_write_chunk_start(struct buffer *out, uint64_t bytes)
{
    SLUICE_ASSERT(bytes >= 1); /* an empty chunk would be the last one */
    char digits[16];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[bytes & 0xF];
        bytes >>= 4;
    } while (bytes != 0);
    buffer_append(out, digits + at, sizeof(digits) - at);
    buffer_append_literal(out, "\r\n");
}
