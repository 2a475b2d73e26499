/* tls.c - TLS by OpenSSL. Reads and writes are our own, since those of OpenSSL raise SIGPIPE.
 *
 * The server's certificate is verified on every connection, against `ca` or the system's certificates, and for the name
 * or address of the host. No option switches this off: use a self-signed certificate as its own `ca`. */
#include "tls.h"

#include "tls_gate.h"
#include "wait.h"

#include "../../hooks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { MAX_RECORD = 16 * 1024, MAX_SESSIONS = 4, REASON_SIZE = 160 };

struct cache_tls {
    const cache_env *env;
    SSL_CTX *context;
    BIO_METHOD *bio;
    char *server_name;                 /* NULL: the host */
    bool has_certificate;              /* this side has one */
    pthread_mutex_t lock;              /* guards the sessions; never held during a handshake */
    struct { char host[256]; SSL_SESSION *session; } sessions[MAX_SESSIONS];
    unsigned next;                     /* the place for the next new host */
};

/* The TLS part of a connection. Reads of the BIO wait if `wait` is set, for SO_RCVTIMEO at most. */
struct tls_link {
    struct cache_tls *tls;
    SSL *ssl;
    int fd;
    bool wait;
    int wants;                         /* what OpenSSL waits for: POLLIN, POLLOUT or 0 */
    char host[256];
};

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static bool is_for_later(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    const struct tls_link *link = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    const ssize_t n = send(link->fd, data, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && is_for_later(errno))
        BIO_set_retry_write(bio);
    return (int)n;
}

/* A fork must not wait for a server, so the gate is left during a read. OpenSSL holds no lock then. */
static ssize_t receive_outside(int fd, char *out, size_t size)
{
    cache_tls_gate_leave();
    const ssize_t n = recv(fd, out, size, 0);
    const int error = errno;
    cache_tls_gate_enter();
    errno = error;
    return n;
}

static int bio_read(BIO *bio, char *out, int size)
{
    struct tls_link *link = BIO_get_data(bio);
    const bool wait = link->wait;
    BIO_clear_retry_flags(bio);
    link->wait = false;    /* OpenSSL reads on until a record is whole, and each wait could take the whole timeout */
    const ssize_t n = wait ? receive_outside(link->fd, out, (size_t)size)
                           : recv(link->fd, out, (size_t)size, MSG_DONTWAIT);
    if (n < 0 && is_for_later(errno))
        BIO_set_retry_read(bio);
    return (int)n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

/* Writes OpenSSL's text for the oldest error of this thread, and empties its queue of errors. */
static void reason(char out[REASON_SIZE], const char *otherwise)
{
    const unsigned long error = ERR_get_error();
    const char *text = error != 0 ? ERR_reason_error_string(error) : NULL;
    (void)snprintf(out, REASON_SIZE, "%s", text != NULL ? text : otherwise);
    ERR_clear_error();
}

/* If a server wants a certificate, it sends an alert. With TLS 1.3 that comes after the handshake. */
static cache_status failed(const struct cache_wire *wire, const struct tls_link *link, int outcome)
{
    const int error = SSL_get_error(link->ssl, outcome), system_error = errno;
    const long verified = SSL_get_verify_result(link->ssl);
    char text[REASON_SIZE];
    if (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && outcome == 0))
        return cache_fail(CACHE_ERR_CONNECT, "%s: the server closed the connection", wire->where);
    if (verified != X509_V_OK) {
        ERR_clear_error();
        return cache_fail(CACHE_ERR_CONNECT, "%s: TLS: the server's certificate: %s", wire->where,
                          X509_verify_cert_error_string(verified));
    }
    if (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0)
        return cache_wait_fail(CACHE_ERR_CONNECT, wire->where, NULL, system_error);
    reason(text, "failed");
    if (strstr(text, "unexpected eof") != NULL)
        return cache_fail(CACHE_ERR_CONNECT, "%s: the server closed the connection", wire->where);
    const bool wants_certificate = strstr(text, "certificate required") != NULL ||
                                   strstr(text, "bad certificate") != NULL || strstr(text, "unknown ca") != NULL ||
                                   strstr(text, "handshake failure") != NULL;
    return cache_fail(wants_certificate ? CACHE_ERR_AUTH : CACHE_ERR_CONNECT, "%s: TLS: %s%s", wire->where, text,
                      wants_certificate && !link->tls->has_certificate ? " (options 'cert' and 'key')" : "");
}

/* Returns CACHE_OK if the call must be repeated later. link->wants then says what to wait for. */
static cache_status check_outcome(const struct cache_wire *wire, struct tls_link *link, int outcome)
{
    switch (SSL_get_error(link->ssl, outcome)) {
    case SSL_ERROR_WANT_READ:
        link->wants = POLLIN;
        return CACHE_OK;
    case SSL_ERROR_WANT_WRITE:
        link->wants = POLLOUT;
        return CACHE_OK;
    default:
        return failed(wire, link, outcome);
    }
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

/* Called with the lock held. Returns the place of the host's session, or the place that it would take. */
static unsigned place_of(const struct cache_tls *tls, const char *host)
{
    for (unsigned i = 0; i < MAX_SESSIONS; i++)
        if (tls->sessions[i].session != NULL && strcmp(tls->sessions[i].host, host) == 0)
            return i;
    return tls->next % MAX_SESSIONS;
}

/* OpenSSL calls this with a session that may be resumed. With TLS 1.3 it comes with the first bytes after the
 * handshake. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls_link *link = SSL_get_app_data(ssl);
    struct cache_tls *tls = link->tls;
    pthread_mutex_lock(&tls->lock);
    const unsigned place = place_of(tls, link->host);
    SSL_SESSION *old = tls->sessions[place].session;
    if (old == NULL || strcmp(tls->sessions[place].host, link->host) != 0)
        tls->next++;
    (void)snprintf(tls->sessions[place].host, sizeof tls->sessions[place].host, "%s", link->host);
    tls->sessions[place].session = session;
    pthread_mutex_unlock(&tls->lock);
    SSL_SESSION_free(old);
    return 1;    /* we keep the reference */
}

static void resume(struct tls_link *link)
{
    struct cache_tls *tls = link->tls;
    pthread_mutex_lock(&tls->lock);
    const unsigned place = place_of(tls, link->host);
    SSL_SESSION *session = tls->sessions[place].session;
    if (session != NULL && strcmp(tls->sessions[place].host, link->host) == 0)
        (void)SSL_set_session(link->ssl, session);
    pthread_mutex_unlock(&tls->lock);
}

/* ---- one for a store --------------------------------------------------------------------------------------------- */

static cache_status read_files(const struct cache_tls_config *config, SSL_CTX *context)
{
    char text[REASON_SIZE];
    const char *option = NULL, *file = NULL;
    if ((config->cert != NULL) != (config->key != NULL))
        return cache_fail(CACHE_ERR_CONFIG, "%s: options 'cert' and 'key' must be given together", config->scheme);
    if (config->ca != NULL && SSL_CTX_load_verify_locations(context, config->ca, NULL) != 1) {
        option = "ca";
        file = config->ca;
    } else if (config->ca == NULL && SSL_CTX_set_default_verify_paths(context) != 1) {
        option = "ca";
        file = "the system's certificates";
    } else if (config->cert != NULL && SSL_CTX_use_certificate_chain_file(context, config->cert) != 1) {
        option = "cert";
        file = config->cert;
    } else if (config->key != NULL && SSL_CTX_use_PrivateKey_file(context, config->key, SSL_FILETYPE_PEM) != 1) {
        option = "key";
        file = config->key;
    }
    if (option == NULL)
        return CACHE_OK;
    reason(text, "cannot be read");
    return cache_fail(CACHE_ERR_CONFIG, "%s: option '%s': %s: %s", config->scheme, option, file, text);
}

/* Without this, OpenSSL would ask for the password of a key on the terminal. */
static int no_password(char *out, int size, int writing, void *ctx)
{
    (void)out, (void)size, (void)writing, (void)ctx;
    return 0;
}

static cache_status make_context(const struct cache_tls_config *config, struct cache_tls *tls)
{
    (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
    tls->context = SSL_CTX_new(TLS_client_method());
    tls->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "libcache");
    if (tls->context == NULL || tls->bio == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", config->scheme);
    (void)BIO_meth_set_write(tls->bio, bio_write);
    (void)BIO_meth_set_read(tls->bio, bio_read);
    (void)BIO_meth_set_ctrl(tls->bio, bio_control);
    (void)BIO_meth_set_create(tls->bio, bio_create);
    (void)SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(tls->context, no_password);
    (void)SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                             SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls->context, keep_session);
    SSL_CTX_set_read_ahead(tls->context, 1);
    return read_files(config, tls->context);
}

cache_status cache_tls_open(const struct cache_tls_config *config, struct cache_tls **out)
{
    struct cache_tls *tls = cache_env_alloc(config->env, sizeof *tls);
    *out = NULL;
    if (tls == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", config->scheme);
    *tls = (struct cache_tls){ .env = config->env, .has_certificate = config->cert != NULL };
    pthread_mutex_init(&tls->lock, NULL);
    cache_tls_gate_init();
    cache_tls_gate_enter();
    cache_status status = make_context(config, tls);
    cache_tls_gate_leave();
    if (status == CACHE_OK && config->server_name != NULL) {
        tls->server_name = cache_env_strdup(config->env, config->server_name);
        if (tls->server_name == NULL)
            status = cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", config->scheme);
    }
    if (status != CACHE_OK) {
        cache_tls_close(tls);
        return status;
    }
    *out = tls;
    return CACHE_OK;
}

void cache_tls_close(struct cache_tls *tls)
{
    if (tls == NULL)
        return;
    cache_tls_gate_enter();
    for (unsigned i = 0; i < MAX_SESSIONS; i++)
        SSL_SESSION_free(tls->sessions[i].session);
    SSL_CTX_free(tls->context);
    BIO_meth_free(tls->bio);
    cache_tls_gate_leave();
    pthread_mutex_destroy(&tls->lock);
    cache_env_free(tls->env, tls->server_name);
    cache_env_free(tls->env, tls);
}

/* ---- one connection ---------------------------------------------------------------------------------------------- */

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Sets the name or address that the certificate must contain. A name is also sent to the server (SNI). */
static bool set_peer(SSL *ssl, const char *host)
{
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static cache_status make_link(struct cache_tls *tls, struct cache_wire *wire, const char *host)
{
    struct tls_link *link = cache_env_alloc(tls->env, sizeof *link);
    BIO *bio = BIO_new(tls->bio);
    SSL *ssl = SSL_new(tls->context);
    if (link == NULL || bio == NULL || ssl == NULL) {
        cache_env_free(tls->env, link);
        BIO_free(bio);
        SSL_free(ssl);
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", wire->where);
    }
    *link = (struct tls_link){ .tls = tls, .ssl = ssl, .fd = wire->fd };
    (void)snprintf(link->host, sizeof link->host, "%s", host);
    wire->ssl = link;
    BIO_set_data(bio, link);
    SSL_set_bio(ssl, bio, bio);
    (void)SSL_set_app_data(ssl, link);
    resume(link);
    return set_peer(ssl, host) ? CACHE_OK
                               : cache_fail(CACHE_ERR_CONFIG, "%s: TLS: '%.60s' is not a host", wire->where, host);
}

static cache_status shake_hands(struct cache_wire *wire, uint64_t deadline)
{
    struct tls_link *link = wire->ssl;
    for (;;) {
        short ready = 0;
        cache_tls_gate_enter();
        ERR_clear_error();
        const int outcome = SSL_connect(link->ssl);
        const cache_status status = outcome == 1 ? CACHE_OK : check_outcome(wire, link, outcome);
        cache_tls_gate_leave();
        if (outcome == 1 || status != CACHE_OK)
            return status;
        if (cache_now_ns() >= deadline || cache_wait_ready(wire->fd, (short)link->wants, deadline, &ready) != CACHE_OK)
            return cache_fail(CACHE_ERR_TIMEOUT, "%s: TLS: no handshake in time (is this a TLS port?)",
                              wire->where);
    }
}

cache_status cache_tls_begin(struct cache_tls *tls, struct cache_wire *wire, const char *host, uint64_t deadline)
{
    cache_tls_gate_enter();
    const cache_status status = make_link(tls, wire, tls->server_name != NULL ? tls->server_name : host);
    cache_tls_gate_leave();
    return status == CACHE_OK ? shake_hands(wire, deadline) : status;
}

/* Sends nothing to the peer. The connection is marked as shut down, or its session could not be resumed. */
void cache_tls_end(struct cache_wire *wire)
{
    struct tls_link *link = wire->ssl;
    if (link == NULL)
        return;
    cache_tls_gate_enter();
    SSL_set_shutdown(link->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(link->ssl);
    ERR_clear_error();
    cache_tls_gate_leave();
    cache_env_free(link->tls->env, link);
    wire->ssl = NULL;
}

/* Joins small parts into one record, so that a request is one write, as without TLS. */
static size_t join(const struct iovec parts[], int n, char out[MAX_RECORD])
{
    size_t size = 0;
    for (int i = 0; i < n && size < MAX_RECORD; i++) {
        const size_t room = MAX_RECORD - size;
        const size_t part = parts[i].iov_len < room ? parts[i].iov_len : room;
        memcpy(out + size, parts[i].iov_base, part);
        size += part;
    }
    return size;
}

cache_status cache_tls_send_some(struct cache_wire *wire, const struct iovec parts[], int n, size_t *sent)
{
    struct tls_link *link = wire->ssl;
    char room[MAX_RECORD];
    const bool whole = n == 1 || parts[0].iov_len >= MAX_RECORD;
    const char *data = whole ? parts[0].iov_base : room;
    const size_t size = whole ? parts[0].iov_len : join(parts, n, room);
    link->wants = 0;
    cache_tls_gate_enter();
    ERR_clear_error();
    const int outcome = SSL_write_ex(link->ssl, data, size, sent);
    const cache_status status = outcome == 1 ? CACHE_OK : check_outcome(wire, link, outcome);
    cache_tls_gate_leave();
    if (outcome != 1)
        *sent = 0;
    return status;
}

cache_status cache_tls_read_some(struct cache_wire *wire, char *out, size_t capacity, bool wait, size_t *size)
{
    struct tls_link *link = wire->ssl;
    link->wants = 0;
    link->wait = wait;
    cache_tls_gate_enter();
    ERR_clear_error();
    const int outcome = SSL_read_ex(link->ssl, out, capacity, size);
    const cache_status status = outcome == 1 ? CACHE_OK : check_outcome(wire, link, outcome);
    cache_tls_gate_leave();
    link->wait = false;
    if (outcome != 1)
        *size = 0;
    return status;
}

bool cache_tls_has_bytes(const struct cache_wire *wire)
{
    const struct tls_link *link = wire->ssl;
    /* OpenSSL may hold only a part of a record. It then waits for the rest, and poll must wait too. */
    return link != NULL && link->wants != POLLIN && SSL_has_pending(link->ssl) == 1;
}

short cache_tls_events(const struct cache_wire *wire, short otherwise)
{
    const struct tls_link *link = wire->ssl;
    return link != NULL && link->wants != 0 ? (short)link->wants : otherwise;
}
