/* json_parameter: see json_parameter.h. */
#include "endpoint/json_parameter.h"

#include "base/json.h"
#include "http/http_query.h"

enum sluice_status json_parameter_decode(struct slice encoded, struct arena *arena,
                                         struct slice *json)
{
    struct slice once;
    struct slice twice;
    if (http_percent_decode(encoded, true, arena, &once, NULL) != SLUICE_OK) {
        return SLUICE_MALFORMED;
    }
    if (json_validate(once, NULL) == SLUICE_OK) {
        *json = once;
        return SLUICE_OK;
    }
    if (http_percent_decode(once, false, arena, &twice, NULL) != SLUICE_OK ||
        json_validate(twice, NULL) != SLUICE_OK) {
        return SLUICE_MALFORMED;
    }
    *json = twice;
    return SLUICE_OK;
}
