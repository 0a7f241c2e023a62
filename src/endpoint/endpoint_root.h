/* endpoint_root: what is left when no other endpoint claims a request: the CORS preflight on any
 * path, a word of greeting at /, and 404. Put it last. */
#ifndef SLUICE_ENDPOINT_ROOT_H
#define SLUICE_ENDPOINT_ROOT_H

#include "endpoint/front.h"

struct endpoint endpoint_root_entry(void);

#endif
