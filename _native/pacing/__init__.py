"""What a loop measures of itself, and what it then does.

Which of two ways to do the same work is the cheaper one depends on the machine, the peer and the
load. A loop that guessed would be wrong somewhere, so it measures. What does so is a controller,
and all controllers use these words:

    way        one of two manners to do the same work
    keep       go on in the way that was the cheaper one
    try        go the other way for a while, to learn its cost; this while is a trial
    cost       what a way takes for a byte or a message: CPU time of the thread
    compare    set the cost of the trial against that of the way that is kept
    in vain    what a trial is that does not win its comparison, or ends before it could
    doubt      no longer trust a comparison, since the load may have changed: try again
    distance   how much passes from the end of one trial to the next

A trial in vain costs something. So each one doubles the distance to the next, up to a longest
distance, and a trial that was worth it makes the distance the shortest again (`distance.pxd`). In
the long run a controller then spends in vain at most one trial in each longest distance, and it
finds out about a new load within such a distance.

    Spinning       keeps      sleeping in the kernel until something completes
                   tries      polling the ring for at most 40 us before it sleeps
                   compares   CPU for a completion or 4 KiB, of 64 polls with that of 16 sleeps
                   keeps it   what it tried, for at most 64 comparisons; two lost in a row end it
                              earlier, and so do two polls in a row that find nothing, and a sleep
                              above 100 us
                   doubts     sleeping after 17 to 1,024 short sleeps in a row
                   limits     40 and 100 us come from what a sleep and a wake-up cost on virtual
                              machines

    BulkReading    keeps      reading patiently: a low-water mark, and one read in each turn
                   tries      reading greedily: no mark, and a full socket is read again at once
                   compares   CPU for a byte, of 48 MiB with that of 48 MiB; 5 % less wins
                   keeps it   until it is doubted
                   doubts     the way that is kept after 1 to 16 GiB
                   limits     a trial is 6 % of the bytes of the shortest distance, and 0.4 % of
                              those of the longest

    DatagramFlow   keeps      waking the loop for each datagram
                   tries      joining `Coalescing`: what comes gathers for up to 50 us
                   compares   no CPU: a flood is known to be cheaper so. It counts whether datagrams
                              come as fast as a flood (100 in a millisecond), one way
                   keeps it   until a run of 256 datagrams is no flood, or the loop's sleeps are in
                              vain
                   doubts     that it is no flood after 4 to 4,096 such runs in a row
                   limits     a flow that is none is late once in 1,024 to a million datagrams

    Coalescing     keeps      sleeping until the first completion
                   tries      sleeping for 50 us while flows have joined
                   compares   no CPU: whether each flow brought 4 datagrams and more in that time
                   keeps it   until one flow did not; then every flow has to join again
                   doubts     never: the flows do, each for itself
                   limits     `coalesce_us`, which a program may set

    StreamPace     follows signs, and compares no cost: how a stream receives depends on what comes

Two more stand where what they steer is: `transport/low_water_mark.pyx` tries a raised mark on one
socket, and `transport/pipe_reader.pyx` tries to wait for a pipe's writer.

The head of each module has its states as a table, and tests/unit/pacing checks each row.

Rejected: one class for all of them. They differ in what drives them (sleeps, bytes, datagrams) and
in what ends a trial, which is nearly all that they consist of; what they have in common besides the
words is the distance. Most are told the time by their caller, so that a test can be the
clock.
"""
