/* front.pml - a fill of the front against a change on its way, for spin.
 *
 * The data in the store has a version that only grows. Each change goes to this process as a message, in order; when a
 * message is handled, its version is heard. The connection may be lost, with what was on its way; when there is a new
 * one, everything is dropped. A reader notes the heard version, and must not find an older one in the front's memory.
 * Each step between two semicolons is one that other threads can see as a whole.
 *
 * With -DNO_TICKET a fill keeps what it read whatever changed meanwhile; with -DNO_EPOCH a new connection does not make
 * tickets invalid; with -DNO_WAIT it does not wait for a fill that has compared its ticket; with -DCLEAR_FIRST it clears
 * the memory before it makes tickets invalid; with -DLATE_TICKET a fill takes its ticket behind the read. Each must break
 * the property. */

#define NONE 0

byte truth = 1, heard = 1, memory = NONE, changes = 0, epoch = 0;
bool locked = false, connected = true;
chan wire = [2] of { byte };

inline lock()
{
    atomic { !locked -> locked = true }
}

inline take_ticket()
{
    my_epoch = epoch;
    my_changes = changes
}

proctype fill()
{
    byte my_changes, my_epoch, seen, round = 0;
    bool valid;
    do
    :: round == 2 -> break
    :: else ->
#ifndef LATE_TICKET
        take_ticket();
#endif
        seen = truth;
#ifdef LATE_TICKET
        take_ticket();
#endif
        lock();
#ifdef NO_TICKET
        valid = true;
#else
        valid = (my_changes == changes && my_epoch == epoch);
#endif
        if :: valid -> memory = seen :: else fi;
        locked = false;
        round++
    od
}

proctype writer()
{
    byte round = 0;
    do
    :: round == 2 -> break
    :: else ->
        atomic {
            truth++;
            if :: connected -> wire!truth :: else fi
        };
        round++
    od
}

proctype hearer()
{
    byte version;
end:
    do
    :: wire?version ->
        lock();
        changes++;
        memory = NONE;
        locked = false;
        heard = version
    :: connected && epoch == 0 ->    /* it is lost once */
        atomic {
            connected = false;
            do :: wire?version :: empty(wire) -> break od
        };
        atomic { connected = true; version = truth };    /* what changes from here on is told */
#ifdef CLEAR_FIRST
        memory = NONE;
#endif
#ifdef NO_EPOCH
        lock();
        locked = false;
        memory = NONE;
        heard = version;
        break
#else
        epoch++;
#ifndef NO_WAIT
        lock();
        locked = false;
#endif
#ifndef CLEAR_FIRST
        memory = NONE;
#endif
        heard = version
#endif
    od
}

proctype reader()
{
    byte least, found;
    least = heard;
    found = memory;
    assert(found == NONE || found >= least)
}

init
{
    atomic { run fill(); run fill(); run writer(); run hearer(); run reader() }
}
