/* flight.pml - a fetch against an invalidation in one process, for spin.
 *
 * The data has a version that only grows. A writer makes it grow, and then deletes the key, as cache_delete does; when
 * that has returned, the version is confirmed. A reader notes the confirmed version, fetches as cache_fetch does, and
 * must not get an older one. Each step between two semicolons is one that other threads can see as a whole: what stands
 * in atomic { } is done under the lock of all flights.
 *
 * With -DNO_WAIT a delete does not wait for a store that is under way; with -DSHARE_READ a leader shares what it found in
 * the store when it looked again; with -DNO_MARK a delete does not mark the computation. Each must break the property. */

#define NONE 0
#define FLIGHTS 5

byte truth = 1, confirmed = 1, stored = NONE;
byte table = NONE, n_flights = 0, n_completed = 0;
bool invalidated[FLIGHTS], storing[FLIGHTS], has_outcome[FLIGHTS], again[FLIGHTS];
byte outcome[FLIGHTS];

#define NOBODY_STORES (!storing[1] && !storing[2] && !storing[3] && !storing[4])

inline complete(f, is_again)
{
    atomic {
        if :: table == f -> table = NONE :: else fi;
        if :: !has_outcome[f] -> again[f] = is_again; has_outcome[f] = true :: else fi;
        n_completed++
    }
}

inline share(f, value)
{
    atomic { outcome[f] = value; has_outcome[f] = true }
}

proctype reader()
{
    byte least, seen, mine, completed;
    bool leads, may_store;
    byte rounds = 0;
    least = confirmed;
begin:
    completed = n_completed;
    seen = stored;
    if :: seen != NONE -> goto got :: else fi;
    atomic {
        if
        :: table != NONE -> mine = table; leads = false
        :: table == NONE && n_flights < FLIGHTS - 1 -> n_flights++; mine = n_flights; table = mine; leads = true
        :: else -> goto end    /* the model's flights are used up */
        fi
    }
    if
    :: !leads ->
        has_outcome[mine];    /* wait */
        if
        :: again[mine] && rounds < 2 -> rounds++; goto begin
        :: again[mine] -> goto end
        :: else -> seen = outcome[mine]; goto got
        fi
    :: else
    fi;
    if
    :: n_completed != completed ->
        seen = stored;
        if
        :: seen != NONE ->
#ifdef SHARE_READ
            share(mine, seen);
#endif
            complete(mine, true);
            goto got
        :: else
        fi
    :: else
    fi;
    seen = truth;    /* compute */
    share(mine, seen);
    atomic { NOBODY_STORES -> may_store = !invalidated[mine]; storing[mine] = may_store };
    if
    :: may_store -> stored = seen; atomic { storing[mine] = false }
    :: else
    fi;
    complete(mine, false);
got:
    assert(seen >= least);
end:
    skip
}

proctype writer()
{
    byte round = 0;
    do
    :: round == 2 -> break
    :: else ->
        truth++;
#ifndef NO_MARK
        atomic {
            if :: table != NONE -> invalidated[table] = true; table = NONE :: else fi
        };
#endif
#ifndef NO_WAIT
        NOBODY_STORES;
#endif
        stored = NONE;
        confirmed = truth;
        round++
    od
}

init
{
    atomic { run reader(); run reader(); run reader(); run writer() }
}
