/* client: the public API (sluice/client.h, sluice/outbox.h) on a runner. */
#include "sluice/client.h"

#include "sluice/outbox.h"
#include "sluice_config.h"

const char *sluice_version(void)
{
    return SLUICE_VERSION;
}
