/* json_equal: whether two texts are the same JSON value. Admission asks it when a push repeats
 * events that are stored already.
 *
 * Both texts are first laid out as a tape, in one pass each: a node for every value and every key,
 * in the order of the text, each knowing where the part of the tape that belongs to it ends. The
 * tapes are then compared in step, with a stack of at most JSON_DEPTH_MAX open pairs instead of
 * recursion. The members of two objects are brought into the same order by sorting them by key.
 *
 * Owns the tapes and the list of members for the time of one call. Any thread.
 *
 * Invariant: the list of members holds those of the open pairs of objects, outermost first, for
 * each pair the one object's members and then the other's, equally many.
 */
#include "base/json.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/json_scan.h"

struct node {
    uint32_t at;    /* offset of the value; of a key, or a string, behind its quote */
    uint32_t bytes; /* of a key, a string without its quotes, or a number; otherwise 0 */
    uint32_t end;   /* index of the node after this value and all that is inside */
    uint32_t kind;  /* enum json_kind; a key is a JSON_STRING before its value */
};

struct tape {
    const char *text; /* borrowed */
    struct node *nodes;
    size_t count;
    size_t capacity;
};

struct member {
    struct slice key;
    uint32_t value; /* index of the value's node */
};

struct pair {
    bool is_object;
    uint32_t left;       /* members or items that are still to compare */
    uint32_t a, b;       /* of arrays: nodes of the next items */
    size_t first_member; /* of objects: index of a's first member in the list */
    size_t next_member;  /* of objects: index of a's next member; b's is `count` further */
    uint32_t count;
};

struct comparison {
    struct tape a, b;
    struct member *members;
    size_t member_count;
    size_t member_capacity;
    struct pair pairs[JSON_DEPTH_MAX];
    unsigned depth;
};

/* Building a tape. */

/* Appends a node; its index, or UINT32_MAX when there is no memory. */
static uint32_t tape_add(struct tape *tape, enum json_kind kind, struct slice raw)
{
    if (tape->count == tape->capacity) {
        size_t capacity = tape->capacity == 0 ? 32 : 2 * tape->capacity;
        struct node *nodes = realloc(tape->nodes, capacity * sizeof *nodes);
        if (nodes == NULL) {
            return UINT32_MAX;
        }
        tape->nodes = nodes;
        tape->capacity = capacity;
    }
    uint32_t index = (uint32_t)tape->count++;
    tape->nodes[index] = (struct node){
        .at = (uint32_t)(raw.data - tape->text),
        .bytes = (uint32_t)raw.bytes,
        .end = index + 1,
        .kind = kind,
    };
    return index;
}

/* Reads a string, number or word into a node. */
static uint32_t tape_add_scalar(struct tape *tape, struct json_reader *reader, enum json_kind kind)
{
    struct slice raw = SLICE_EMPTY;
    bool read = kind == JSON_STRING ? json_read_string(reader, &raw) : json_skip(reader, &raw);
    SLUICE_ASSERT(read); /* the text was validated */
    return tape_add(tape, kind, raw);
}

/* Before the next value, or having closed everything that ends here; false at the text's end.
 * `open` are the nodes of the `reader->depth` open arrays and objects. */
static bool tape_advance(struct tape *tape, struct json_reader *reader, const uint32_t *open,
                         enum sluice_status *status)
{
    while (reader->depth > 0) {
        uint32_t top = open[reader->depth - 1];
        struct slice key;
        if (tape->nodes[top].kind == JSON_ARRAY) {
            if (json_next_item(reader)) {
                return true;
            }
        } else if (json_next_key(reader, &key)) {
            if (tape_add(tape, JSON_STRING, key) == UINT32_MAX) {
                *status = SLUICE_NO_MEMORY;
                return false;
            }
            return true;
        }
        SLUICE_ASSERT(reader->status == SLUICE_OK);
        tape->nodes[top].end = (uint32_t)tape->count;
    }
    return false;
}

static enum sluice_status tape_fill(struct tape *tape, struct slice text)
{
    tape->text = text.data;
    uint32_t open[JSON_DEPTH_MAX];
    enum sluice_status status = SLUICE_OK;
    struct json_reader reader;
    json_reader_init(&reader, text);
    do {
        enum json_kind kind = json_peek(&reader);
        uint32_t node;
        if (kind == JSON_ARRAY || kind == JSON_OBJECT) {
            node = tape_add(tape, kind, slice_make(reader.at, 0));
            bool entered =
                kind == JSON_ARRAY ? json_enter_array(&reader) : json_enter_object(&reader);
            SLUICE_ASSERT(entered);
            open[reader.depth - 1] = node;
        } else {
            node = tape_add_scalar(tape, &reader, kind);
        }
        if (node == UINT32_MAX) {
            return SLUICE_NO_MEMORY;
        }
    } while (tape_advance(tape, &reader, open, &status));
    return status;
}

static struct slice node_text(const struct tape *tape, uint32_t index)
{
    return slice_make(tape->text + tape->nodes[index].at, tape->nodes[index].bytes);
}

/* Numbers. */

/* The number is ±0.DDDD · 10^(point + exponent), where DDDD are the digits of `digits` (which may
 * have a '.' among them), from the first that is not 0 to the last that is not 0. */
struct number {
    bool is_negative;
    struct slice digits; /* empty: the number is zero */
    int64_t point;
    bool is_exponent_negative;
    struct slice exponent; /* digits only; may be empty, may have leading zeros */
};

static bool is_significant(char byte)
{
    return byte >= '1' && byte <= '9';
}

static void number_read_exponent(struct number *number, const char *at, const char *end)
{
    if (at < end && (*at == '+' || *at == '-')) {
        number->is_exponent_negative = *at == '-';
        at++;
    }
    number->exponent = slice_make(at, (size_t)(end - at));
}

/* `text` is a valid JSON number. */
static struct number number_read(struct slice text)
{
    struct number number = {0};
    const char *end = text.data + text.bytes;
    const char *at = text.data;
    if (*at == '-') {
        number.is_negative = true;
        at++;
    }
    const char *point = NULL;
    const char *first = NULL; /* first and last digit that is not 0 */
    const char *last = NULL;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            point = at;
        } else if (is_significant(*at)) {
            first = first == NULL ? at : first;
            last = at;
        }
    }
    if (first == NULL) {
        return (struct number){0};
    }
    point = point == NULL ? at : point;
    number.digits = slice_make(first, (size_t)(last - first) + 1);
    number.point = first < point ? point - first : point + 1 - first;
    if (at < end) {
        number_read_exponent(&number, at + 1, end);
    }
    return number;
}

/* The signed digit at `place` (0 is the last), 0 beyond the first. */
static int64_t exponent_digit(const struct number *number, size_t place)
{
    if (place >= number->exponent.bytes) {
        return 0;
    }
    int64_t digit = number->exponent.data[number->exponent.bytes - 1 - place] - '0';
    return number->is_exponent_negative ? -digit : digit;
}

/* Whether the two are of equal magnitude as powers of ten: a.point + a.exponent equals b's. The
 * exponents may have any number of digits, so what is computed is their difference, from the first
 * digit on. Once it is far from 0 the digits that follow cannot bring it back, so it never
 * overflows; and what it must come to, a difference of places in a text, is small. */
static bool same_scale(const struct number *a, const struct number *b)
{
    const int64_t far = INT64_C(1) << 40;
    size_t places = a->exponent.bytes > b->exponent.bytes ? a->exponent.bytes : b->exponent.bytes;
    int64_t difference = 0;
    for (size_t place = places; place-- > 0;) {
        difference = difference * 10 + exponent_digit(a, place) - exponent_digit(b, place);
        if (difference > far || difference < -far) {
            return false;
        }
    }
    return difference == b->point - a->point;
}

static bool same_digits(struct slice a, struct slice b)
{
    size_t i = 0;
    size_t j = 0;
    while (i < a.bytes && j < b.bytes) {
        if (a.data[i] == '.') {
            i++;
        } else if (b.data[j] == '.') {
            j++;
        } else if (a.data[i++] != b.data[j++]) {
            return false;
        }
    }
    /* Both end in a digit that is not 0, so neither has anything left but when they differ. */
    return i == a.bytes && j == b.bytes;
}

static bool numbers_equal(struct slice a_text, struct slice b_text)
{
    if (slice_equal(a_text, b_text)) {
        return true;
    }
    struct number a = number_read(a_text);
    struct number b = number_read(b_text);
    if (a.digits.bytes == 0 || b.digits.bytes == 0) {
        return a.digits.bytes == b.digits.bytes;
    }
    return a.is_negative == b.is_negative && same_digits(a.digits, b.digits) && same_scale(&a, &b);
}

/* Comparing. */

/* How many values lie directly in the array or object at `index`. */
static uint32_t count_children(const struct tape *tape, uint32_t index)
{
    uint32_t step = tape->nodes[index].kind == JSON_OBJECT ? 1 : 0; /* a key before each */
    uint32_t end = tape->nodes[index].end;
    uint32_t count = 0;
    for (uint32_t at = index + 1; at < end; at = tape->nodes[at + step].end) {
        count++;
    }
    return count;
}

static bool reserve_members(struct comparison *c, size_t more)
{
    size_t needed = c->member_count + more;
    if (needed <= c->member_capacity) {
        return true;
    }
    size_t capacity = needed > 2 * c->member_capacity ? needed : 2 * c->member_capacity;
    struct member *members = realloc(c->members, capacity * sizeof *members);
    if (members == NULL) {
        return false;
    }
    c->members = members;
    c->member_capacity = capacity;
    return true;
}

static int compare_members(const void *a, const void *b)
{
    return json_string_compare(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* Appends the members of the object at `index`, sorted by key. There is room for them. */
static void add_members(struct comparison *c, const struct tape *tape, uint32_t index)
{
    struct member *first = c->members + c->member_count;
    bool sorted = true;
    for (uint32_t at = index + 1; at < tape->nodes[index].end; at = tape->nodes[at + 1].end) {
        struct member *member = &c->members[c->member_count++];
        *member = (struct member){.key = node_text(tape, at), .value = at + 1};
        sorted = sorted && (member == first || compare_members(member - 1, member) < 0);
    }
    if (!sorted) {
        qsort(first, (size_t)(c->members + c->member_count - first), sizeof *first,
              compare_members);
    }
}

/* Opens two arrays or objects; `*equal` is false when their sizes or keys differ already. */
static enum sluice_status open_pair(struct comparison *c, uint32_t a, uint32_t b, bool *equal)
{
    uint32_t count = count_children(&c->a, a);
    if (count != count_children(&c->b, b)) {
        *equal = false;
        return SLUICE_OK;
    }
    SLUICE_ASSERT(c->depth < JSON_DEPTH_MAX);
    struct pair *pair = &c->pairs[c->depth];
    *pair = (struct pair){
        .is_object = c->a.nodes[a].kind == JSON_OBJECT,
        .left = count,
        .a = a + 1,
        .b = b + 1,
        .first_member = c->member_count,
        .next_member = c->member_count,
        .count = count,
    };
    if (pair->is_object && count > 0) {
        if (!reserve_members(c, 2 * (size_t)count)) {
            return SLUICE_NO_MEMORY;
        }
        add_members(c, &c->a, a);
        add_members(c, &c->b, b);
    }
    c->depth++;
    return SLUICE_OK;
}

/* Gives the next two values that must be equal, closing pairs that are through; false at the end of
 * all, or when two keys differ (`*equal`). */
static bool next_values(struct comparison *c, uint32_t *a, uint32_t *b, bool *equal)
{
    while (c->depth > 0 && c->pairs[c->depth - 1].left == 0) {
        c->member_count = c->pairs[--c->depth].first_member;
    }
    if (c->depth == 0) {
        return false;
    }
    struct pair *pair = &c->pairs[c->depth - 1];
    pair->left--;
    if (!pair->is_object) {
        *a = pair->a;
        *b = pair->b;
        pair->a = c->a.nodes[*a].end;
        pair->b = c->b.nodes[*b].end;
        return true;
    }
    const struct member *a_member = &c->members[pair->next_member];
    const struct member *b_member = a_member + pair->count;
    pair->next_member++;
    *equal = compare_members(a_member, b_member) == 0;
    *a = a_member->value;
    *b = b_member->value;
    return *equal;
}

static enum sluice_status compare_values(struct comparison *c, uint32_t a, uint32_t b, bool *equal)
{
    enum json_kind kind = c->a.nodes[a].kind;
    *equal = kind == c->b.nodes[b].kind;
    if (!*equal) {
        return SLUICE_OK;
    }
    if (kind == JSON_ARRAY || kind == JSON_OBJECT) {
        return open_pair(c, a, b, equal);
    }
    if (kind == JSON_NUMBER) {
        *equal = numbers_equal(node_text(&c->a, a), node_text(&c->b, b));
    } else if (kind == JSON_STRING) {
        *equal = json_string_compare(node_text(&c->a, a), node_text(&c->b, b)) == 0;
    }
    return SLUICE_OK;
}

static enum sluice_status compare_tapes(struct comparison *c, bool *equal)
{
    uint32_t a = 0;
    uint32_t b = 0;
    do {
        enum sluice_status status = compare_values(c, a, b, equal);
        if (status != SLUICE_OK) {
            return status;
        }
    } while (*equal && next_values(c, &a, &b, equal));
    return SLUICE_OK;
}

static enum sluice_status compare_texts(struct slice a, struct slice b, bool *equal)
{
    struct comparison c; /* not zeroed: pairs are written before they are read */
    c.a = (struct tape){0};
    c.b = (struct tape){0};
    c.members = NULL;
    c.member_count = 0;
    c.member_capacity = 0;
    c.depth = 0;
    bool result = false;
    enum sluice_status status = tape_fill(&c.a, a);
    if (status == SLUICE_OK) {
        status = tape_fill(&c.b, b);
    }
    if (status == SLUICE_OK) {
        status = compare_tapes(&c, &result);
    }
    free(c.a.nodes);
    free(c.b.nodes);
    free(c.members);
    if (status == SLUICE_OK) {
        *equal = result;
    }
    return status;
}

enum sluice_status json_equal(struct slice a, struct slice b, bool *equal)
{
    if (a.bytes > UINT32_MAX || b.bytes > UINT32_MAX) {
        return SLUICE_NO_MEMORY; /* a tape has 32-bit offsets; no message comes near */
    }
    bool same_bytes = slice_equal(a, b);
    enum sluice_status status = json_validate(a, NULL);
    if (status == SLUICE_OK && !same_bytes) {
        status = json_validate(b, NULL);
    }
    if (status == SLUICE_NO_MEMORY) {
        return status;
    }
    if (status != SLUICE_OK || same_bytes) {
        *equal = status == SLUICE_OK;
        return SLUICE_OK;
    }
    return compare_texts(a, b, equal);
}
