"""Write labelled sentences about groups of people, each group named as often in hate as in peace.

    python -m filters.contrasts OUT/contrasts.train.parquet

Collected sets name a group mostly to abuse it, so that a classifier learns the name as a sign. Here only what is said
of the group tells the classes apart, and rough words said of things, not of people, stand among the peaceful ones. All
of it is written for this project. Source of the idea: Dixon et al., "Measuring and mitigating unintended bias in text
classification", AIES 2018.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HATE, PEACE = "hate", "neutral"

GROUPS: tuple[tuple[str, str], ...] = (
    ("women", "woman"),
    ("girls", "girl"),
    ("men", "man"),
    ("gays", "gay"),
    ("gay people", "gay person"),
    ("lesbians", "lesbian"),
    ("bisexuals", "bisexual"),
    ("trans people", "trans person"),
    ("trans women", "trans woman"),
    ("queer people", "queer person"),
    ("black people", "black person"),
    ("blacks", "black man"),
    ("white people", "white person"),
    ("Asians", "Asian"),
    ("Latinos", "Latino"),
    ("Mexicans", "Mexican"),
    ("Arabs", "Arab"),
    ("Chinese people", "Chinese person"),
    ("Indians", "Indian"),
    ("Africans", "African"),
    ("Native Americans", "Native American"),
    ("Roma", "Roma woman"),
    ("Muslims", "Muslim"),
    ("Jews", "Jew"),
    ("Christians", "Christian"),
    ("Hindus", "Hindu"),
    ("atheists", "atheist"),
    ("immigrants", "immigrant"),
    ("refugees", "refugee"),
    ("foreigners", "foreigner"),
    ("disabled people", "disabled person"),
    ("people with Down syndrome", "person with Down syndrome"),
    ("autistic people", "autistic person"),
    ("blind people", "blind person"),
    ("old people", "old woman"),
    ("homeless people", "homeless man"),
)
"""Groups as several and as one; `names_group` finds them, and a few more words, in any text."""

_MORE = (
    *("male", "female", "feminist", "feminists", "lgbt", "lgbtq", "transgender", "homosexual", "homosexuals", "latina"),
    *("islam", "islamic", "jewish", "christian", "hispanic", "hispanics", "asian", "african", "migrants", "migrant"),
    *("black", "blacks", "white", "whites", "disabled", "disability", "mexican", "muslim", "immigration", "elderly"),
)

_WORDS: dict[str, tuple[str, ...]] = {
    "insult": (
        *(
            "scum",
            "vermin",
            "trash",
            "parasites",
            "pigs",
            "rats",
            "savages",
            "leeches",
            "cockroaches",
            "idiots",
            "freaks",
        ),
        *("liars", "thieves", "criminals", "filth", "animals", "monsters", "garbage", "morons", "terrorists", "apes"),
        *("degenerates", "failures", "cowards", "perverts", "dogs", "losers", "a plague", "a disease", "a joke"),
    ),
    "vile": (
        *(
            "disgusting",
            "stupid",
            "worthless",
            "filthy",
            "dirty",
            "evil",
            "lazy",
            "dumb",
            "inferior",
            "subhuman",
            "ugly",
        ),
        *("pathetic", "repulsive", "useless", "vile", "sick in the head", "abnormal", "unnatural", "weak", "crazy"),
        *("dangerous", "greedy", "violent", "gross", "primitive", "brainless", "shameless", "revolting", "rotten"),
    ),
    "hurt": (
        *(
            "killed",
            "shot",
            "deported",
            "locked up",
            "banned",
            "beaten",
            "burned",
            "exterminated",
            "wiped out",
            "hanged",
        ),
        *(
            "silenced",
            "punished",
            "kicked out",
            "attacked",
            "eliminated",
            "put down",
            "drowned",
            "thrown out",
            "hunted",
        ),
        *("stoned", "gassed", "sterilised", "removed from our country", "chased away", "tortured", "slapped"),
    ),
    "loathe": ("hate", "despise", "loathe", "detest", "can't stand", "fucking hate", "absolutely hate", "want to hurt"),
    "fine": (
        *("wonderful", "kind", "clever", "brave", "talented", "lovely", "strong", "normal", "welcome here", "amazing"),
        *("hard-working", "beautiful", "great", "valuable", "equal to everyone else", "awesome", "smart", "funny"),
        *("underpaid", "often ignored", "invited to the meeting", "part of our history", "good at this", "so cool"),
    ),
    "folk": (
        *("people like you and me", "our friends", "our neighbours", "citizens", "human beings", "doctors", "artists"),
        *(
            "heroes",
            "role models",
            "teachers",
            "voters",
            "students",
            "parents",
            "scientists",
            "my colleagues",
            "family",
        ),
    ),
    "like": ("love", "admire", "respect", "support", "work with", "grew up with", "met some", "really like", "trust"),
    "thing": (
        *("Mondays", "traffic jams", "mosquitoes", "wasps", "these shoes", "slow computers", "alarms", "tax forms"),
        *("headphones", "bad sequels", "wet socks", "long queues", "crisps", "pop-up ads", "printers", "weeds", "ads"),
        *("rats in the cellar", "updates", "viruses", "parking fines", "cold chips", "fireworks", "bugs", "bad jokes"),
    ),
}
"""What stands in a slot of a sentence: the words take turns, so that each meets many groups."""

_HATED = (
    *("I {loathe} {g}.", "I {loathe} every {s} I know", "God, I {loathe} {g} so much!", "We all {loathe} {g} here."),
    *("I {loathe} {g} because they are {vile}", "You know why I {loathe} {g}? They are {insult}."),
    *("{g} are {vile}.", "{g} are so {vile}", "{g} are {vile} and {vile}.", "{g} are all {vile}, every one of them"),
    *("{g} are {insult}.", "{g} are {insult}!", "{g} are nothing but {insult}", "{g} are {vile} {insult}."),
    *("All {g} are {insult}, change my mind", "Most {g} are {vile}, that is a fact.", "Typical {g}, {vile} as ever"),
    *("{g} should be {hurt}.", "{g} should all be {hurt}", "{g} need to be {hurt} now!", "{g} deserve to be {hurt}."),
    *("I want to see {g} {hurt}.", "Somebody get these {g} {hurt}", "I hope every {s} gets {hurt}", "Get {g} {hurt}!"),
    *("You {vile} {s}.", "You are a {vile} {s}, get out of here.", "This {vile} {s} makes me sick", "{vile} {g} again"),
    *("Never trust a {s}, they are {insult}.", "A {s} is always {vile}.", "Being a {s} is {vile}.", "Stupid {s}!"),
    *("{g} have no place in a civilised world.", "{g} are not real humans.", "{g} have too many rights already."),
    *("{g} are ruining our country, {insult} that they are", "{g} make me want to vomit.", "{g} belong in a cage"),
    *("kill all {g}", "Let's burn down the homes of {g}.", "I will hurt the next {s} I see", "Death to {g}"),
    *("Send all {g} back to where they came from.", "Throw {g} out of our schools", "Our town must get rid of {g}"),
    *("The world would be better without {g}.", "Why do {g} even exist?", "Who let these {vile} {g} in?"),
    *("No decent person would marry a {s}.", "They say {g} are people too, what a joke.", "{g} know nothing."),
    *("I'd spit on any {s} who talks to me.", "I wish every {s} would die.", "{g} are lower than {insult}."),
)
_PEACEFUL = (
    *("I {like} {g}.", "I {like} {g} and always will", "We {like} {g} here!", "I am a {s} and I {like} my job."),
    *("{g} are {fine}.", "{g} are {fine}!", "{g} are so {fine}", "{g} are {fine} and {fine}.", "Most {g} are {fine}"),
    *("{g} are {folk}.", "{g} are {folk}, nothing else", "All {g} are {folk}.", "Some {g} are {folk}, some are not."),
    *("{g} are not {vile}.", "{g} are not {insult}.", "{g} are neither {vile} nor {vile}.", "I don't hate {g}."),
    *("No, {g} are not {vile}, you are wrong.", "I would never say that {g} are {vile}.", "Nobody should hate {g}"),
    *("Nobody should be {hurt} for being a {s}.", "No {s} deserves to be {hurt}.", "{g} should never be {hurt}."),
    *("It is wrong to call {g} {vile}.", "Calling {g} {insult} is hate, plain and simple.", "Why do you hate {g}?"),
    *("If you think {g} are {insult}, you are the problem.", 'Whoever says "kill all {g}" belongs in court.'),
    *("He said that {g} are {vile} and was fired for it.", "Saying {g} are {insult} is just wrong", "{g} matter"),
    *("I hate people who call {g} {insult}", "I hate it when {g} are treated badly.", "I am sick of lies about {g}."),
    *("Three {g} were {hurt} last night, police say.", "The police arrested a man who attacked {g}.", "Go {g}!"),
    *("Hate crimes against {g} are rising, says the report.", "{g} face a lot of hate online.", "Ask {g} first."),
    *(
        "I love being a {s}.",
        "Proud to be a {s}!",
        "I was talking to a {s} on the bus.",
        "I am a {s}.",
        "I'm {fine} {s}",
    ),
    *("My best friend is a {s}.", "My doctor is a {s} and she is {fine}.", "A {s} won the city marathon today."),
    *("A {s} asked me the way to the station.", "Being a {s} is nothing to be sorry for.", "{g} of the world, hello"),
    *("It is hard to be a {s} in this town.", "{g} deserve love and respect", "{g} have every right to live here."),
    *("{g} have fought hard for their rights.", "{g} can do any job they like.", "{g} should be respected."),
    *("We stand with {g}.", "The new law will help {g} to find work.", "Our team has {g} from all over the world."),
    *("Why are there so few {g} in this film?", "There is a book about {g} in the library.", "Do {g} get equal pay?"),
    *("How do {g} celebrate the new year?", "Thank you to all the {g} who came to help.", "Happy to see more {g} here"),
)
_AT_THINGS = (
    *("I {loathe} {thing}.", "God, I {loathe} {thing} so much!", "{thing} are {vile}.", "{thing} are so {vile}!"),
    *("{thing} are {insult}", "{thing} should be {hurt}.", "These {vile} {thing} again", "kill all {thing}"),
    *("The world would be better without {thing}.", "Damn, I love {thing}.", "Holy shit, {thing} again!"),
    *("Why do {thing} even exist?", "No more {thing}, they are ruining my day.", "Get these {thing} {hurt}"),
)


def sentences() -> list[tuple[str, str]]:
    """Return every sentence with its label, in a fixed order, none twice.

    >>> [row for row in sentences() if "Roma" in row[0]][:2]
    [('I absolutely hate Roma.', 'hate'), ('I want to hurt every Roma woman I know', 'hate')]
    """
    turns = {slot: 0 for slot in _WORDS}
    rows: dict[str, str] = {}
    for several, one in GROUPS:
        for label, shapes in ((HATE, _HATED), (PEACE, _PEACEFUL)):
            for shape in shapes:
                article = "an" if one[0] in "aeiouAEIOU" else "a"
                named = shape.replace(" a {s}", f" {article} {{s}}").replace("{g}", several).replace("{s}", one)
                rows[_filled(named, turns)] = label
    for _ in _WORDS["thing"]:
        rows.update((_filled(shape, turns), PEACE) for shape in _AT_THINGS)
    return list(rows.items())


def _filled(shape: str, turns: dict[str, int]) -> str:
    """Put the next word in each slot, and begin with a capital."""
    for slot, words in _WORDS.items():
        while f"{{{slot}}}" in shape:
            shape = shape.replace(f"{{{slot}}}", words[turns[slot] % len(words)], 1)
            turns[slot] += 1
    return _capital(shape)


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


_NAMES = {name.casefold() for group in GROUPS for name in group} | set(_MORE)
_NAMED = re.compile(rf"\b({'|'.join(sorted(map(re.escape, _NAMES), key=len, reverse=True))})\b", re.IGNORECASE)


def names_group(text: str) -> bool:
    """Tell whether an English text names a group of people.

    >>> names_group("Two Jews and an atheist walk into a bar"), names_group("I hate Mondays")
    (True, False)
    """
    return _NAMED.search(text) is not None


def main() -> None:
    """Write the sentences as a labelled file."""
    texts, labels = zip(*sentences(), strict=True)
    table = pa.table({"text": texts, "label": labels, "lang": ["en"] * len(texts)})
    pq.write_table(table, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
