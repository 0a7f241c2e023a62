/* http_writer: encodes HTTP/1.1 heads and chunks. Pure; the one encoder of both roles. Values that
 * contain control bytes are a bug of the caller (asserted). */
#ifndef SLUICE_HTTP_WRITER_H
#define SLUICE_HTTP_WRITER_H

#include <stdint.h>

#include "base/buffer.h"

/* "HTTP/1.1 200 OK\r\n" with the standard reason phrase of `status`. */
void http_write_status_line(struct buffer *out, int status);
/* "POST /target HTTP/1.1\r\n" */
void http_write_request_line(struct buffer *out, struct slice method, struct slice target);
/* "name: value\r\n" */
void http_write_header(struct buffer *out, const char *name, struct slice value);
void http_write_header_u64(struct buffer *out, const char *name, uint64_t value);
/* The empty line that ends the head. */
void http_write_head_end(struct buffer *out);
/* "1f4\r\n", to be followed by that many bytes and "\r\n"; bytes ≥ 1. */
void http_write_chunk_start(struct buffer *out, uint64_t bytes);
#define HTTP_CHUNK_END "\r\n"
#define HTTP_LAST_CHUNK "0\r\n\r\n"

#endif
