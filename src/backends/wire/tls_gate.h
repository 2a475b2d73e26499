/* tls_gate.h - makes sure that no thread is inside OpenSSL while the process forks.
 *
 * OpenSSL has locks, for example of its random numbers, and does not handle forks. If a thread of the parent held one
 * during the fork, the child would wait for it for ever. */
#ifndef WIRE_TLS_GATE_H
#define WIRE_TLS_GATE_H

/* Call this once before the first enter. */
void cache_tls_gate_init(void);

/* Put these around each use of OpenSSL, and never around a wait. They do not nest. */
void cache_tls_gate_enter(void);
void cache_tls_gate_leave(void);

#endif
