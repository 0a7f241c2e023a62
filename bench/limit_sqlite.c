/* limit_sqlite: how fast SQLite alone takes and gives the rows that the server writes for pushes:
 * the same settings, rows and transaction sizes, in one loop on one thread, without sockets, JSON,
 * admission or other threads. The limit that the engine can at best come close to.
 *
 *     limit_sqlite write FILE STORES EVENTS_PER_PUSH PUSHES_PER_TRANSACTION SECONDS EVENT_BYTES
 *     limit_sqlite scan FILE STORE
 *
 * write prints {"events_per_s":…,"p50_us":…,"p99_us":…}, the times being of a transaction; scan
 * reads all of one store's rows in order and prints {"events_per_s":…,"seconds":…}. The file is the
 * caller's to remove. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "eventlog/backend_id.h"
#include "eventlog/sqlite_schema.h"
#include "sql/sql_db.h"
#include "loadgen/histogram.h"

#define CHECKPOINT_PAGES 10000 /* as eventlog_sqlite.c has it */
#define STORES_MAX 16384u
#define EVENT_BYTES_MAX (1u << 20)
#define EVENT_BYTES_AROUND_ARGS 121u /* of the load generator's events: all but the args */

struct work {
    sqlite3 *db;
    sqlite3_stmt *insert;
    sqlite3_stmt *update;
    struct slice args;
    uint64_t heads[STORES_MAX];
    int wal_pages;
    struct histogram transactions;
};

static void check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "limit_sqlite: %s\n", what);
        exit(1);
    }
}

static void execute(struct work *work, const char *sql)
{
    struct sluice_error error = {0};
    check(sqlite_db_execute(work->db, sql, &error) == SLUICE_OK, error.message);
}

static int count_wal_pages(void *user, sqlite3 *db, const char *database, int pages)
{
    (void)db;
    (void)database;
    ((struct work *)user)->wal_pages = pages;
    return SQLITE_OK;
}

static sqlite3_stmt *prepare(struct work *work, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    struct sluice_error error = {0};
    check(sqlite_db_prepare(work->db, sql, &statement, &error) == SLUICE_OK, error.message);
    return statement;
}

static void open_file(struct work *work, const char *path, bool create)
{
    unsigned char secret[BACKEND_ID_SECRET_BYTES];
    struct sluice_error error = {0};
    check(sqlite_db_open(path, NULL, create, &work->db, &error) == SLUICE_OK, error.message);
    check(sqlite_schema_open(work->db, create, secret, &error) == SLUICE_OK, error.message);
}

static uint64_t number(const char *text)
{
    unsigned long long value = 0;
    check(slice_to_u64(slice_of_string(text), &value), text);
    return value;
}

/* ---- write ---- */

static void prepare_writing(struct work *work, uint64_t event_bytes)
{
    static char args[EVENT_BYTES_MAX];
    check(event_bytes > EVENT_BYTES_AROUND_ARGS && event_bytes < EVENT_BYTES_MAX, "event bytes");
    uint64_t args_bytes = event_bytes - EVENT_BYTES_AROUND_ARGS;
    memset(args, 'x', args_bytes);
    args[0] = '"';
    args[args_bytes - 1] = '"';
    work->args = slice_make(args, args_bytes);
    work->insert = prepare(
        work, "INSERT INTO event (store, seq_num, parent_seq_num, position, name, args, client_id,"
              " session_id, created_at) VALUES (?1, 1000000000 + ?2, 999999999 + ?2, ?2 - 1,"
              " 'v1.TodoCreated', ?3, 'client', 'session', ?4)");
    work->update = prepare(
        work, "UPDATE store SET head = 1000000000 + ?2, event_count = ?2, event_bytes = ?2 *"
              " 130 WHERE id = ?1");
    execute(work, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 16384)"
                  " INSERT INTO store SELECT i, 'bench-' || i, 0, '123456789012345678901', 0, 0, 0"
                  " FROM n");
    (void)sqlite3_wal_hook(work->db, count_wal_pages, work);
}

static void push(struct work *work, uint64_t store, uint64_t events)
{
    uint64_t *head = &work->heads[store];
    for (uint64_t i = 0; i < events; i++) {
        *head += 1;
        (void)sqlite3_bind_int64(work->insert, 1, (int64_t)store + 1);
        (void)sqlite3_bind_int64(work->insert, 2, (int64_t)*head);
        check(sql_bind(work->insert, 3, work->args) == SQLITE_OK, "bind");
        (void)sqlite3_bind_int64(work->insert, 4, clock_wall_ms());
        check(sql_run(work->insert) == SQLITE_OK, "insert");
    }
    (void)sqlite3_bind_int64(work->update, 1, (int64_t)store + 1);
    (void)sqlite3_bind_int64(work->update, 2, (int64_t)*head);
    check(sql_run(work->update) == SQLITE_OK, "update");
}

static int write_rows(struct work *work, char **arguments)
{
    uint64_t stores = number(arguments[1]);
    uint64_t events = number(arguments[2]);
    uint64_t pushes_per_transaction = number(arguments[3]);
    uint64_t wanted_ns = number(arguments[4]) * 1000000000u;
    check(stores >= 1 && stores <= STORES_MAX, "too many stores");
    open_file(work, arguments[0], true);
    prepare_writing(work, number(arguments[5]));
    uint64_t pushes = 0;
    uint64_t start = clock_monotonic_ns();
    uint64_t elapsed_ns = 0;
    while (elapsed_ns < wanted_ns) {
        execute(work, "BEGIN IMMEDIATE");
        for (uint64_t i = 0; i < pushes_per_transaction; i++) {
            push(work, pushes++ % stores, events);
        }
        execute(work, "COMMIT");
        uint64_t committed_ns = clock_monotonic_ns() - start;
        histogram_add(&work->transactions, committed_ns - elapsed_ns);
        elapsed_ns = committed_ns; /* the checkpoint's time is the next transaction's */
        if (work->wal_pages >= CHECKPOINT_PAGES) {
            (void)sqlite3_wal_checkpoint_v2(work->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        }
    }
    (void)printf("{\"events_per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
                 (double)(pushes * events) / ((double)elapsed_ns / 1e9),
                 (double)histogram_at(&work->transactions, 0.5) / 1e3,
                 (double)histogram_at(&work->transactions, 0.99) / 1e3);
    return 0;
}

/* ---- scan ---- */

static int scan(struct work *work, char **arguments)
{
    open_file(work, arguments[0], false);
    sqlite3_stmt *rows = prepare(
        work, "SELECT seq_num, parent_seq_num, position, created_at, name, args, client_id,"
              " session_id FROM event WHERE store = (SELECT id FROM store WHERE store_id = ?1)"
              " ORDER BY seq_num");
    check(sql_bind(rows, 1, slice_of_string(arguments[1])) == SQLITE_OK, "bind");
    uint64_t count = 0;
    uint64_t bytes = 0;
    uint64_t start = clock_monotonic_ns();
    while (sqlite3_step(rows) == SQLITE_ROW) {
        for (int column = 0; column < 4; column++) {
            bytes += (uint64_t)sqlite3_column_int64(rows, column) & 1u;
        }
        for (int column = 4; column < 8; column++) {
            bytes += sqlite3_column_text(rows, column) != NULL
                         ? (uint64_t)sqlite3_column_bytes(rows, column)
                         : 0;
        }
        count++;
    }
    double seconds = (double)(clock_monotonic_ns() - start) / 1e9;
    check(bytes > 0, "the store has no events");
    (void)printf("{\"events\":%" PRIu64 ",\"events_per_s\":%.1f,\"seconds\":%.6f}\n", count,
                 (double)count / seconds, seconds);
    return 0;
}

int main(int argument_count, char **arguments)
{
    static struct work work;
    if (argument_count == 8 && strcmp(arguments[1], "write") == 0) {
        return write_rows(&work, arguments + 2);
    }
    check(argument_count == 4 && strcmp(arguments[1], "scan") == 0, "see the top of the source");
    return scan(&work, arguments + 2);
}
