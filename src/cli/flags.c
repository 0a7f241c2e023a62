/* flags: see flags.h. Main thread, before anything else runs. */
#include "cli/flags.h"

#include <string.h>

#include "base/quantity.h"
#include "base/slice.h"

static const char *takes(const struct flag *flag)
{
    switch (flag->kind) {
    case FLAG_COUNT:
        return "a number";
    case FLAG_DURATION:
        return "a duration, such as 500ms, 30s or 5m";
    case FLAG_CHOICE:
        return flag->choices;
    default:
        return "a text";
    }
}

static enum sluice_status set_text(const struct flag *flag, const char *text,
                                   struct sluice_error *error)
{
    if (text[0] == '\0') {
        return error_set(error, SLUICE_CONFIG, "--%s is empty", flag->name);
    }
    if (flag->kind == FLAG_TEXT) {
        *(const char **)flag->out = text;
        return SLUICE_OK;
    }
    struct flag_texts *texts = flag->out;
    if (texts->count == FLAG_TEXTS_MAX) {
        return error_set(error, SLUICE_CONFIG, "--%s can be given %u times", flag->name,
                         FLAG_TEXTS_MAX);
    }
    texts->items[texts->count++] = text;
    return SLUICE_OK;
}

static bool read_number(const struct flag *flag, const char *text, uint64_t *out)
{
    unsigned long long count = 0;
    switch (flag->kind) {
    case FLAG_COUNT:
        if (!slice_to_u64(slice_of_string(text), &count) || count > flag->maximum) {
            return false;
        }
        *out = count;
        return true;
    case FLAG_DURATION:
        return quantity_read_duration_ms(text, out) && *out > 0 && *out <= flag->maximum;
    default:
        return quantity_read_choice(text, flag->choices, out);
    }
}

static enum sluice_status set(const struct flag *flag, const char *text, struct sluice_error *error)
{
    if (flag->kind == FLAG_TEXT || flag->kind == FLAG_TEXTS) {
        return set_text(flag, text, error);
    }
    uint64_t value = 0;
    if (read_number(flag, text, &value)) {
        *(uint64_t *)flag->out = value;
        return SLUICE_OK;
    }
    if (flag->kind == FLAG_CHOICE) {
        return error_set(error, SLUICE_CONFIG, "--%s is '%.100s'; it takes one of: %s", flag->name,
                         text, flag->choices);
    }
    return error_set(error, SLUICE_CONFIG, "--%s is '%.100s'; it takes %s, up to %llu%s",
                     flag->name, text, takes(flag), (unsigned long long)flag->maximum,
                     flag->kind == FLAG_DURATION ? " ms" : "");
}

static const struct flag *find(const struct flags *flags, struct slice name)
{
    for (size_t table = 0; table < 2; table++) {
        for (size_t i = 0; i < flags->counts[table]; i++) {
            const struct flag *flag = &flags->tables[table][i];
            if (slice_equal(slice_of_string(flag->name), name)) {
                return flag;
            }
        }
    }
    return NULL;
}

/* One flag: the word at `*at`, and the next one when it holds the value. */
static enum sluice_status read_flag(const struct flags *flags, int count, char **words, int *at,
                                    struct sluice_error *error)
{
    const char *name = words[*at] + 2;
    size_t bytes = strcspn(name, "=");
    const struct flag *flag = find(flags, slice_make(name, bytes));
    if (flag == NULL) {
        return error_set(error, SLUICE_CONFIG, "there is no flag --%.100s", name);
    }
    const char *text = name[bytes] == '=' ? name + bytes + 1 : NULL;
    if (flag->kind == FLAG_SWITCH) {
        if (text != NULL) {
            return error_set(error, SLUICE_CONFIG, "--%s takes no value", flag->name);
        }
        *(bool *)flag->out = true;
        return SLUICE_OK;
    }
    if (text == NULL && *at + 1 < count) {
        *at += 1;
        text = words[*at];
    }
    if (text == NULL) {
        return error_set(error, SLUICE_CONFIG, "--%s needs a value: %s", flag->name, takes(flag));
    }
    return set(flag, text, error);
}

enum sluice_status flags_read(const struct flags *flags, int count, char **words,
                              struct sluice_error *error)
{
    size_t argument_count = 0;
    bool flags_ended = false;
    for (int i = 0; i < count; i++) {
        if (!flags_ended && strcmp(words[i], "--") == 0) {
            flags_ended = true;
        } else if (!flags_ended && strncmp(words[i], "--", 2) == 0) {
            enum sluice_status status = read_flag(flags, count, words, &i, error);
            if (status != SLUICE_OK) {
                return status;
            }
        } else if (argument_count == flags->argument_max) {
            return error_set(error, SLUICE_CONFIG, "'%.100s' is one argument too many", words[i]);
        } else {
            flags->arguments[argument_count++] = words[i];
        }
    }
    if (argument_count < flags->argument_min) {
        return error_set(error, SLUICE_CONFIG, "needs %zu arguments, not %zu", flags->argument_min,
                         argument_count);
    }
    return SLUICE_OK;
}

void flags_print_help(const struct flags *flags, FILE *out)
{
    for (size_t table = 0; table < 2; table++) {
        for (size_t i = 0; i < flags->counts[table]; i++) {
            const struct flag *flag = &flags->tables[table][i];
            int width = fprintf(out, "  --%s%s%s", flag->name, flag->value != NULL ? " " : "",
                                flag->value != NULL ? flag->value : "");
            (void)fprintf(out, "%*s %s\n", width < 24 ? 24 - width : 0, "", flag->help);
        }
    }
}
