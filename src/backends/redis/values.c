/* values.c - passes the values of MGET from the connection's buffer straight to the caller. hiredis alone would create
 * an object and a copy for each value, only for both to be copied and freed. Its parser calls replaceable functions to
 * create its objects; one of them is ours. */
#include "store.h"

#include "results.h"

/* The object that stands for a string of an array. It must not be NULL, which would mean that there is no memory. It is
 * never read. */
static char taken;

static void *make_string(const redisReadTask *task, char *text, size_t size)
{
    struct redis_values *values = task->privdata;
    if (task->parent == NULL || task->type != REDIS_REPLY_STRING)
        return values->others->createString(task, text, size);
    if (task->parent->parent != NULL || (size_t)task->parent->elements != values->n)
        return &taken;    /* not the expected array: the reply is refused once it is complete */
    const cache_status status = cache_results_put(values->out, values->base + (size_t)task->idx, text, size);
    if (values->status == CACHE_OK)
        values->status = status;
    return &taken;
}

void cache_redis_values_begin(struct redis_values *values, redisReader *reader, size_t reply)
{
    values->base = reply * values->keys_a_reply;
    const size_t left = values->keys - values->base;
    values->n = left < values->keys_a_reply ? left : values->keys_a_reply;
    values->others = reader->fn;
    values->functions = *values->others;
    values->functions.createString = make_string;
    reader->fn = &values->functions;
    reader->privdata = values;
}

void cache_redis_values_end(struct redis_values *values, redisReader *reader)
{
    reader->fn = (redisReplyObjectFunctions *)(uintptr_t)values->others;
    reader->privdata = NULL;
}

void cache_redis_values_forget(struct redis_values *values)
{
    for (size_t i = 0; i < values->keys && i < values->out->n; i++) {
        cache_value_release(&values->out->out[i]);
        values->out->out[i] = (cache_value){ 0 };
    }
    values->status = CACHE_OK;
}
