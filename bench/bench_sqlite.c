/* bench_sqlite: how fast SQLite alone takes the rows that the server writes for pushes: the same
 * settings, rows and transaction sizes, in one loop on one thread, without sockets, JSON, admission
 * or readers. The limit that the engine can at best come close to.
 *
 *     bench_sqlite FILE STORES EVENTS_PER_PUSH PUSHES_PER_TRANSACTION SECONDS ARGS
 *
 * Prints events a second. The file is the caller's to remove. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "eventlog/backend_id.h"
#include "eventlog/sqlite_schema.h"

#define CHECKPOINT_PAGES 10000 /* as eventlog_sqlite.c has it */
#define STORES_MAX 1024u

struct work {
    sqlite3 *db;
    sqlite3_stmt *insert;
    sqlite3_stmt *update;
    struct slice args;
    uint64_t heads[STORES_MAX];
    int wal_pages;
};

static void check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench_sqlite: %s\n", what);
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

static void open_work(struct work *work, const char *path)
{
    static const char INSERT[] =
        "INSERT INTO event (store, seq_num, parent_seq_num, position, name, args, client_id,"
        " session_id, created_at) VALUES (?1, ?2, ?2 - 1, ?2 - 1, 'v1.TodoCreated', ?3, 'client',"
        " 'session', ?4)";
    static const char UPDATE[] =
        "UPDATE store SET head = ?2, event_count = ?2, event_bytes = ?2 * 130 WHERE id = ?1";
    unsigned char secret[BACKEND_ID_SECRET_BYTES];
    struct sluice_error error = {0};
    check(sqlite_db_open(path, NULL, true, &work->db, &error) == SLUICE_OK, error.message);
    check(sqlite_schema_open(work->db, true, secret, &error) == SLUICE_OK, error.message);
    check(sqlite_db_prepare(work->db, INSERT, &work->insert, &error) == SLUICE_OK, error.message);
    check(sqlite_db_prepare(work->db, UPDATE, &work->update, &error) == SLUICE_OK, error.message);
    execute(work, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1024)"
                  " INSERT INTO store SELECT i, 'bench-' || i, 0, '123456789012345678901', 0, 0, 0"
                  " FROM n");
    (void)sqlite3_wal_hook(work->db, count_wal_pages, work);
}

static void push(struct work *work, uint64_t store, uint64_t events)
{
    uint64_t *head = &work->heads[store];
    for (uint64_t i = 0; i < events; i++) {
        (void)sqlite3_bind_int64(work->insert, 1, (int64_t)store + 1);
        (void)sqlite3_bind_int64(work->insert, 2, (int64_t)++ * head);
        check(sqlite_db_bind(work->insert, 3, work->args) == SQLITE_OK, "bind");
        (void)sqlite3_bind_int64(work->insert, 4, clock_wall_ms());
        check(sqlite_db_run(work->insert) == SQLITE_OK, "insert");
    }
    (void)sqlite3_bind_int64(work->update, 1, (int64_t)store + 1);
    (void)sqlite3_bind_int64(work->update, 2, (int64_t)*head);
    check(sqlite_db_run(work->update) == SQLITE_OK, "update");
}

int main(int argument_count, char **arguments)
{
    static struct work work;
    unsigned long long numbers[4]; /* stores, events, pushes, seconds */
    check(argument_count == 7, "wants six arguments");
    for (int i = 0; i < 4; i++) {
        check(slice_to_u64(slice_of_string(arguments[i + 2]), &numbers[i]), arguments[i + 2]);
    }
    check(numbers[0] >= 1 && numbers[0] <= STORES_MAX, "too many stores");
    work.args = slice_of_string(arguments[6]);
    open_work(&work, arguments[1]);
    uint64_t pushes = 0;
    uint64_t start = clock_monotonic_ns();
    uint64_t elapsed_ns = 0;
    while (elapsed_ns < numbers[3] * 1000000000u) {
        execute(&work, "BEGIN IMMEDIATE");
        for (uint64_t i = 0; i < numbers[2]; i++) {
            push(&work, pushes++ % numbers[0], numbers[1]);
        }
        execute(&work, "COMMIT");
        if (work.wal_pages >= CHECKPOINT_PAGES) {
            (void)sqlite3_wal_checkpoint_v2(work.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        }
        elapsed_ns = clock_monotonic_ns() - start;
    }
    (void)printf("%.1f\n", (double)(pushes * numbers[1]) / ((double)elapsed_ns / 1e9));
    return 0;
}
