/* codec.h - compression and sealing of values, between the core and a shared store. */
#ifndef CODEC_H
#define CODEC_H

#include "options.h"

/* Puts the codec before the open store: `*ops` and `*self` become those of the codec, whose `close` closes the store
 * too. This is done even if no option asks for it, since another process may have compressed the values. Returns
 * CACHE_ERR_CONFIG if this build lacks what an option asks for or the key file is malformed, CACHE_ERR_IO if the key
 * file cannot be read, or CACHE_ERR_NOMEM. After an error `*ops` and `*self` are unchanged. */
cache_status cache_codec_add(const struct cache_options *options, const cache_env *env, cache_backend_ops *ops,
                             void **self);

#endif
