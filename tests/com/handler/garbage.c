#include "garbage.h"

#include <stdlib.h>
#include <wchar.h>

#define LONG_CHARS 100000
#define ALL_FIELDS                                                    \
    (SYNCMGRPROGRESSITEM_STATUSTEXT | SYNCMGRPROGRESSITEM_STATUSTYPE | \
     SYNCMGRPROGRESSITEM_PROGVALUE | SYNCMGRPROGRESSITEM_MAXVALUE)

static const GUID unlisted = {
    0x0BADBAD0, 0xBAD0, 0x4BAD, {0x8B, 0xAD, 0x0B, 0xAD, 0x0B, 0xAD, 0x0B, 0xAD}};

static SYNCMGRPROGRESSITEM updating(int value, int max)
{
    return (SYNCMGRPROGRESSITEM){
        .cbSize = sizeof(SYNCMGRPROGRESSITEM),
        .mask = SYNCMGRPROGRESSITEM_STATUSTYPE | SYNCMGRPROGRESSITEM_PROGVALUE |
                SYNCMGRPROGRESSITEM_MAXVALUE,
        .dwStatusType = SYNCMGRSTATUS_UPDATING,
        .iProgValue = value,
        .iMaxValue = max,
    };
}

static void report_long_text(ISyncMgrSynchronizeCallback *callback, const GUID *item)
{
    WCHAR *text = malloc((LONG_CHARS + 1) * sizeof *text);
    SYNCMGRPROGRESSITEM progress = updating(1, 2);

    if (text == NULL)
        return;
    wmemset(text, L'x', LONG_CHARS);
    text[LONG_CHARS] = L'\0';
    progress.mask = ALL_FIELDS;
    progress.lpcStatusText = text;
    ISyncMgrSynchronizeCallback_Progress(callback, item, &progress);
    free(text);
}

void report_garbage(ISyncMgrSynchronizeCallback *callback, const GUID *item)
{
    static const WCHAR lone_surrogate[] = {0xD800, L'x', L'\0'};
    SYNCMGRPROGRESSITEM progress;

    ISyncMgrSynchronizeCallback_Progress(callback, item, NULL);

    progress = updating(1, 2);
    progress.mask = 0;
    ISyncMgrSynchronizeCallback_Progress(callback, item, &progress);

    progress = updating(1, 2);
    progress.cbSize = 3;
    ISyncMgrSynchronizeCallback_Progress(callback, item, &progress);

    progress = updating(-5, -10);
    ISyncMgrSynchronizeCallback_Progress(callback, item, &progress);

    progress = updating(20, 10);
    ISyncMgrSynchronizeCallback_Progress(callback, item, &progress);

    progress = updating(1, 2);
    ISyncMgrSynchronizeCallback_Progress(callback, &unlisted, &progress);

    progress = updating(1, 2);
    progress.dwStatusType = 77;
    ISyncMgrSynchronizeCallback_Progress(callback, item, &progress);

    progress = updating(1, 2);
    progress.mask = ALL_FIELDS;
    progress.lpcStatusText = lone_surrogate;
    ISyncMgrSynchronizeCallback_Progress(callback, item, &progress);

    report_long_text(callback, item);
}
