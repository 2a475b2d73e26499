/* codec.h - compression and sealing of values, between the core and a store that others share. */
#ifndef CODEC_H
#define CODEC_H

#include "options.h"

/* Put the codec before the store that was opened: `*ops` and `*self` become the codec's, whose `close` closes the store
 * as well. It is there even if no option asks for it, since another process may have compressed what this one reads.
 * On an error `*ops` and `*self` are as they were. CACHE_ERR_CONFIG: an option asks for what this build lacks, or the
 * key file has another form; CACHE_ERR_IO: the key file cannot be read; CACHE_ERR_NOMEM. */
cache_status cache_codec_add(const struct cache_options *options, const cache_env *env, cache_backend_ops *ops,
                             void **self);

#endif
