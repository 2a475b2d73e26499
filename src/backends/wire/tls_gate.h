/* tls_gate.h - no thread is inside OpenSSL while the process forks.
 *
 * OpenSSL has locks of its own, of its random numbers for example, and does not look after them at a fork: a child whose
 * parent held one at that moment would wait for it without end. */
#ifndef WIRE_TLS_GATE_H
#define WIRE_TLS_GATE_H

/* Call this once before the first enter. */
void cache_tls_gate_init(void);

/* Put these around each use of OpenSSL, and never around a wait. They do not nest. */
void cache_tls_gate_enter(void);
void cache_tls_gate_leave(void);

#endif
