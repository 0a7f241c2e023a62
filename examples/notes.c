/* notes: a notebook that several people share. Writes a note, with or without a connection, and
 * prints what is written, here and elsewhere, until Enter is pressed.
 *
 *     cc notes.c $(pkg-config --cflags --libs sluice) -o notes
 *     ./notes ws://127.0.0.1:8787 notebook my.outbox '{"text":"hello"}'
 */
#include <sluice/sluice.h>
#include <stdio.h>

/* The three below come on the client's own thread. */
static void connection_changed(void *user, const struct sluice_connection *connection)
{
    (void)user;
    if (connection->connected) {
        fprintf(stderr, "connected\n");
    } else if (connection->failure != NULL) {
        fprintf(stderr, "offline: %s\n", connection->failure->error.message);
    }
}

static void advanced(void *user, const struct sluice_advance *advance)
{
    (void)user;
    for (size_t i = 0; i < advance->page.event_count; i++) {
        const struct sluice_event *event = &advance->page.events[i];
        printf("%llu %s %.*s %.*s\n", (unsigned long long)event->seq_num,
               i < advance->confirmed_count ? "mine" : "theirs", (int)event->name.bytes,
               event->name.data, (int)event->args.bytes, event->args.data);
    }
    fflush(stdout);
}

static void failed(void *user, const struct sluice_failure *failure, bool halted)
{
    (void)user;
    fprintf(stderr, "%s%s\n", failure->error.message, halted ? " (nothing more is synced)" : "");
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: notes URL STORE OUTBOX [NOTE]\n");
        return 2;
    }
    const struct sluice_outbox_callbacks outbox = {.advanced = advanced, .failed = failed};
    struct sluice_client_options options;
    struct sluice_client *client = NULL;
    struct sluice_error error;
    sluice_client_options_init(&options);
    options.url = argv[1];
    options.store_id = argv[2];
    options.outbox_path = argv[3];
    options.outbox = &outbox;
    options.connection_changed = connection_changed;
    enum sluice_status status = sluice_client_create(&options, &client, &error);
    if (status == SLUICE_OK && argc > 4) {
        struct sluice_event note = {.name = sluice_text_of("v1.NoteWritten"),
                                    .args = sluice_text_of(argv[4]),
                                    .client_id = sluice_text_of("notes"),
                                    .session_id = sluice_text_of(argv[3])};
        status = sluice_client_commit(client, &note, NULL, &error); /* it is safe from here on */
    }
    if (status == SLUICE_OK) {
        (void)getchar(); /* the client works meanwhile */
    } else {
        fprintf(stderr, "notes: %s\n", error.message);
    }
    (void)sluice_client_close(client, NULL, NULL);
    return status == SLUICE_OK ? 0 : 1;
}
