#include "options.h"

#include "text.h"

#include <ole2.h>
#include <stdlib.h>
#include <wchar.h>

struct named_value {
    const WCHAR *name;
    DWORD value;
};

static const struct named_value hresult_names[] = {
    {L"S_OK", 0},
    {L"S_FALSE", 1},
    {L"E_FAIL", 0x80004005},
    {L"CANCELITEM", 0x00040203},
    {L"CANCELALL", 0x00040204},
    {L"RPC_E_DISCONNECTED", 0x80010108},
    {L"RPC_E_SERVERFAULT", 0x80010105},
};

static const struct named_value status_names[] = {
    {L"STOPPED", 0},   {L"SKIPPED", 1},  {L"PENDING", 2},
    {L"UPDATING", 3},  {L"SUCCEEDED", 4}, {L"FAILED", 5},
    {L"PAUSED", 6},    {L"RESUMING", 7}, {L"UPDATING_INDETERMINATE", 8},
    {L"DELETED", 0x100},
};

static const char *const method_names[] = {
    [CALLBACK_PROGRESS] = "Progress",
    [CALLBACK_LOG_ERROR] = "LogError",
    [CALLBACK_DELETE_LOG_ERROR] = "DeleteLogError",
    [CALLBACK_ENABLE_MODELESS] = "EnableModeless",
    [CALLBACK_ESTABLISH_CONNECTION] = "EstablishConnection",
    [CALLBACK_PREPARE_COMPLETED] = "PrepareForSyncCompleted",
    [CALLBACK_SYNCHRONIZE_COMPLETED] = "SynchronizeCompleted",
    [CALLBACK_SHOW_ERROR_COMPLETED] = "ShowErrorCompleted",
    [CALLBACK_SHOW_PROPERTIES_COMPLETED] = "ShowPropertiesCompleted",
};

static const char usage_text[] =
    "usage: client.exe [options] {CLSID}\n"
    "  --apartment sta|mta          apartment of the main thread (mta)\n"
    "  --proxy, --no-proxy          with or without the callback's proxy and stub (with in sta)\n"
    "  --agile                      the callback aggregates the free-threaded marshaler\n"
    "  --timeout SECONDS            limit of each wait and call (60)\n"
    "  --settle MS                  time to watch for calls that must not come (200)\n"
    "  --no-gate                    let callbacks run while a call of the main thread is on\n"
    "  --flags HEX                  flags of Initialize (0x203)\n"
    "  --cookie HEXBYTES            cookie of Initialize (none)\n"
    "  --no-info                    leave out GetHandlerInfo\n"
    "  --no-enum                    leave out EnumSyncMgrItems\n"
    "  --enum-exercise              also try Skip, Reset and Clone\n"
    "  --celt N                     items to ask of Next at a time (1)\n"
    "  --celt-null                  ask for one at a time without pceltFetched\n"
    "  --items A,B                  names or GUIDs to synchronize (all that are checked)\n"
    "  --answer METHOD[/ITEM]:N[+]=HRESULT\n"
    "                               answer of the N-th call, or from the N-th on\n"
    "  --push ITEM|*:N=STATUS       SetItemStatus at the N-th Progress of the item\n"
    "  --push-preparing ITEM|*=STATUS\n"
    "                               SetItemStatus while the handler prepares\n"
    "  --null-callback-at N         SetProgressCallback(NULL) and Release at the N-th Progress\n"
    "  --release-at N               Release at the N-th Progress\n"
    "  --show-properties ITEM|*     ShowProperties before the synchronization\n"
    "  --show-error                 ShowError after it, and the retry it asks for\n"
    "  --click TEXT                 press this button of any dialog\n"
    "  --set-field LABEL=VALUE      fill in the edit control after this label first\n"
    "  --repeat N                   the whole lifecycle N (> 20) times; report leaks\n"
    "  --keep-loaded                keep the handler's DLL loaded between repetitions\n"
    "  --concurrent {CLSID}         run a second handler at the same time\n"
    "  --bad                        bad arguments and calls out of order instead of a run\n"
    "  --bench                      time Progress; callbacks are not logged\n"
    "STATUS is a number or STOPPED, SKIPPED, PENDING, UPDATING, SUCCEEDED, FAILED, PAUSED,\n"
    "RESUMING, UPDATING_INDETERMINATE, DELETED. HRESULT is a hex number or S_OK, S_FALSE,\n"
    "E_FAIL, CANCELITEM, CANCELALL, RPC_E_DISCONNECTED, RPC_E_SERVERFAULT.\n"
    "Exit code: 0 the lifecycle went as the rules demand, 1 a rule was broken or the handler\n"
    "could not be created, 2 usage, 3 time limit.";

static _Noreturn void usage(const char *problem, const WCHAR *argument)
{
    struct text line = {0};

    text_add(&line, "%s ", problem);
    text_add_string(&line, argument);
    text_print(&line);
    print_line("%s", usage_text);
    exit(EXIT_USAGE);
}

const char *callback_method_name(enum callback_method method)
{
    return method_names[method];
}

static WCHAR *copy_range(const WCHAR *start, const WCHAR *end)
{
    size_t length = (size_t)(end - start);
    WCHAR *copy = malloc((length + 1) * sizeof *copy);

    if (copy == NULL)
        abort();
    wmemcpy(copy, start, length);
    copy[length] = L'\0';
    return copy;
}

static WCHAR *copy_string(const WCHAR *string)
{
    return copy_range(string, string + wcslen(string));
}

static DWORD parse_number(const WCHAR *text, int base, const WCHAR *argument)
{
    WCHAR *end;
    unsigned long value = wcstoul(text, &end, base);

    if (end == text || *end != L'\0')
        usage("not a number in", argument);
    return value;
}

static unsigned parse_count(const WCHAR *text, const WCHAR *argument)
{
    DWORD value = parse_number(text, 10, argument);

    if (value == 0)
        usage("zero makes no sense in", argument);
    return value;
}

static GUID parse_guid(const WCHAR *text, const WCHAR *argument)
{
    GUID id;

    if (FAILED(CLSIDFromString(text, &id)))
        usage("not a GUID in", argument);
    return id;
}

static DWORD parse_named(const WCHAR *text, const struct named_value *names, size_t count,
                         int base, const WCHAR *argument)
{
    for (size_t i = 0; i < count; i++) {
        if (wcscmp(names[i].name, text) == 0)
            return names[i].value;
    }
    return parse_number(text, base, argument);
}

static HRESULT parse_hresult(const WCHAR *text, const WCHAR *argument)
{
    return (HRESULT)parse_named(text, hresult_names,
                                sizeof hresult_names / sizeof hresult_names[0], 16, argument);
}

static DWORD parse_status(const WCHAR *text, const WCHAR *argument)
{
    return parse_named(text, status_names, sizeof status_names / sizeof status_names[0], 0,
                       argument);
}

static struct item_ref parse_item(const WCHAR *start, const WCHAR *end, const WCHAR *argument)
{
    struct item_ref ref = {.kind = ITEM_BY_NAME, .name = copy_range(start, end)};

    if (wcscmp(ref.name, L"*") == 0) {
        ref.kind = ITEM_ANY;
    } else if (ref.name[0] == L'{') {
        ref.kind = ITEM_BY_ID;
        ref.id = parse_guid(ref.name, argument);
    }
    return ref;
}

static void parse_items(struct options *options, const WCHAR *argument)
{
    const WCHAR *start = argument;

    options->choose_items = true;
    options->item_count = 0;
    while (*start != L'\0') {
        const WCHAR *end = start + wcscspn(start, L",");

        if (options->item_count == MAX_REPEATED)
            usage("too many items in", argument);
        options->items[options->item_count++] = parse_item(start, end, argument);
        start = *end == L'\0' ? end : end + 1;
    }
}

static void parse_cookie(struct options *options, const WCHAR *argument)
{
    size_t digits = wcslen(argument);

    if (digits == 0 || digits % 2 != 0)
        usage("not whole bytes in", argument);
    options->cookie_size = (DWORD)(digits / 2);
    options->cookie = malloc(options->cookie_size);
    if (options->cookie == NULL)
        abort();
    for (size_t i = 0; i < options->cookie_size; i++) {
        WCHAR byte[3] = {argument[2 * i], argument[2 * i + 1], L'\0'};

        options->cookie[i] = (BYTE)parse_number(byte, 16, argument);
    }
}

/* Finds the last `separator`, because names may contain one themselves. */
static const WCHAR *split(const WCHAR *start, WCHAR separator, const WCHAR *argument)
{
    const WCHAR *found = wcsrchr(start, separator);

    if (found == NULL)
        usage("incomplete argument", argument);
    return found;
}

static enum callback_method parse_method(const WCHAR *start, const WCHAR *end,
                                         const WCHAR *argument)
{
    size_t length = (size_t)(end - start);

    for (size_t i = 0; i < sizeof method_names / sizeof method_names[0]; i++) {
        const char *name = method_names[i];
        size_t same = 0;

        while (same < length && name[same] != '\0' && (WCHAR)name[same] == start[same])
            same++;
        if (same == length && name[same] == '\0')
            return (enum callback_method)i;
    }
    usage("unknown method in", argument);
}

static void parse_answer(struct answer_rule *rule, const WCHAR *argument)
{
    const WCHAR *equals = split(argument, L'=', argument);
    WCHAR *target = copy_range(argument, equals);
    WCHAR *colon = target + (split(target, L':', argument) - target);
    const WCHAR *slash = wcschr(target, L'/');
    size_t digits = wcslen(colon + 1);

    rule->answer = parse_hresult(equals + 1, argument);
    rule->onwards = digits > 0 && colon[digits] == L'+';
    if (rule->onwards)
        colon[digits] = L'\0';
    rule->number = parse_count(colon + 1, argument);
    rule->method = parse_method(target, slash != NULL ? slash : colon, argument);
    if (slash != NULL) {
        if (rule->method != CALLBACK_PROGRESS && rule->method != CALLBACK_LOG_ERROR)
            usage("this method has no item:", argument);
        rule->item = parse_item(slash + 1, colon, argument);
    }
    free(target);
}

static void parse_push(struct push_rule *rule, const WCHAR *argument, bool numbered)
{
    const WCHAR *equals = split(argument, L'=', argument);
    WCHAR *target = copy_range(argument, equals);
    const WCHAR *end = target + wcslen(target);

    rule->status = parse_status(equals + 1, argument);
    if (numbered) {
        end = split(target, L':', argument);
        rule->number = parse_count(end + 1, argument);
    }
    rule->item = parse_item(target, end, argument);
    free(target);
}

static void parse_field(struct field_value *field, const WCHAR *argument)
{
    const WCHAR *equals = wcschr(argument, L'=');

    if (equals == NULL)
        usage("incomplete argument", argument);
    field->label = copy_range(argument, equals);
    field->value = copy_string(equals + 1);
}

static size_t next_slot(size_t *count, const WCHAR *argument)
{
    if (*count == MAX_REPEATED)
        usage("given too often:", argument);
    return (*count)++;
}

/* Handles the options that stand alone; false for any other argument. */
static bool parse_switch(struct options *options, const WCHAR *name)
{
    const struct {
        const WCHAR *name;
        bool *target;
        bool value;
    } switches[] = {
        {L"--proxy", &options->proxy, true},
        {L"--no-proxy", &options->proxy, false},
        {L"--agile", &options->agile, true},
        {L"--no-gate", &options->gate, false},
        {L"--no-info", &options->info, false},
        {L"--no-enum", &options->enumerate, false},
        {L"--enum-exercise", &options->enum_exercise, true},
        {L"--celt-null", &options->celt_null, true},
        {L"--show-error", &options->show_error, true},
        {L"--keep-loaded", &options->keep_loaded, true},
        {L"--bad", &options->bad, true},
        {L"--bench", &options->bench, true},
    };

    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (wcscmp(switches[i].name, name) == 0) {
            *switches[i].target = switches[i].value;
            return true;
        }
    }
    return false;
}

static void parse_apartment(struct options *options, const WCHAR *value)
{
    if (wcscmp(value, L"sta") == 0)
        options->sta = true;
    else if (wcscmp(value, L"mta") == 0)
        options->sta = false;
    else
        usage("unknown apartment", value);
}

/* Handles the options with a value; false for any other argument. */
static bool parse_valued(struct options *options, const WCHAR *name, const WCHAR *value)
{
    if (wcscmp(name, L"--apartment") == 0) {
        parse_apartment(options, value);
    } else if (wcscmp(name, L"--timeout") == 0) {
        options->timeout = parse_count(value, value);
    } else if (wcscmp(name, L"--settle") == 0) {
        options->settle_ms = parse_number(value, 10, value);
    } else if (wcscmp(name, L"--flags") == 0) {
        options->flags = parse_number(value, 16, value);
    } else if (wcscmp(name, L"--cookie") == 0) {
        parse_cookie(options, value);
    } else if (wcscmp(name, L"--celt") == 0) {
        options->celt = parse_count(value, value);
    } else if (wcscmp(name, L"--items") == 0) {
        parse_items(options, value);
    } else if (wcscmp(name, L"--answer") == 0) {
        parse_answer(&options->answers[next_slot(&options->answer_count, name)], value);
    } else if (wcscmp(name, L"--push") == 0) {
        parse_push(&options->pushes[next_slot(&options->push_count, name)], value, true);
    } else if (wcscmp(name, L"--push-preparing") == 0) {
        size_t slot = next_slot(&options->preparing_push_count, name);

        parse_push(&options->preparing_pushes[slot], value, false);
    } else if (wcscmp(name, L"--null-callback-at") == 0) {
        options->null_callback_at = parse_count(value, value);
    } else if (wcscmp(name, L"--release-at") == 0) {
        options->release_at = parse_count(value, value);
    } else if (wcscmp(name, L"--show-properties") == 0) {
        options->show_properties = true;
        options->properties_item = parse_item(value, value + wcslen(value), value);
    } else if (wcscmp(name, L"--click") == 0) {
        options->click[next_slot(&options->click_count, name)] = copy_string(value);
    } else if (wcscmp(name, L"--set-field") == 0) {
        parse_field(&options->fields[next_slot(&options->field_count, name)], value);
    } else if (wcscmp(name, L"--repeat") == 0) {
        options->repeat = parse_count(value, value);
    } else if (wcscmp(name, L"--concurrent") == 0) {
        options->concurrent = true;
        options->second_clsid = parse_guid(value, value);
    } else {
        return false;
    }
    return true;
}

static void check_not_named(const struct item_ref *ref)
{
    if (ref->kind == ITEM_BY_NAME)
        usage("with --no-enum only GUIDs are known, not", ref->name);
}

static void check_without_enumeration(const struct options *options)
{
    if (options->enum_exercise)
        usage("--no-enum does not go with", L"--enum-exercise");
    for (size_t i = 0; i < options->item_count; i++)
        check_not_named(&options->items[i]);
    for (size_t i = 0; i < options->answer_count; i++)
        check_not_named(&options->answers[i].item);
    for (size_t i = 0; i < options->push_count; i++)
        check_not_named(&options->pushes[i].item);
    for (size_t i = 0; i < options->preparing_push_count; i++)
        check_not_named(&options->preparing_pushes[i].item);
    check_not_named(&options->properties_item);
}

static void check(const struct options *options)
{
    if (!options->enumerate)
        check_without_enumeration(options);
    if (options->celt_null && options->celt != 1)
        usage("only --celt 1 goes with", L"--celt-null");
    if (options->repeat != 0 && options->repeat <= 20)
        usage("the first 20 rounds are not measured:", L"--repeat");
    if (options->repeat != 0 && (options->concurrent || options->bad))
        usage("--concurrent and --bad do not go with", L"--repeat");
}

void options_parse(struct options *options, int argc, WCHAR **argv)
{
    bool have_clsid = false;
    bool settle_given = false;

    *options = (struct options){
        .timeout = 60,
        .settle_ms = 200,
        .gate = true,
        .flags = SYNCMGRFLAG_MANUAL | SYNCMGRFLAG_MAYBOTHERUSER,
        .info = true,
        .enumerate = true,
        .celt = 1,
    };

    /* The apartment determines the proxy unless an option does, in any order. */
    for (int i = 1; i + 1 < argc; i++) {
        if (wcscmp(argv[i], L"--apartment") == 0)
            options->proxy = wcscmp(argv[i + 1], L"sta") == 0;
    }
    for (int i = 1; i < argc; i++) {
        if (parse_switch(options, argv[i]))
            continue;
        if (argv[i][0] != L'-') {
            if (have_clsid)
                usage("one CLSID is enough:", argv[i]);
            options->clsid = parse_guid(argv[i], argv[i]);
            have_clsid = true;
            continue;
        }
        if (i + 1 == argc || !parse_valued(options, argv[i], argv[i + 1]))
            usage("unknown or incomplete option", argv[i]);
        settle_given = settle_given || wcscmp(argv[i], L"--settle") == 0;
        i++;
    }
    if (!have_clsid)
        usage("missing", L"{CLSID}");

    /* Watching for stray calls would distort these two measurements. */
    if ((options->repeat != 0 || options->bench) && !settle_given)
        options->settle_ms = 0;
    check(options);
}
