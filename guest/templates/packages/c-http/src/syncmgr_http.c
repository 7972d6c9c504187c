/* For the functions of POSIX. */
#define _POSIX_C_SOURCE 200809L

#include "syncmgr_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The size of reads and writes. */
#define CHUNK ((size_t)64 << 10)

/* The maximum number of redirects of one request. */
#define MAX_REDIRECTS 10

/* The maximum number of bytes of an answer that an error message quotes. */
#define QUOTED_BYTES 200

#define CODE(name) SYNCMGR_PLUGIN_TYPES_ERROR_CODE_##name

typedef syncmgr_plugin_types_error_code_t error_code_t;
typedef syncmgr_plugin_types_item_id_t item_id_t;

/* The names of the errors of `wasi:http` by their tags, and the error codes of the contract. */
static const struct {
    const char *name;
    error_code_t code;
} ERRORS[] = {
#define ERROR(tag, name, code) [WASI_HTTP_TYPES_ERROR_CODE_##tag] = {name, CODE(code)}
    ERROR(DNS_TIMEOUT, "DNS-timeout", TIMEOUT),
    ERROR(DNS_ERROR, "DNS-error", NOT_CONNECTED),
    ERROR(DESTINATION_NOT_FOUND, "destination-not-found", NOT_CONNECTED),
    ERROR(DESTINATION_UNAVAILABLE, "destination-unavailable", NOT_CONNECTED),
    ERROR(DESTINATION_IP_PROHIBITED, "destination-IP-prohibited", ACCESS_DENIED),
    ERROR(DESTINATION_IP_UNROUTABLE, "destination-IP-unroutable", NOT_CONNECTED),
    ERROR(CONNECTION_REFUSED, "connection-refused", NOT_CONNECTED),
    ERROR(CONNECTION_TERMINATED, "connection-terminated", INPUT_OUTPUT),
    ERROR(CONNECTION_TIMEOUT, "connection-timeout", TIMEOUT),
    ERROR(CONNECTION_READ_TIMEOUT, "connection-read-timeout", TIMEOUT),
    ERROR(CONNECTION_WRITE_TIMEOUT, "connection-write-timeout", TIMEOUT),
    ERROR(CONNECTION_LIMIT_REACHED, "connection-limit-reached", BUSY),
    ERROR(TLS_PROTOCOL_ERROR, "TLS-protocol-error", NOT_CONNECTED),
    ERROR(TLS_CERTIFICATE_ERROR, "TLS-certificate-error", NOT_CONNECTED),
    ERROR(TLS_ALERT_RECEIVED, "TLS-alert-received", NOT_CONNECTED),
    ERROR(HTTP_REQUEST_DENIED, "HTTP-request-denied", ACCESS_DENIED),
    ERROR(HTTP_REQUEST_LENGTH_REQUIRED, "HTTP-request-length-required", INVALID_ARGUMENT),
    ERROR(HTTP_REQUEST_BODY_SIZE, "HTTP-request-body-size", INPUT_OUTPUT),
    ERROR(HTTP_REQUEST_METHOD_INVALID, "HTTP-request-method-invalid", INVALID_ARGUMENT),
    ERROR(HTTP_REQUEST_URI_INVALID, "HTTP-request-URI-invalid", INVALID_ARGUMENT),
    ERROR(HTTP_REQUEST_URI_TOO_LONG, "HTTP-request-URI-too-long", INVALID_ARGUMENT),
    ERROR(HTTP_REQUEST_HEADER_SECTION_SIZE, "HTTP-request-header-section-size", INVALID_ARGUMENT),
    ERROR(HTTP_REQUEST_HEADER_SIZE, "HTTP-request-header-size", INVALID_ARGUMENT),
    ERROR(HTTP_REQUEST_TRAILER_SECTION_SIZE, "HTTP-request-trailer-section-size", INPUT_OUTPUT),
    ERROR(HTTP_REQUEST_TRAILER_SIZE, "HTTP-request-trailer-size", INPUT_OUTPUT),
    ERROR(HTTP_RESPONSE_INCOMPLETE, "HTTP-response-incomplete", INPUT_OUTPUT),
    ERROR(HTTP_RESPONSE_HEADER_SECTION_SIZE, "HTTP-response-header-section-size", INPUT_OUTPUT),
    ERROR(HTTP_RESPONSE_HEADER_SIZE, "HTTP-response-header-size", INPUT_OUTPUT),
    ERROR(HTTP_RESPONSE_BODY_SIZE, "HTTP-response-body-size", INPUT_OUTPUT),
    ERROR(HTTP_RESPONSE_TRAILER_SECTION_SIZE, "HTTP-response-trailer-section-size", INPUT_OUTPUT),
    ERROR(HTTP_RESPONSE_TRAILER_SIZE, "HTTP-response-trailer-size", INPUT_OUTPUT),
    ERROR(HTTP_RESPONSE_TRANSFER_CODING, "HTTP-response-transfer-coding", INPUT_OUTPUT),
    ERROR(HTTP_RESPONSE_CONTENT_CODING, "HTTP-response-content-coding", INPUT_OUTPUT),
    ERROR(HTTP_RESPONSE_TIMEOUT, "HTTP-response-timeout", TIMEOUT),
    ERROR(HTTP_UPGRADE_FAILED, "HTTP-upgrade-failed", INPUT_OUTPUT),
    ERROR(HTTP_PROTOCOL_ERROR, "HTTP-protocol-error", INPUT_OUTPUT),
    ERROR(LOOP_DETECTED, "loop-detected", INPUT_OUTPUT),
    ERROR(CONFIGURATION_ERROR, "configuration-error", INPUT_OUTPUT),
    ERROR(INTERNAL_ERROR, "internal-error", INPUT_OUTPUT),
#undef ERROR
};

static const char *const METHODS[] = {
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
};

/* The number of bytes of a URL in messages: without its query, which may be secret. */
static int shown(const char *url)
{
    size_t len = strcspn(url, "?#");
    return len < 256 ? (int)len : 256;
}

/* A message from a server may not be UTF-8, which would terminate the plugin. */
static void make_ascii(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80) {
            *text = '?';
        }
    }
}

static enum http_result fail(struct http_error *error, error_code_t code, const char *what,
                             const char *value, int len)
{
    error->code = code;
    snprintf(error->message, sizeof error->message, "%s `%.*s` is invalid", what, len, value);
    make_ascii(error->message);
    return HTTP_FAILED;
}

/* Fails with an error of `wasi:http`, which is freed. */
static enum http_result fail_http(struct http_error *error, const char *url,
                                  wasi_http_types_error_code_t *reason)
{
    size_t tag = reason->tag;
    const char *name = "unknown error";
    error->code = CODE(INPUT_OUTPUT);
    if (tag < sizeof ERRORS / sizeof *ERRORS) {
        name = ERRORS[tag].name;
        error->code = ERRORS[tag].code;
    }
    int len = snprintf(error->message, sizeof error->message, "%.*s: %s", shown(url), url, name);
    const plugin_option_string_t *details = &reason->val.internal_error;
    if (tag == WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR && details->is_some && len > 0) {
        int most = details->val.len < 200 ? (int)details->val.len : 200;
        snprintf(error->message + len, sizeof error->message - (size_t)len, " (%.*s)", most,
                 (const char *)details->val.ptr);
    }
    make_ascii(error->message);
    wasi_http_types_error_code_free(reason);
    return HTTP_FAILED;
}

static enum http_result out_of_memory(struct http_error *error)
{
    error->code = CODE(OUT_OF_MEMORY);
    strcpy(error->message, "out of memory");
    return HTTP_FAILED;
}

static bool is_cancelled(const item_id_t *item)
{
    return syncmgr_plugin_synchronize_callback_is_cancelled((item_id_t *)item);
}

/* Waits. Returns `false` once the user cancelled. */
static bool wait_for(wasi_io_poll_own_pollable_t ready, const item_id_t *item)
{
    wasi_io_poll_own_pollable_t cancelled =
        syncmgr_plugin_synchronize_callback_subscribe_cancelled((item_id_t *)item);
    wasi_io_poll_borrow_pollable_t both[] = {
        wasi_io_poll_borrow_pollable(ready),
        wasi_io_poll_borrow_pollable(cancelled),
    };
    wasi_io_poll_list_borrow_pollable_t list = {.ptr = both, .len = 2};
    plugin_list_u32_t which;
    wasi_io_poll_poll(&list, &which);
    plugin_list_u32_free(&which);
    wasi_io_poll_pollable_drop_own(cancelled);
    return !is_cancelled(item);
}

/* The parts of a URL. */
struct parts {
    const char *scheme;
    int scheme_len;
    const char *authority;
    int authority_len;
    /* With the query. */
    const char *path;
    int path_len;
};

static bool split(const char *url, struct parts *parts)
{
    const char *end = strstr(url, "://");
    if (end == NULL) {
        return false;
    }
    parts->scheme = url;
    parts->scheme_len = (int)(end - url);
    parts->authority = end + 3;
    parts->authority_len = (int)strcspn(parts->authority, "/?#");
    parts->path = parts->authority + parts->authority_len;
    parts->path_len = (int)strcspn(parts->path, "#");
    return true;
}

static bool is_scheme(const struct parts *parts, const char *name)
{
    return (size_t)parts->scheme_len == strlen(name) &&
           strncasecmp(parts->scheme, name, strlen(name)) == 0;
}

static plugin_string_t borrow(const char *text, int len)
{
    return (plugin_string_t){.ptr = (uint8_t *)text, .len = (size_t)len};
}

static plugin_string_t borrow_all(const char *text)
{
    return (plugin_string_t){.ptr = (uint8_t *)text, .len = strlen(text)};
}

static bool set_url(wasi_http_types_borrow_outgoing_request_t outgoing, const struct parts *parts)
{
    wasi_http_types_scheme_t scheme = {.tag = WASI_HTTP_TYPES_SCHEME_OTHER};
    if (is_scheme(parts, "https")) {
        scheme.tag = WASI_HTTP_TYPES_SCHEME_HTTPS;
    } else if (is_scheme(parts, "http")) {
        scheme.tag = WASI_HTTP_TYPES_SCHEME_HTTP;
    } else {
        scheme.val.other = borrow(parts->scheme, parts->scheme_len);
    }
    plugin_string_t authority = borrow(parts->authority, parts->authority_len);
    plugin_string_t path = borrow(parts->path, parts->path_len);
    return wasi_http_types_method_outgoing_request_set_scheme(outgoing, &scheme) &&
           wasi_http_types_method_outgoing_request_set_authority(outgoing, &authority) &&
           wasi_http_types_method_outgoing_request_set_path_with_query(outgoing, &path);
}

static bool set_method(wasi_http_types_borrow_outgoing_request_t outgoing, const char *name)
{
    wasi_http_types_method_t method = {.tag = WASI_HTTP_TYPES_METHOD_OTHER};
    method.val.other = borrow_all(name);
    for (uint8_t tag = 0; tag < sizeof METHODS / sizeof *METHODS; tag++) {
        if (strcmp(name, METHODS[tag]) == 0) {
            method.tag = tag;
        }
    }
    return wasi_http_types_method_outgoing_request_set_method(outgoing, &method);
}

/* Creates the request of `wasi:http`. */
static enum http_result create(const struct http_request *request, const char *url,
                               wasi_http_types_own_outgoing_request_t *outgoing,
                               struct http_error *error)
{
    struct parts parts;
    if (!split(url, &parts)) {
        error->code = CODE(INVALID_ARGUMENT);
        snprintf(error->message, sizeof error->message,
                 "`%.*s` is not a URL that begins with `https://`", shown(url), url);
        make_ascii(error->message);
        return HTTP_FAILED;
    }
    wasi_http_types_own_fields_t fields = wasi_http_types_constructor_fields();
    wasi_http_types_borrow_fields_t borrowed = wasi_http_types_borrow_fields(fields);
    wasi_http_types_header_error_t refused;
    for (size_t i = 0; i < request->header_count; i++) {
        plugin_string_t name = borrow_all(request->headers[i].name);
        plugin_string_t text = borrow_all(request->headers[i].value);
        wasi_http_types_field_value_t value = {.ptr = text.ptr, .len = text.len};
        if (!wasi_http_types_method_fields_append(borrowed, &name, &value, &refused)) {
            wasi_http_types_fields_drop_own(fields);
            return fail(error, CODE(INVALID_ARGUMENT), "the header", request->headers[i].name, 100);
        }
    }
    if (request->read != NULL) {
        char digits[24];
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)request->length);
        plugin_string_t name = borrow_all("content-length");
        wasi_http_types_field_value_t value = {.ptr = (uint8_t *)digits, .len = strlen(digits)};
        wasi_http_types_list_field_value_t values = {.ptr = &value, .len = 1};
        if (!wasi_http_types_method_fields_set(borrowed, &name, &values, &refused)) {
            wasi_http_types_fields_drop_own(fields);
            return fail(error, CODE(INVALID_ARGUMENT), "the header", "content-length", 100);
        }
    }
    *outgoing = wasi_http_types_constructor_outgoing_request(fields);
    wasi_http_types_borrow_outgoing_request_t self =
        wasi_http_types_borrow_outgoing_request(*outgoing);
    enum http_result result = HTTP_OK;
    if (!set_method(self, request->method)) {
        result = fail(error, CODE(INVALID_ARGUMENT), "the method", request->method, 100);
    } else if (!set_url(self, &parts)) {
        result = fail(error, CODE(INVALID_ARGUMENT), "the URL", url, shown(url));
    }
    if (result != HTTP_OK) {
        wasi_http_types_outgoing_request_drop_own(*outgoing);
    }
    return result;
}

/* Releases what the error of a stream contains. The reason is in the response. */
static bool closed(wasi_io_streams_stream_error_t *error)
{
    wasi_io_streams_stream_error_free(error);
    return false;
}

/* Writes bytes. Returns in `open` whether the host takes them. */
static enum http_result write_bytes(wasi_io_streams_borrow_output_stream_t stream,
                                    wasi_io_poll_own_pollable_t ready, uint8_t *bytes, size_t len,
                                    const item_id_t *item, bool *open)
{
    wasi_io_streams_stream_error_t refused;
    while (len > 0) {
        uint64_t room;
        if (!wasi_io_streams_method_output_stream_check_write(stream, &room, &refused)) {
            *open = closed(&refused);
            return HTTP_OK;
        }
        if (room == 0) {
            if (!wait_for(ready, item)) {
                return HTTP_CANCELLED;
            }
            continue;
        }
        plugin_list_u8_t part = {.ptr = bytes, .len = room < len ? (size_t)room : len};
        if (!wasi_io_streams_method_output_stream_write(stream, &part, &refused)) {
            *open = closed(&refused);
            return HTTP_OK;
        }
        bytes += part.len;
        len -= part.len;
    }
    return HTTP_OK;
}

/* Writes the body. Returns in `open` whether the host takes all of it. */
static enum http_result write_body(const struct http_request *request,
                                   wasi_http_types_own_outgoing_body_t body, bool *open,
                                   struct http_error *error)
{
    wasi_io_streams_own_output_stream_t own;
    *open = wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body),
                                                       &own);
    if (!*open) {
        return HTTP_OK;
    }
    wasi_io_streams_borrow_output_stream_t stream = wasi_io_streams_borrow_output_stream(own);
    wasi_io_poll_own_pollable_t ready = wasi_io_streams_method_output_stream_subscribe(stream);
    uint8_t *buffer = malloc(CHUNK);
    enum http_result result = buffer != NULL ? HTTP_OK : out_of_memory(error);
    uint64_t left = request->length;
    while (result == HTTP_OK && *open && left > 0) {
        size_t most = left < CHUNK ? (size_t)left : CHUNK;
        ptrdiff_t read = request->read(request->context, buffer, most);
        if (read > 0) {
            result = write_bytes(stream, ready, buffer, (size_t)read, request->item, open);
            left -= (uint64_t)read;
        } else if (read == HTTP_READ_CANCELLED) {
            result = HTTP_CANCELLED;
        } else {
            error->code = CODE(INPUT_OUTPUT);
            snprintf(error->message, sizeof error->message,
                     read == 0 ? "the body ended %llu bytes early"
                               : "the body cannot be read; %llu bytes are left",
                     (unsigned long long)left);
            result = HTTP_FAILED;
        }
    }
    free(buffer);
    wasi_io_streams_stream_error_t refused;
    if (result == HTTP_OK && *open &&
        !wasi_io_streams_method_output_stream_flush(stream, &refused)) {
        *open = closed(&refused);
    }
    wasi_io_poll_pollable_drop_own(ready);
    wasi_io_streams_output_stream_drop_own(own);
    return result;
}

/* Waits for the head of the response. */
static enum http_result await(wasi_http_types_own_future_incoming_response_t future,
                              const char *url, const item_id_t *item,
                              wasi_http_types_own_incoming_response_t *incoming,
                              struct http_error *error)
{
    wasi_http_types_borrow_future_incoming_response_t self =
        wasi_http_types_borrow_future_incoming_response(future);
    wasi_io_poll_own_pollable_t ready =
        wasi_http_types_method_future_incoming_response_subscribe(self);
    wasi_http_types_result_result_own_incoming_response_error_code_void_t answer;
    bool waiting = true;
    while (waiting && !wasi_http_types_method_future_incoming_response_get(self, &answer)) {
        waiting = wait_for(ready, item);
    }
    wasi_io_poll_pollable_drop_own(ready);
    if (!waiting) {
        return HTTP_CANCELLED;
    }
    if (!answer.is_err && !answer.val.ok.is_err) {
        *incoming = answer.val.ok.val.ok;
        return HTTP_OK;
    }
    /* The outer error is for a second `get` only. */
    wasi_http_types_error_code_t reason = {.tag = WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR};
    if (!answer.is_err) {
        reason = answer.val.ok.val.err;
    }
    if (is_cancelled(item)) {
        wasi_http_types_error_code_free(&reason);
        return HTTP_CANCELLED;
    }
    return fail_http(error, url, &reason);
}

/* Takes the parts of a response, which is released. */
static enum http_result take(wasi_http_types_own_incoming_response_t incoming,
                             struct http_response *response, struct http_error *error)
{
    wasi_http_types_borrow_incoming_response_t self =
        wasi_http_types_borrow_incoming_response(incoming);
    response->status = wasi_http_types_method_incoming_response_status(self);
    wasi_http_types_own_fields_t fields = wasi_http_types_method_incoming_response_headers(self);
    wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(fields),
                                          &response->headers);
    wasi_http_types_fields_drop_own(fields);
    bool has_body = wasi_http_types_method_incoming_response_consume(self, &response->body);
    wasi_http_types_incoming_response_drop_own(incoming);
    if (has_body &&
        wasi_http_types_method_incoming_body_stream(
            wasi_http_types_borrow_incoming_body(response->body), &response->stream)) {
        return HTTP_OK;
    }
    /* Only a second call fails. */
    wasi_http_types_list_tuple2_field_name_field_value_free(&response->headers);
    error->code = CODE(INPUT_OUTPUT);
    strcpy(error->message, "the answer has no body");
    return HTTP_FAILED;
}

/* Sends a request to a URL without following redirects. */
static enum http_result send_to(const struct http_request *request, const char *url,
                                struct http_response *response, struct http_error *error)
{
    wasi_http_types_own_outgoing_request_t outgoing;
    enum http_result result = create(request, url, &outgoing, error);
    if (result != HTTP_OK) {
        return result;
    }
    wasi_http_types_own_outgoing_body_t body;
    /* It fails only if it is called twice. */
    bool has_body = request->read != NULL &&
                    wasi_http_types_method_outgoing_request_body(
                        wasi_http_types_borrow_outgoing_request(outgoing), &body);
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_error_code_t reason;
    /* Started before the body is written: the host buffers little of it. */
    if (!wasi_http_outgoing_handler_handle(outgoing, NULL, &future, &reason)) {
        if (has_body) {
            wasi_http_types_outgoing_body_drop_own(body);
        }
        return fail_http(error, url, &reason);
    }
    if (has_body) {
        bool open = true;
        result = write_body(request, body, &open, error);
        if (result != HTTP_OK || !open) {
            wasi_http_types_outgoing_body_drop_own(body);
        } else if (!wasi_http_types_static_outgoing_body_finish(body, NULL, &reason)) {
            wasi_io_poll_own_pollable_t ready =
                wasi_http_types_method_future_incoming_response_subscribe(
                    wasi_http_types_borrow_future_incoming_response(future));
            if (wasi_io_poll_method_pollable_ready(wasi_io_poll_borrow_pollable(ready))) {
                wasi_http_types_error_code_free(&reason);
            } else {
                result = fail_http(error, url, &reason);
            }
            wasi_io_poll_pollable_drop_own(ready);
        }
    }
    wasi_http_types_own_incoming_response_t incoming;
    if (result == HTTP_OK) {
        result = await(future, url, request->item, &incoming, error);
    }
    wasi_http_types_future_incoming_response_drop_own(future);
    return result == HTTP_OK ? take(incoming, response, error) : result;
}

/* Returns the target of a redirect, from `malloc`. */
static enum http_result join(const char *from, const char *location, char **to,
                             struct http_error *error)
{
    struct parts parts;
    /* It was split before. */
    (void)split(from, &parts);
    int folder_len = 0;
    for (int i = 0; i < parts.path_len && parts.path[i] != '?'; i++) {
        if (parts.path[i] == '/') {
            folder_len = i + 1;
        }
    }
    size_t size = strlen(from) + strlen(location) + 2;
    char *target = malloc(size);
    if (target == NULL) {
        return out_of_memory(error);
    }
    if (strstr(location, "://") != NULL) {
        snprintf(target, size, "%s", location);
    } else if (strncmp(location, "//", 2) == 0) {
        snprintf(target, size, "%.*s:%s", parts.scheme_len, parts.scheme, location);
    } else {
        const char *between = location[0] != '/' && folder_len == 0 ? "/" : "";
        int origin_len = (int)(parts.path - from);
        snprintf(target, size, "%.*s%.*s%s%s", origin_len, from,
                 location[0] == '/' ? 0 : folder_len, parts.path, between, location);
    }
    struct parts target_parts;
    if (is_scheme(&parts, "https") &&
        (!split(target, &target_parts) || !is_scheme(&target_parts, "https"))) {
        error->code = CODE(ACCESS_DENIED);
        snprintf(error->message, sizeof error->message,
                 "%.*s redirects to %.*s, which is not encrypted", shown(from), from,
                 shown(target), target);
        make_ascii(error->message);
        free(target);
        return HTTP_FAILED;
    }
    *to = target;
    return HTTP_OK;
}

static bool is_redirect(uint16_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

enum http_result http_send(const struct http_request *request, struct http_response *response,
                           struct http_error *error)
{
    char *url = strdup(request->url);
    if (url == NULL) {
        return out_of_memory(error);
    }
    bool follows = request->read == NULL && (strcmp(request->method, "GET") == 0 ||
                                             strcmp(request->method, "HEAD") == 0);
    for (int redirects = 0;; redirects++) {
        enum http_result result = send_to(request, url, response, error);
        if (result != HTTP_OK) {
            free(url);
            return result;
        }
        response->url = url;
        response->has_item = request->item != NULL;
        response->item = response->has_item ? *request->item : (item_id_t){0};
        char location[4096];
        if (!follows || !is_redirect(response->status) ||
            !http_header(response, "location", location, sizeof location)) {
            return HTTP_OK;
        }
        if (redirects == MAX_REDIRECTS) {
            error->code = CODE(INPUT_OUTPUT);
            snprintf(error->message, sizeof error->message, "%.*s exceeded %d redirects",
                     shown(url), url, MAX_REDIRECTS);
            make_ascii(error->message);
            http_close(response);
            return HTTP_FAILED;
        }
        char *to;
        result = join(url, location, &to, error);
        http_close(response);
        if (result != HTTP_OK) {
            return result;
        }
        url = to;
    }
}

enum http_result http_get(const char *url, const item_id_t *item, struct http_response *response,
                          struct http_error *error)
{
    struct http_request request = {.method = "GET", .url = url, .item = item};
    return http_send(&request, response, error);
}

enum http_result http_put(const char *url, const item_id_t *item,
                          ptrdiff_t (*read)(void *context, uint8_t *buffer, size_t len),
                          void *context, uint64_t length, struct http_response *response,
                          struct http_error *error)
{
    struct http_request request = {
        .method = "PUT",
        .url = url,
        .item = item,
        .read = read,
        .context = context,
        .length = length,
    };
    return http_send(&request, response, error);
}

bool http_header(const struct http_response *response, const char *name, char *buffer, size_t len)
{
    for (size_t i = 0; i < response->headers.len; i++) {
        const plugin_string_t *known = &response->headers.ptr[i].f0;
        const wasi_http_types_field_value_t *value = &response->headers.ptr[i].f1;
        if (known->len == strlen(name) &&
            strncasecmp((const char *)known->ptr, name, known->len) == 0) {
            if (value->len >= len || memchr(value->ptr, 0, value->len) != NULL) {
                return false;
            }
            memcpy(buffer, value->ptr, value->len);
            buffer[value->len] = '\0';
            return true;
        }
    }
    return false;
}

bool http_content_length(const struct http_response *response, uint64_t *length)
{
    char digits[24];
    if (!http_header(response, "content-length", digits, sizeof digits) ||
        strspn(digits, "0123456789") != strlen(digits) || digits[0] == '\0') {
        return false;
    }
    *length = strtoull(digits, NULL, 10);
    return true;
}

static error_code_t status_code(uint16_t status)
{
    switch (status) {
    case 401:
    case 403:
        return CODE(ACCESS_DENIED);
    case 404:
    case 410:
        return CODE(NOT_FOUND);
    case 408:
    case 504:
        return CODE(TIMEOUT);
    case 409:
    case 412:
        return CODE(ALREADY_EXISTS);
    case 423:
    case 429:
    case 503:
        return CODE(BUSY);
    case 507:
        return CODE(NO_SPACE);
    default:
        return CODE(FAILED);
    }
}

enum http_result http_check_status(struct http_response *response, struct http_error *error)
{
    if (response->status >= 200 && response->status <= 299) {
        return HTTP_OK;
    }
    uint8_t quoted[QUOTED_BYTES];
    size_t len = 0;
    size_t more = 1;
    while (more > 0 && len < sizeof quoted) {
        size_t most = sizeof quoted - len;
        enum http_result result = http_read(response, quoted + len, most, &more, error);
        if (result == HTTP_CANCELLED) {
            return result;
        }
        if (result != HTTP_OK) {
            break; /* The status is the error, whatever happens to the body. */
        }
        len += more;
    }
    error->code = status_code(response->status);
    snprintf(error->message, sizeof error->message, "%.*s answered %d%s%.*s", shown(response->url),
             response->url, response->status, len > 0 ? ": " : "", (int)len, (const char *)quoted);
    make_ascii(error->message);
    return HTTP_FAILED;
}

enum http_result http_read(struct http_response *response, uint8_t *buffer, size_t len,
                           size_t *read, struct http_error *error)
{
    const item_id_t *item = response->has_item ? &response->item : NULL;
    wasi_io_streams_borrow_input_stream_t stream =
        wasi_io_streams_borrow_input_stream(response->stream);
    *read = 0;
    while (len > 0) {
        plugin_list_u8_t bytes;
        wasi_io_streams_stream_error_t failed;
        if (!wasi_io_streams_method_input_stream_read(stream, len < CHUNK ? len : CHUNK, &bytes,
                                                      &failed)) {
            if (failed.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED) {
                return HTTP_OK;
            }
            wasi_http_types_error_code_t reason;
            if (!wasi_http_types_http_error_code(
                    wasi_io_error_borrow_error(failed.val.last_operation_failed), &reason)) {
                reason.tag = WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_INCOMPLETE;
            }
            wasi_io_streams_stream_error_free(&failed);
            if (is_cancelled(item)) {
                wasi_http_types_error_code_free(&reason);
                return HTTP_CANCELLED;
            }
            return fail_http(error, response->url, &reason);
        }
        if (bytes.len > 0) {
            memcpy(buffer, bytes.ptr, bytes.len);
            *read = bytes.len;
            plugin_list_u8_free(&bytes);
            return HTTP_OK;
        }
        plugin_list_u8_free(&bytes);
        wasi_io_poll_own_pollable_t ready = wasi_io_streams_method_input_stream_subscribe(stream);
        bool waited = wait_for(ready, item);
        wasi_io_poll_pollable_drop_own(ready);
        if (!waited) {
            return HTTP_CANCELLED;
        }
    }
    return HTTP_OK;
}

void http_close(struct http_response *response)
{
    /* WASI requires this order. */
    wasi_io_streams_input_stream_drop_own(response->stream);
    wasi_http_types_incoming_body_drop_own(response->body);
    wasi_http_types_list_tuple2_field_name_field_value_free(&response->headers);
    free(response->url);
    response->url = NULL;
}
