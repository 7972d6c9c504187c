/* Downloads files from a server, and uploads files to it. */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "syncmgr_http.h"

/* The number of bytes of a file between two reports. */
#define TRANSFER_CHUNK_BYTES ((uint64_t)1 << 20)

struct transfer {
    /* The URL of the server; NULL: it is not granted. */
    const char *server;
    /* The path of the folder with the files. */
    const char *folder;
    /* The names of the files, separated by spaces; NULL: none. */
    const char *downloads;
    const char *uploads;
    /* The item whose cancellation ends the transfer. */
    const syncmgr_plugin_types_item_id_t *item;
    /* Passed to `report`. */
    void *context;
    /*
     * Called before a file is transferred, and after each chunk. `total` is the number of bytes of
     * the file; 0: unknown. Returns whether to go on.
     */
    bool (*report)(void *context, const char *name, uint64_t done, uint64_t total);
    /* The numbers of files that were transferred. */
    unsigned downloaded;
    unsigned uploaded;
};

/* Transfers the files. The first failure ends it. */
enum http_result transfer_files(struct transfer *transfer, struct http_error *error);

#endif
