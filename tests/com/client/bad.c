#include "bad.h"

#include "actions.h"
#include "callback.h"
#include "enumerate.h"
#include "lifecycle.h"
#include "server.h"

#include <stdint.h>
#include <stdlib.h>

#define MANY_IDS 20000

/* The values of out-parameters before a call, to detect whether it sets them. */
#define UNTOUCHED ((void *)(uintptr_t)0xDEADBEEF)

/* A window that does not exist. */
#define BAD_WINDOW ((HWND)(uintptr_t)0xDEAD)

/* Logs the result of one attempt, under the watchdog. */
#define ATTEMPT(session, text, expression)                          \
    do {                                                            \
        struct call attempt = session_call(session, text);          \
        HRESULT attempt_result = (expression);                      \
                                                                    \
        session_log_result(session, text, attempt_result);          \
        session_returned(session, attempt);                         \
    } while (0)

/* The same for an attempt with an out-parameter, which is set up and logged. */
#define ATTEMPT_OUT(session, text, out, expression)                 \
    do {                                                            \
        struct call attempt = session_call(session, text);          \
        HRESULT attempt_result;                                     \
                                                                    \
        (out) = UNTOUCHED;                                          \
        attempt_result = (expression);                              \
        log_out(session, text, attempt_result, out);                \
        session_returned(session, attempt);                         \
    } while (0)

static const GUID unknown_id = {
    0x0BADBAD0, 0xBAD0, 0x4BAD, {0x8B, 0xAD, 0x0B, 0xAD, 0x0B, 0xAD, 0x0B, 0xAD}};

static void log_out(struct session *session, const char *text, HRESULT result, const void *out)
{
    struct text line = session_line(session, text);

    text_add(&line, " -> 0x%08lX [out=%s]", result,
             out == NULL ? "NULL" : out == UNTOUCHED ? "untouched" : "set");
    session_log(session, &line);
}

/* Releases the results of an attempt that should have failed. */
static void discard(void *out)
{
    if (out != NULL && out != UNTOUCHED)
        IUnknown_Release((IUnknown *)out);
}

static void start_group(const char *name)
{
    print_line("bad %s", name);
}

static bool fresh(struct session *session)
{
    EnterCriticalSection(&session->lock);
    session->cut_off = false;
    for (size_t i = 0; i < COMPLETION_KINDS; i++)
        session->completions[i] = (struct completion){.call = CALL_NONE};
    LeaveCriticalSection(&session->lock);
    return SUCCEEDED(lifecycle_create(session));
}

/* A handler before PrepareForSync, with its items enumerated. */
static bool fresh_ready(struct session *session)
{
    if (!fresh(session))
        return false;
    if (lifecycle_initialize(session) == S_OK) {
        session->quiet = true;
        item_list_clear(&session->items);
        enumerate_items(session);
        session->quiet = false;
        if (lifecycle_set_callback(session) == S_OK)
            return true;
    }
    release_handler(session);
    return false;
}

static void finish(struct session *session)
{
    drop_callback(session);
    release_handler(session);
}

static void try_query_interface(struct session *session, IUnknown *unknown)
{
    void *out;

    ATTEMPT(session, "QueryInterface NULL,NULL", IUnknown_QueryInterface(unknown, NULL, NULL));
    ATTEMPT(session, "QueryInterface IUnknown,NULL",
            IUnknown_QueryInterface(unknown, &IID_IUnknown, NULL));
    ATTEMPT_OUT(session, "QueryInterface NULL,out", out,
                IUnknown_QueryInterface(unknown, NULL, &out));
    discard(out);
    ATTEMPT_OUT(session, "QueryInterface unknown,out", out,
                IUnknown_QueryInterface(unknown, &unknown_id, &out));
    discard(out);
    ATTEMPT_OUT(session, "QueryInterface ISyncMgrSynchronizeCallback,out", out,
                IUnknown_QueryInterface(unknown, &IID_ISyncMgrSynchronizeCallback, &out));
    discard(out);
    ATTEMPT_OUT(session, "QueryInterface IUnknown,out", out,
                IUnknown_QueryInterface(unknown, &IID_IUnknown, &out));
    discard(out);
}

static void try_entry_point(struct session *session)
{
    typedef HRESULT(WINAPI *get_class_object)(REFCLSID, REFIID, void **);
    const CLSID *clsid = &session->clsid;
    HMODULE module = server_module(clsid);
    get_class_object function;
    void *out;

    if (module == NULL)
        return;
    function = (get_class_object)(void *)GetProcAddress(module, "DllGetClassObject");
    if (function == NULL)
        return;
    ATTEMPT(session, "DllGetClassObject NULL,NULL,NULL", function(NULL, NULL, NULL));
    ATTEMPT(session, "DllGetClassObject clsid,IClassFactory,NULL",
            function(clsid, &IID_IClassFactory, NULL));
    ATTEMPT_OUT(session, "DllGetClassObject NULL,IClassFactory,out", out,
                function(NULL, &IID_IClassFactory, &out));
    discard(out);
    ATTEMPT_OUT(session, "DllGetClassObject clsid,NULL,out", out, function(clsid, NULL, &out));
    discard(out);
    ATTEMPT_OUT(session, "DllGetClassObject unknown,IClassFactory,out", out,
                function(&unknown_id, &IID_IClassFactory, &out));
    discard(out);
    ATTEMPT_OUT(session, "DllGetClassObject clsid,ISyncMgrSynchronize,out", out,
                function(clsid, &IID_ISyncMgrSynchronize, &out));
    discard(out);
}

static void try_factory(struct session *session)
{
    IClassFactory *factory;
    IUnknown *outer;
    void *out;

    start_group("class factory");
    ATTEMPT_OUT(session, "CoGetClassObject ISyncMgrSynchronize", out,
                CoGetClassObject(&session->clsid, CLSCTX_INPROC_SERVER, NULL,
                                 &IID_ISyncMgrSynchronize, &out));
    discard(out);
    ATTEMPT_OUT(session, "CoGetClassObject IClassFactory", out,
                CoGetClassObject(&session->clsid, CLSCTX_INPROC_SERVER, NULL, &IID_IClassFactory,
                                 &out));
    if (out == NULL || out == UNTOUCHED)
        return;
    factory = out;
    outer = (IUnknown *)factory;

    try_query_interface(session, outer);
    try_entry_point(session);
    ATTEMPT(session, "CreateInstance NULL,NULL,NULL",
            IClassFactory_CreateInstance(factory, NULL, NULL, NULL));
    ATTEMPT(session, "CreateInstance NULL,ISyncMgrSynchronize,NULL",
            IClassFactory_CreateInstance(factory, NULL, &IID_ISyncMgrSynchronize, NULL));
    ATTEMPT_OUT(session, "CreateInstance NULL,NULL,out", out,
                IClassFactory_CreateInstance(factory, NULL, NULL, &out));
    discard(out);
    ATTEMPT_OUT(session, "CreateInstance NULL,unknown,out", out,
                IClassFactory_CreateInstance(factory, NULL, &unknown_id, &out));
    discard(out);
    ATTEMPT_OUT(session, "CreateInstance NULL,ISyncMgrEnumItems,out", out,
                IClassFactory_CreateInstance(factory, NULL, &IID_ISyncMgrEnumItems, &out));
    discard(out);
    ATTEMPT_OUT(session, "CreateInstance outer,IUnknown,out", out,
                IClassFactory_CreateInstance(factory, outer, &IID_IUnknown, &out));
    discard(out);
    ATTEMPT_OUT(session, "CreateInstance outer,ISyncMgrSynchronize,out", out,
                IClassFactory_CreateInstance(factory, outer, &IID_ISyncMgrSynchronize, &out));
    discard(out);
    IClassFactory_Release(factory);

    ATTEMPT_OUT(session, "CoGetClassObject IClassFactory", out,
                CoGetClassObject(&session->clsid, CLSCTX_INPROC_SERVER, NULL, &IID_IClassFactory,
                                 &out));
    if (out == NULL || out == UNTOUCHED)
        return;
    factory = out;
    ATTEMPT(session, "LockServer TRUE", IClassFactory_LockServer(factory, TRUE));
    ATTEMPT(session, "DllCanUnloadNow", server_can_unload(&session->clsid));
    ATTEMPT(session, "LockServer FALSE", IClassFactory_LockServer(factory, FALSE));
    IClassFactory_Release(factory);
    ATTEMPT(session, "DllCanUnloadNow", server_can_unload(&session->clsid));
}

static void try_identity(struct session *session)
{
    void *first;
    void *second;

    start_group("QueryInterface of the handler");
    if (!fresh(session))
        return;
    try_query_interface(session, (IUnknown *)session->handler);
    first = second = NULL;
    ISyncMgrSynchronize_QueryInterface(session->handler, &IID_IUnknown, &first);
    ISyncMgrSynchronize_QueryInterface(session->handler, &IID_IUnknown, &second);
    print_line("main identity %s", first != NULL && first == second ? "kept" : "broken");
    discard(first);
    discard(second);
    release_handler(session);
}

static void try_info(struct session *session, ISyncMgrSynchronize *handler)
{
    void *out;

    ATTEMPT(session, "GetHandlerInfo NULL", ISyncMgrSynchronize_GetHandlerInfo(handler, NULL));
    ATTEMPT_OUT(session, "GetHandlerInfo out", out,
                ISyncMgrSynchronize_GetHandlerInfo(handler, (SYNCMGRHANDLERINFO **)&out));
    if (out != UNTOUCHED)
        CoTaskMemFree(out);
}

static void try_arguments(struct session *session)
{
    ISyncMgrSynchronize *handler = session->handler;
    void *out;

    try_info(session, handler);
    ATTEMPT(session, "EnumSyncMgrItems NULL", ISyncMgrSynchronize_EnumSyncMgrItems(handler, NULL));
    ATTEMPT_OUT(session, "EnumSyncMgrItems out", out,
                ISyncMgrSynchronize_EnumSyncMgrItems(handler, (ISyncMgrEnumItems **)&out));
    discard(out);
    ATTEMPT(session, "GetItemObject NULL,NULL,NULL",
            ISyncMgrSynchronize_GetItemObject(handler, NULL, NULL, NULL));
    ATTEMPT(session, "GetItemObject unknown,IUnknown,NULL",
            ISyncMgrSynchronize_GetItemObject(handler, &unknown_id, &IID_IUnknown, NULL));
    ATTEMPT_OUT(session, "GetItemObject NULL,IUnknown,out", out,
                ISyncMgrSynchronize_GetItemObject(handler, NULL, &IID_IUnknown, &out));
    discard(out);
    ATTEMPT_OUT(session, "GetItemObject unknown,NULL,out", out,
                ISyncMgrSynchronize_GetItemObject(handler, &unknown_id, NULL, &out));
    discard(out);
    ATTEMPT_OUT(session, "GetItemObject GUID_NULL,IUnknown,out", out,
                ISyncMgrSynchronize_GetItemObject(handler, &GUID_NULL, &IID_IUnknown, &out));
    discard(out);
    ATTEMPT(session, "SetItemStatus NULL,SKIPPED",
            ISyncMgrSynchronize_SetItemStatus(handler, NULL, SYNCMGRSTATUS_SKIPPED));
    ATTEMPT(session, "SetItemStatus GUID_NULL,STOPPED",
            ISyncMgrSynchronize_SetItemStatus(handler, &GUID_NULL, SYNCMGRSTATUS_STOPPED));
    ATTEMPT(session, "SetItemStatus unknown,SKIPPED",
            ISyncMgrSynchronize_SetItemStatus(handler, &unknown_id, SYNCMGRSTATUS_SKIPPED));
    ATTEMPT(session, "SetItemStatus unknown,77",
            ISyncMgrSynchronize_SetItemStatus(handler, &unknown_id, 77));
    ATTEMPT(session, "SetItemStatus GUID_NULL,0xFFFFFFFF",
            ISyncMgrSynchronize_SetItemStatus(handler, &GUID_NULL, 0xFFFFFFFF));
    ATTEMPT(session, "SetProgressCallback NULL",
            ISyncMgrSynchronize_SetProgressCallback(handler, NULL));
}

/* Calls with a completion, which is awaited if they are accepted. */
static void try_interactions(struct session *session)
{
    static const struct {
        const char *text;
        const GUID *id;
        enum completion_kind kind;
    } attempts[] = {
        {"ShowProperties NULL", NULL, COMPLETION_SHOW_PROPERTIES},
        {"ShowProperties unknown", &unknown_id, COMPLETION_SHOW_PROPERTIES},
        {"ShowError NULL", NULL, COMPLETION_SHOW_ERROR},
        {"ShowError GUID_NULL", &GUID_NULL, COMPLETION_SHOW_ERROR},
        {"ShowError unknown", &unknown_id, COMPLETION_SHOW_ERROR},
    };

    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        struct call call = session_gated_call(session, attempts[i].text);
        enum completion_kind kind = attempts[i].kind;
        HRESULT result;

        session_expect(session, kind);
        if (kind == COMPLETION_SHOW_ERROR)
            result = ISyncMgrSynchronize_ShowError(session->handler, BAD_WINDOW, attempts[i].id);
        else
            result =
                ISyncMgrSynchronize_ShowProperties(session->handler, BAD_WINDOW, attempts[i].id);
        session_accepted(session, kind, result, SUCCEEDED(result));
        session_log_result(session, attempts[i].text, result);
        session_returned(session, call);
        if (SUCCEEDED(result))
            session_wait(session, kind);
    }
}

static void try_uninitialized(struct session *session)
{
    start_group("calls before Initialize");
    if (!fresh(session))
        return;
    try_arguments(session);
    if (lifecycle_set_callback(session) == S_OK) {
        try_interactions(session);
        lifecycle_prepare(session, &unknown_id, 1);
        lifecycle_synchronize(session);
    }
    finish(session);
}

static void try_initialized(struct session *session)
{
    start_group("arguments after Initialize");
    if (!fresh(session))
        return;
    lifecycle_initialize(session);
    try_arguments(session);
    if (lifecycle_set_callback(session) == S_OK)
        try_interactions(session);
    lifecycle_set_callback(session);
    finish(session);
    print_line("main callback refs=%ld", session->callback->references - 1);
}

static void try_initialize(struct session *session)
{
    static const BYTE cookie[] = {1, 2, 3, 4, 5};
    static const struct {
        const char *text;
        DWORD reserved;
        DWORD flags;
        DWORD size;
        const BYTE *cookie;
    } attempts[] = {
        {"Initialize reserved=1", 1, SYNCMGRFLAG_MANUAL, 0, NULL},
        {"Initialize cookie=5,NULL", 0, SYNCMGRFLAG_INVOKE, 5, NULL},
        {"Initialize cookie=0,bytes", 0, SYNCMGRFLAG_INVOKE, 0, cookie},
        {"Initialize cookie=5,bytes without INVOKE", 0, SYNCMGRFLAG_MANUAL, 5, cookie},
        {"Initialize flags=0", 0, 0, 0, NULL},
        {"Initialize flags=0x7F", 0, 0x7F, 0, NULL},
        {"Initialize flags=0xFFFFFFFF", 0, 0xFFFFFFFF, 0, NULL},
    };

    start_group("Initialize");
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        if (!fresh(session))
            return;
        ATTEMPT(session, attempts[i].text,
                ISyncMgrSynchronize_Initialize(session->handler, attempts[i].reserved,
                                               attempts[i].flags, attempts[i].size,
                                               attempts[i].cookie));
        release_handler(session);
    }
    if (!fresh(session))
        return;
    lifecycle_initialize(session);
    lifecycle_initialize(session);
    release_handler(session);
}

static void try_next(struct session *session, ISyncMgrEnumItems *enumerator, const char *text,
                     ULONG count, SYNCMGRITEM *items, bool with_fetched)
{
    struct call call = session_call(session, text);
    ULONG fetched = 0xDEADBEEF;
    HRESULT result;
    struct text line;

    result = ISyncMgrEnumItems_Next(enumerator, count, items, with_fetched ? &fetched : NULL);
    line = session_line(session, text);
    text_add(&line, " -> 0x%08lX", result);
    if (with_fetched && fetched == 0xDEADBEEF)
        text_add(&line, " [fetched=untouched]");
    else if (with_fetched)
        text_add(&line, " [fetched=%lu]", fetched);
    session_log(session, &line);
    session_returned(session, call);
}

static void try_enumerator(struct session *session)
{
    ISyncMgrEnumItems *enumerator = NULL;
    SYNCMGRITEM items[2];
    void *out;

    start_group("enumerator");
    if (!fresh(session))
        return;
    lifecycle_initialize(session);
    ISyncMgrSynchronize_EnumSyncMgrItems(session->handler, &enumerator);
    release_handler(session);
    if (enumerator == NULL)
        return;

    /* The enumerator must work after the release of the handler. */
    try_query_interface(session, (IUnknown *)enumerator);
    try_next(session, enumerator, "Next 0,NULL,NULL", 0, NULL, false);
    try_next(session, enumerator, "Next 0,NULL,fetched", 0, NULL, true);
    try_next(session, enumerator, "Next 0,items,fetched", 0, items, true);
    try_next(session, enumerator, "Next 1,NULL,fetched", 1, NULL, true);
    try_next(session, enumerator, "Next 1,NULL,NULL", 1, NULL, false);
    try_next(session, enumerator, "Next 2,items,NULL", 2, items, false);
    try_next(session, enumerator, "Next 1,items,NULL", 1, items, false);
    ATTEMPT(session, "Clone NULL", ISyncMgrEnumItems_Clone(enumerator, NULL));
    ATTEMPT(session, "Skip 0", ISyncMgrEnumItems_Skip(enumerator, 0));
    ATTEMPT(session, "Skip 0xFFFFFFFF", ISyncMgrEnumItems_Skip(enumerator, 0xFFFFFFFF));
    try_next(session, enumerator, "Next 2,items,fetched", 2, items, true);
    ATTEMPT(session, "Skip 0xFFFFFFFF", ISyncMgrEnumItems_Skip(enumerator, 0xFFFFFFFF));
    ATTEMPT(session, "Reset", ISyncMgrEnumItems_Reset(enumerator));
    try_next(session, enumerator, "Next 2,items,fetched", 2, items, true);
    ATTEMPT_OUT(session, "Clone out", out,
                ISyncMgrEnumItems_Clone(enumerator, (ISyncMgrEnumItems **)&out));
    discard(out);
    ISyncMgrEnumItems_Release(enumerator);
}

/* Prepares a new handler for some ids, and continues if it accepts them. */
static void try_ids(struct session *session, const char *name, const GUID *ids, size_t count)
{
    bool many = count > MAX_REPEATED;
    unsigned before;
    bool prepared;

    start_group(name);
    if (!fresh_ready(session))
        return;
    before = session->progress_count;
    session->quiet = many;
    prepared = lifecycle_prepare(session, ids, count);
    if (prepared)
        lifecycle_synchronize(session);
    session->quiet = false;
    if (many)
        print_line("main prepared=%d completed=%u progress=%u", prepared,
                   session->completions[COMPLETION_SYNCHRONIZE].arrived,
                   session->progress_count - before);
    finish(session);
}

static void try_all_ids(struct session *session)
{
    GUID known = session->items.count > 0 ? session->items.items[0].ItemID : unknown_id;
    GUID few[3] = {GUID_NULL, unknown_id, known};
    GUID same[3] = {known, known, known};
    GUID *many = malloc(MANY_IDS * sizeof *many);

    if (many == NULL)
        abort();
    try_ids(session, "no ids", NULL, 0);
    try_ids(session, "no ids but an array", few, 0);
    try_ids(session, "three ids without an array", NULL, 3);
    try_ids(session, "GUID_NULL", few, 1);
    try_ids(session, "GUID_NULL, an unknown id and a known one", few, 3);
    try_ids(session, "the same id three times", same, 3);
    for (size_t i = 0; i < MANY_IDS; i++) {
        many[i] = unknown_id;
        many[i].Data1 = (unsigned long)i;
    }
    try_ids(session, "20000 unknown ids", many, MANY_IDS);
    many[MANY_IDS / 2] = known;
    try_ids(session, "20000 ids of which one is known", many, MANY_IDS);
    free(many);
}

static HRESULT try_prepare(struct session *session, const char *text, HWND window)
{
    GUID id = session->items.count > 0 ? session->items.items[0].ItemID : unknown_id;
    HRESULT result = ISyncMgrSynchronize_PrepareForSync(session->handler, 1, &id, window, 1);

    session_log_result(session, text, result);
    return result;
}

/*
 * Several calls before the callbacks of the first one: the gate stays closed
 * for all of them.
 */
static void try_while_preparing(struct session *session)
{
    struct call call = session_gated_call(session, "calls while preparing");
    HRESULT prepared;
    HRESULT synchronizing;

    session_expect(session, COMPLETION_PREPARE);
    prepared = try_prepare(session, "PrepareForSync", BAD_WINDOW);
    session_accepted(session, COMPLETION_PREPARE, prepared, prepared == S_OK);
    try_prepare(session, "PrepareForSync while preparing", NULL);
    ATTEMPT(session, "Initialize while preparing",
            ISyncMgrSynchronize_Initialize(session->handler, 0, SYNCMGRFLAG_MANUAL, 0, NULL));
    session_expect(session, COMPLETION_SYNCHRONIZE);
    synchronizing = ISyncMgrSynchronize_Synchronize(session->handler, BAD_WINDOW);
    session_accepted(session, COMPLETION_SYNCHRONIZE, synchronizing, synchronizing == S_OK);
    session_log_result(session, "Synchronize while preparing", synchronizing);
    session_returned(session, call);

    if (prepared == S_OK)
        session_wait(session, COMPLETION_PREPARE);
    if (synchronizing == S_OK)
        session_wait(session, COMPLETION_SYNCHRONIZE);
}

static void try_while_synchronizing(struct session *session)
{
    struct call call = session_gated_call(session, "calls while synchronizing");
    HRESULT synchronizing;

    session_expect(session, COMPLETION_SYNCHRONIZE);
    synchronizing = ISyncMgrSynchronize_Synchronize(session->handler, NULL);
    session_accepted(session, COMPLETION_SYNCHRONIZE, synchronizing, synchronizing == S_OK);
    session_log_result(session, "Synchronize", synchronizing);
    ATTEMPT(session, "Synchronize while synchronizing",
            ISyncMgrSynchronize_Synchronize(session->handler, NULL));
    try_prepare(session, "PrepareForSync while synchronizing", NULL);
    ATTEMPT(session, "SetItemStatus unknown,SKIPPED while synchronizing",
            ISyncMgrSynchronize_SetItemStatus(session->handler, &unknown_id,
                                              SYNCMGRSTATUS_SKIPPED));
    ATTEMPT(session, "SetProgressCallback while synchronizing",
            ISyncMgrSynchronize_SetProgressCallback(session->handler, &session->callback->iface));
    session_returned(session, call);
    if (synchronizing == S_OK)
        session_wait(session, COMPLETION_SYNCHRONIZE);
}

static void try_order(struct session *session)
{
    start_group("PrepareForSync without a callback");
    if (fresh(session)) {
        lifecycle_initialize(session);
        try_prepare(session, "PrepareForSync", NULL);
        finish(session);
    }
    start_group("Synchronize without PrepareForSync");
    if (fresh_ready(session)) {
        lifecycle_synchronize(session);
        finish(session);
    }
    start_group("calls while preparing and synchronizing");
    if (fresh_ready(session)) {
        try_while_preparing(session);
        try_while_synchronizing(session);
        session_pause(session, session->options->settle_ms);
        finish(session);
    }
    start_group("two synchronizations with one instance");
    if (fresh_ready(session)) {
        for (unsigned i = 0; i < 2 && session->items.count > 0; i++) {
            if (lifecycle_prepare(session, &session->items.items[0].ItemID, 1))
                lifecycle_synchronize(session);
        }
        lifecycle_synchronize(session);
        finish(session);
    }
}

int bad_run(const struct options *options)
{
    struct session session;

    session_init(&session, options, &options->clsid, 0);

    /* The handler's rules apply only while the manager follows its own. */
    session.lenient = true;
    lifecycle_enter(&session);
    callback_create(&session);
    try_factory(&session);
    try_identity(&session);
    try_initialize(&session);
    try_uninitialized(&session);
    try_initialized(&session);
    try_enumerator(&session);
    try_order(&session);
    try_all_ids(&session);
    lifecycle_finish_callback(&session);
    ATTEMPT(&session, "DllCanUnloadNow", server_can_unload(&session.clsid));
    lifecycle_leave(&session);
    session_clear(&session);
    return 0;
}
