/* health: GET /healthz answers 200 while the process lives; GET /readyz answers 200 when a push
 * could be committed, else 503 and why. Loop thread. */
#ifndef SLUICE_SERVER_HEALTH_H
#define SLUICE_SERVER_HEALTH_H

#include "endpoint/front.h"
#include "eventlog/eventlog.h"

struct health;

struct health *health_create(struct eventlog *eventlog); /* NULL: no memory */
/* No probe may be under way. */
void health_destroy(struct health *health);
struct endpoint health_entry(struct health *health);
void health_attach(struct health *health, struct front *front);
bool health_busy(const struct health *health);

#endif
