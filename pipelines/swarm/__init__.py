"""The swarm: what each member is trained on, built day by day from the curated posts.

    days        which days a member's window has, by the data's own clock
    inputs      what each file of posts holds of each day, counted once a file
    candidates  documents with what decides about them and their tokens, boxed by day
    selection   which of a day's documents a member reads
    units       a member's day: chosen, packed into shards of its own, or linked from the version before
    publishing  units become the next version of each member
    planning    the same figures before anything is written
    rota        who is due, who is out, what each has been trained on

A unit depends on the documents of its day and the member's settings alone. So a version is a list of days, a new one
makes only the days that changed, and is to the byte what a rebuild of all of them would be.
"""
