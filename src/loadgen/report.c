/* report: what a run has measured, as text or as one line of JSON. */
#include "loadgen/process.h"
#include "loadgen/run.h"

#define BUSY_SHARE 0.9

struct measure {
    const char *name;
    double value;
    const char *unit;
};

#define MEASURES_MAX 32u

struct report {
    struct measure measures[MEASURES_MAX];
    unsigned count;
};

static void add(struct report *report, const char *name, double value, const char *unit)
{
    if (report->count < MEASURES_MAX) {
        report->measures[report->count++] = (struct measure){name, value, unit};
    }
}

static void add_histogram(struct report *report, const struct histogram *histogram,
                          const char *const names[3])
{
    add(report, names[0], (double)histogram_at(histogram, 0.5) / 1e3, "us");
    add(report, names[1], (double)histogram_at(histogram, 0.99) / 1e3, "us");
    add(report, names[2], (double)histogram->max_ns / 1e3, "us");
}

static void fill(struct report *report, const struct load_run *run)
{
    static const char *const LATENCY[] = {"p50_us", "p99_us", "max_us"};
    static const char *const DELIVERY[] = {"delivery_p50_us", "delivery_p99_us", "delivery_max_us"};
    static const char *const LAST[] = {"last_p50_us", "last_p99_us", "last_max_us"};
    const struct load_moment *from = &run->begun;
    const struct load_moment *to = &run->ended;
    double seconds = (double)(to->at_ns - from->at_ns) / 1e9;
    double server_cpu_s = to->server_cpu_s - from->server_cpu_s;
    double held = (double)run->private_bytes_after - (double)run->private_bytes_before;
    add(report, "seconds", seconds, "");
    add(report, "pushes", (double)(to->pushes - from->pushes), "");
    add(report, "pushes_per_s", (double)(to->pushes - from->pushes) / seconds, "");
    add(report, "pushed_events_per_s", (double)(to->pushed_events - from->pushed_events) / seconds,
        "");
    add_histogram(report, &run->latency, LATENCY);
    add(report, "frames", (double)(to->frames - from->frames), "");
    add(report, "frames_per_s", (double)(to->frames - from->frames) / seconds, "");
    add(report, "events", (double)(to->events - from->events), "");
    add(report, "events_per_s", (double)(to->events - from->events) / seconds, "");
    add_histogram(report, &run->delivery, DELIVERY);
    add_histogram(report, &run->last_delivery, LAST);
    add(report, "received_bytes", (double)(to->bytes - from->bytes), "");
    add(report, "head", (double)run->clients[run->client_count - 1].head, "");
    add(report, "server_cpu", server_cpu_s / seconds, "");
    add(report, "server_cpu_s", server_cpu_s, "");
    add(report, "server_private_bytes", (double)run->private_bytes_after, "");
    add(report, "server_bytes_per_client", held / (double)run->client_count, "");
    add(report, "load_cpu", (to->own_cpu_s - from->own_cpu_s) / seconds, "");
}

static void print_json(const struct report *report, FILE *out)
{
    for (unsigned i = 0; i < report->count; i++) {
        const struct measure *measure = &report->measures[i];
        (void)fprintf(out, "%s\"%s\":%.3f", i == 0 ? "{" : ",", measure->name, measure->value);
    }
    (void)fprintf(out, "}\n");
}

static void print_text(const struct report *report, FILE *out)
{
    for (unsigned i = 0; i < report->count; i++) {
        const struct measure *measure = &report->measures[i];
        if (measure->value != 0) {
            (void)fprintf(out, "%-24s %16.3f %s\n", measure->name, measure->value, measure->unit);
        }
    }
    if (report->measures[report->count - 1].value >= BUSY_SHARE) {
        (void)fprintf(out, "The load generator had no processor time left: the server may be able "
                           "to do more.\n");
    }
}

void load_report(const struct load_run *run, FILE *out)
{
    struct report report = {0};
    fill(&report, run);
    if (run->shared.options->json != 0) {
        print_json(&report, out);
    } else {
        print_text(&report, out);
    }
}
