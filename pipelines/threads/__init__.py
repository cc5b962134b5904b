"""Posts become conversations, and conversations documents.

                     turns.py         posts as turns: the text that may be read, what they answer, repost and quote
    posts table ──▶  trees.py         who stands under whom, in what order: one table, one core
                     policy.py        what becomes of rejected and of deleted turns
                     templates.py     `post`, `path`, `tree`: documents of a forest of turns

    posts files ──▶  links.py         a node for each id, at numbered addresses; asking others across addresses
                     labels.py        the conversation of each post, by pointer jumping; cycles; size and time
                     stretches.py     places in the reading order of conversations over the cap
                     conversations.py whole conversations brought together box by box, and written: build_conversations

Both ways write the same documents: a box is given to the same trees and templates as a table. No task holds more than
its share of the links, a box of texts, or a stretch of `max_posts` turns.

A conversation is a tree; what is not there does not hold it together. So documents are a function of the posts that
are known, whatever epochs they came in. While posts still come, one may change: it is closed `quiet_hours` after its
last turn, and a post that comes later than that makes another version of it.
"""
