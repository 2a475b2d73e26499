/* seal_key.h - the file that holds the keys of sealed values. */
#ifndef SEAL_KEY_H
#define SEAL_KEY_H

#include "codec_format.h"

/* Reads one or two keys from the file: 32 bytes, or one or two lines of 64 hexadecimal digits. Returns CACHE_ERR_IO if
 * it cannot be read, or CACHE_ERR_CONFIG if it has another form. Messages name the file, and show nothing of what is in
 * it. */
cache_status cache_seal_key_read(const char *path, struct cache_codec_format *out);

#endif
