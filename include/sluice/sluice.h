/* sluice: everything that libsluice offers, in one include. */
#ifndef SLUICE_H
#define SLUICE_H

#include "sluice/client.h"
#include "sluice/event.h"
#include "sluice/outbox.h"
#include "sluice/status.h"

#endif
