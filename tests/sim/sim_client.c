#include "sim_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

#define TURNS_MAX 200u /* of the clock at one moment: more is a deadline that does not move on */

/* ---- events ---- */

size_t sim_args_write(char out[SIM_ARGS_BYTES_MAX], unsigned client, size_t n)
{
    size_t padding = n % 7 == 0 ? 40 * (n % 40) : 0; /* some are long */
    int bytes =
        snprintf(out, SIM_ARGS_BYTES_MAX, "{\"client\":%u,\"n\":%zu,\"padding\":\"", client, n);
    SLUICE_ASSERT(bytes > 0);
    memset(out + bytes, 'x', padding);
    memcpy(out + bytes + padding, "\"}", 2);
    return (size_t)bytes + padding + 2;
}

bool sim_args_read(const char *data, size_t bytes, unsigned *client, size_t *n)
{
    char text[SIM_ARGS_BYTES_MAX + 1];
    char again[SIM_ARGS_BYTES_MAX];
    if (bytes > SIM_ARGS_BYTES_MAX) {
        return false;
    }
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    return sscanf(text, "{\"client\":%u,\"n\":%zu,", client, n) == 2 &&
           sim_args_write(again, *client, *n) == bytes && memcmp(again, data, bytes) == 0;
}

const struct event *sim_log_find(struct sim_client *client, uint64_t seq_num)
{
    size_t count = 0;
    const struct event *log = sim_server_log(client->server, &count);
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (log[middle].seq_num < seq_num) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    const struct event *all = sim_server_log(client->server, &count);
    return low < count && all[low].seq_num == seq_num ? &all[low] : NULL;
}

void sim_client_check_event(struct sim_client *client, const struct sluice_event *event)
{
    const struct event *stored = sim_log_find(client, event->seq_num);
    SIM_CHECK(client->sim, stored != NULL, "client %u got event %llu, which is not in the log",
              client->number, (unsigned long long)event->seq_num);
    SIM_CHECK(client->sim,
              stored->parent_seq_num == event->parent_seq_num &&
                  slice_equal(stored->args, slice_make(event->args.data, event->args.bytes)) &&
                  slice_equal(stored->client_id,
                              slice_make(event->client_id.data, event->client_id.bytes)),
              "client %u got another event %llu than the log has", client->number,
              (unsigned long long)event->seq_num);
}

/* ---- the core and the network ---- */

static void on_net_opened(void *user)
{
    struct sim_client *client = user;
    client->conn_open = true;
    client->heard_ms = client->sim->now_ms;
    client_core_opened(client->core, client->sim->now_ms);
    sim_client_after(client);
}

static void on_net_bytes(void *user, char *data, size_t bytes)
{
    struct sim_client *client = user;
    client->heard_ms = client->sim->now_ms;
    client_core_bytes(client->core, data, bytes, client->sim->now_ms);
    sim_client_after(client);
}

static void on_net_closed(void *user, const char *why)
{
    struct sim_client *client = user;
    struct sluice_error error = {0};
    client->conn = NULL;
    client->conn_open = false;
    if (why != NULL) {
        (void)error_set(&error, SLUICE_OFFLINE, "%s", why);
    }
    client_core_closed(client->core, why != NULL ? &error : NULL, client->sim->now_ms);
    sim_client_after(client);
}

static const struct sim_net_client_ops NET_OPS = {
    .opened = on_net_opened, .bytes = on_net_bytes, .closed = on_net_closed};

static void on_open(void *user)
{
    struct sim_client *client = user;
    SIM_CHECK(client->sim, client->conn == NULL, "client %u wants a second connection",
              client->number);
    client->conn_open = false;
    client->conn = sim_net_connect(client->net, &client->link, &NET_OPS, client);
}

static void on_send(void *user, struct slice bytes)
{
    struct sim_client *client = user;
    SIM_CHECK(client->sim, client->conn != NULL && client->conn_open,
              "client %u sends without a connection", client->number);
    sim_net_send(client->conn, bytes);
}

static void on_shut(void *user)
{
    struct sim_client *client = user;
    SIM_CHECK(client->sim, client->conn != NULL, "client %u shuts no connection", client->number);
    sim_net_shut(client->conn);
    client->conn = NULL;
    client->conn_open = false;
}

static void on_random(void *user, void *out, size_t bytes)
{
    struct sim_client *client = user;
    for (size_t i = 0; i < bytes; i++) {
        ((uint8_t *)out)[i] = (uint8_t)sim_draw(client->sim, 256);
    }
}

static void on_connection(void *user, const struct sluice_connection *connection)
{
    struct sim_client *client = user;
    client->told_connected = connection->connected;
    SIM_CHECK(client->sim, !connection->connected || connection->failure == NULL,
              "client %u is connected with a failure", client->number);
    sim_trace(client->sim, "client %u: %s %s", client->number,
              connection->connected ? "connected" : "disconnected",
              connection->failure != NULL ? connection->failure->error.message : "");
}

static void on_backend_id(void *user, struct slice backend_id)
{
    struct sim_client *client = user;
    memcpy(client->backend_id, backend_id.data, backend_id.bytes);
    client->config.backend_id = slice_make(client->backend_id, backend_id.bytes);
}

static const struct client_core_ops CORE_OPS = {.open = on_open,
                                                .send = on_send,
                                                .shut = on_shut,
                                                .random = on_random,
                                                .connection = on_connection,
                                                .backend_id = on_backend_id};

/* ---- time ---- */

void sim_client_after(struct sim_client *client)
{
    if (client->core == NULL) {
        return;
    }
    uint64_t deadline_ms = client_core_deadline_ms(client->core);
    if (deadline_ms == UINT64_MAX) {
        sim_disarm(client->sim, &client->deadline);
    } else {
        sim_arm(client->sim, &client->deadline, deadline_ms);
    }
}

static void on_deadline(void *user)
{
    struct sim_client *client = user;
    client->turns = client->turns_ms == client->sim->now_ms ? client->turns + 1 : 0;
    client->turns_ms = client->sim->now_ms;
    SIM_CHECK(client->sim, client->turns < TURNS_MAX, "client %u has a deadline that stays",
              client->number);
    client_core_time(client->core, client->sim->now_ms);
    sim_client_after(client);
}

/* Connected means: something came within the ping interval, on a connection that stands. */
void sim_client_watch(struct sim_client *client)
{
    if (client->core == NULL) {
        return;
    }
    bool connected = client_core_is_connected(client->core);
    SIM_CHECK(client->sim, connected == client->told_connected,
              "client %u is %sconnected and was told otherwise", client->number,
              connected ? "" : "not ");
    if (!connected || client->url.polls) {
        return;
    }
    SIM_CHECK(client->sim, client->conn_open, "client %u is connected without a connection",
              client->number);
    SIM_CHECK(client->sim,
              client->sim->now_ms <= client->heard_ms + client->config.ping_interval_ms,
              "client %u is connected and has heard nothing for %llu ms", client->number,
              (unsigned long long)(client->sim->now_ms - client->heard_ms));
}

/* ---- life ---- */

static void start(void *user)
{
    struct sim_client *client = user;
    client->core = client_core_create(&client->config, &CORE_OPS, client);
    SLUICE_ASSERT(client->core != NULL);
    client->told_connected = false;
    sim_trace(client->sim, "client %u: starts", client->number);
    client->ops->started(client->program);
    sim_client_after(client);
}

static void stop(struct sim_client *client)
{
    client_core_close(client->core, client->sim->now_ms);
    SIM_CHECK(client->sim, client->requests == 0, "client %u: %zu requests have no end",
              client->number, client->requests);
    SIM_CHECK(client->sim, client->conn == NULL, "client %u is closed with a connection",
              client->number);
    client_core_destroy(client->core);
    client->core = NULL;
    client->ops->ended(client->program);
    sim_disarm(client->sim, &client->deadline);
}

void sim_client_kill(struct sim_client *client)
{
    if (client->core != NULL) {
        sim_trace(client->sim, "client %u: is killed", client->number);
        client->dying = true;
        stop(client);
        client->dying = false;
        sim_arm(client->sim, &client->restart,
                client->sim->now_ms + sim_between(client->sim, 1, 3000));
    }
}

struct sim_client *sim_client_create(struct sim_server *server, struct sim *sim,
                                     struct sim_net *net, unsigned number, const char *url,
                                     const struct sim_program *ops)
{
    struct sim_client *client = malloc(sizeof(*client));
    SLUICE_ASSERT(client != NULL);
    *client =
        (struct sim_client){.sim = sim, .net = net, .server = server, .number = number, .ops = ops};
    SLUICE_ASSERT(client_url_parse(slice_of_string(url), SLUICE_TRANSPORT_AUTO, &client->url,
                                   NULL) == SLUICE_OK);
    client->config = (struct client_core_config){.url = &client->url,
                                                 .store_id = SLICE(SIM_STORE),
                                                 .connect_timeout_ms = 5000,
                                                 .ping_interval_ms = 8000,
                                                 .ping_timeout_ms = 3000,
                                                 .request_timeout_ms = 20000,
                                                 .operation_timeout_ms = 15000,
                                                 .backoff_base_ms = 100,
                                                 .backoff_cap_ms = 4000,
                                                 .poll_interval_ms = 1000,
                                                 .message_bytes_max = 16u << 20};
    client->deadline = (struct sim_timer){.run = on_deadline, .user = client};
    client->restart = (struct sim_timer){.run = start, .user = client};
    client->program = ops->create(client);
    start(client);
    return client;
}

void sim_client_destroy(struct sim_client *client)
{
    sim_disarm(client->sim, &client->restart);
    if (client->core != NULL) {
        stop(client);
    }
    client->ops->destroy(client->program);
    free(client);
}
