/* results.c - stores the results of get_many in the caller's array. */
#include "results.h"

#include "writer.h"

cache_status cache_results_put(cache_results *results, size_t index, const void *data, size_t size)
{
    cache_writer writer;
    cache_writer_init(&writer, results->allocator);
    cache_status status = cache_writer_append(&writer, data, size);
    if (status == CACHE_OK && index < results->n)
        status = cache_writer_take(&writer, &results->out[index]);
    cache_writer_release(&writer);
    return status;
}

cache_status cache_results_pin(cache_results *results, size_t index, const void *data, size_t size, cache_owner *owner)
{
    if (index < results->n)
        results->out[index] = (cache_value){ data, size, owner };
    else
        owner->ops->release(owner);
    return CACHE_OK;
}
