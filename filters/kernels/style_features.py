"""What is counted of a post's style, by name: kinds of words, endings, marks, and the shape of the whole."""

from __future__ import annotations

LEXICON = {
    "function_words": "the a an and or but if of to in on at by for with from as is are was were be been being am have "
    "has had do does did will would can could should may might must shall not no so that this these those it its he "
    "she they them his her their our your my me we us you i who what which when where why how than then there here up "
    "out about into over after all any some more most other such only own same too very just",
    "first_person": "i me my mine im ive myself i'm i've i'd i'll",
    "second_person": "you your yours u ur you're you've you'll",
    "slang": "lol lmao u ur gonna wanna gotta im dont cant thats yall ya omg wtf tho cuz cause bc rt lil nah yeah yea "
    "yep haha hahaha smh idk tbh af ppl pls plz thx ok okay n r b kinda sorta dunno didnt doesnt wont isnt ive whats "
    "hes shes theyre ain't aint bro dude",
    "the": "the",
    "and": "and",
    "prepositions": "of in to for",
    "be_forms": "is are was were be been",
}
"""Kinds of words that are counted, a bit each in a word's flags, in the order of `PER_WORD`."""

PUNCTUATION = {
    "comma": ",",
    "period": ".",
    "exclamation": "!",
    "question": "?",
    "colon": ":",
    "semicolon": ";",
    "dash": "-–—",
    "bracket": "()",
    "ellipsis": "…",
    "apostrophe": "'’‘",
    "slash": "/",
    "ampersand": "&",
    "percent": "%",
    "dollar": "$",
    "odd": "*_~^|=<>[]{}\\",
}
ENDINGS = ("ing", "ly", "abstract", "ed")
PER_WORD = (
    *LEXICON,
    *ENDINGS,
    *PUNCTUATION,
    *("long_words", "contractions", "capital_words", "shouted_words", "small_i", "repeated_words", "repeated_pairs"),
    *("dots", "doubled_marks", "curly", "space_before", "no_space_after"),
)
"""Counts divided by the number of words."""
SHAPE = (
    *("log_chars", "log_words", "word_chars_mean", "word_chars_sd", "distinct_words", "distinct_adjusted"),
    *("digits", "capitals", "longest_run", "starts_capital"),
    *("ends_period", "ends_exclamation", "ends_question", "ends_ellipsis"),
    *("log_sentences", "sentence_mean", "sentence_sd", "sentence_spread", "capital_sentences"),
)
MARKS = ("links", "mentions", "hashtags", "emoji", "starts_mention", "ends_link", "ends_mention", "ends_hashtag")
STYLE_FEATURES = (*PER_WORD, *SHAPE, *MARKS)
