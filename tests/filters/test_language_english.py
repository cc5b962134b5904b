"""Plain, short, slangy English is not taken for romanised Hindi, and romanised Hindi is still told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.clean_text import clean_strings
from filters.language import Language
from schemas.columns import CLEAN_TEXT

LEAST_RIGHT = 0.9
MOST_HINDI = 0.01  # of English posts

ROMANISED_HINDI = (
    "yaar kal milte hain na, abhi bahut kaam hai",
    "kya kar raha hai tu aajkal",
    "mujhe lagta hai baarish hone wali hai",
    "arre bhai itna gussa kyun ho rahe ho",
    "main ghar pahunch gaya, mummy ko bata dena",
    "aaj office jaane ka bilkul mann nahi hai",
    "tumne khana khaya ya nahi",
    "uski shaadi agle mahine hai, sab log ja rahe hain",
    "paise kab wapas karega bhai, do mahine ho gaye",
    "bahut din ho gaye tumse baat kiye hue",
    "ye gaana sunke bachpan yaad aa gaya",
    "train phir se late hai, kya hi bolun",
    "sach batau toh mujhe wo film pasand nahi aayi",
    "chai peene chaloge kya shaam ko",
    "itni garmi mein bahar kaun jaata hai",
    "mera phone kho gaya kisi ne dekha kya",
    "koi baat nahi, agli baar jeet jaenge",
    "tera number badal gaya kya, call nahi lag raha",
    "hum log subah paanch baje nikal rahe hain",
    "papa ne mana kar diya isliye nahi aa paya",
    "ye sarkar sirf vaade karti hai, kaam kuch nahi hota",
    "kitna acha khela aaj hamari team ne",
    "bas thoda sa time aur do mujhe",
    "dost, zindagi mein sabse zaroori cheez sehat hai",
    "kal raat ko neend hi nahi aayi yaar",
    "usko samjhao koi, wo meri baat nahi sunta",
    "mausam kitna suhana hai aaj, chalo ghoomne chalte hain",
    "sabzi le aana aur doodh bhi khatam ho gaya hai",
    "main toh mazaak kar raha tha, bura mat maan",
    "jaldi aao sab tumhara intezaar kar rahe hain",
)

ENGLISH = (
    "on my way, be there in 10",
    "lol no way she said that",
    "cant talk rn, in a meeting",
    "u up?",
    "what time is dinner tonight",
    "omg i forgot my keys again",
    "happy birthday mate, have a good one",
    "this queue is a joke, been here an hour",
    "k see u later",
    "who else is still awake",
    "running late sorry, start without me",
    "im so done with this week",
    "thx for the lift yesterday",
    "wanna grab a coffee after work?",
    "that ending tho... not ok",
    "pls call me when you get this",
    "my train is delayed AGAIN",
    "good luck for your exam tomorrow x",
    "bruh why is my wifi so slow",
    "did you feed the cat",
    "best pizza in town hands down",
    "i think i left my jacket at yours",
    "ref was blind tonight, clear penalty",
    "no worries, whenever suits you",
    "new phone who dis",
    "gonna be a long night",
    "guess who got the job!!",
    "ok cool, send me the address",
    "haha same here",
    "Anyone selling two tickets for saturday?",
    "you had one job",
    "can u pick up some milk on ur way home",
    "rain all day, love that for us",
    "not gonna lie that was kinda funny",
    "my boss just emailed me at midnight",
    "wat r u doin 2nite",
    "ain't nobody got time for that",
    "still waiting on my refund, 3 weeks now",
    "ur mum says hi",
    "this song slaps",
    "sorry wrong number",
    "Free entry this weekend, doors open at 8",
    "idk what to wear help",
    "he never texts back smh",
    "cheers for that, owe you a pint",
    "shes my bestie since school",
    "5 reasons your plants keep dying",
    "Storm closes schools across the north",
    "any1 know a good dentist?",
    "that's what i'm talking about!!!",
    "jus woke up, wat did i miss",
    "dat was a sick goal",
    "wish i was at the beach right now",
    "hit me up if ur in town",
    "u coming or nah",
    "tbh i miss the old days",
    "shut up and take my money",
    "stuck in traffic, gonna miss the start",
    "feeling much better today thanks for asking",
    "Local bakery wins national award",
)


def tell(texts: pa.Array) -> np.ndarray:
    clean, _ = clean_strings(texts)
    rows = pa.StructArray.from_arrays([clean, pa.array(np.zeros(len(clean), np.bool_))], fields=list(CLEAN_TEXT))
    return np.array(Language()(pa.record_batch({"clean_text": rows})).field("lang").to_pylist())


@pytest.mark.parametrize(("lang", "texts"), [("hi-Latn", ROMANISED_HINDI), ("en", ENGLISH)], ids=["hi-Latn", "en"])
def test_invented_messages_are_told(lang: str, texts: tuple[str, ...]) -> None:
    told = tell(pa.array(texts))
    assert np.mean(told == lang) >= LEAST_RIGHT, [text for text, one in zip(texts, told, strict=True) if one != lang]


@pytest.mark.parametrize(
    "name", ["quality/sms_spam", "quality/clickbait_headlines", "toxicity/davidson", "toxicity/toxigen_annotated"]
)
def test_labelled_english_is_hardly_ever_hindi(real_data: Path, name: str) -> None:
    table = pq.read_table(real_data / "labelled" / f"{name}.train.parquet", columns=["text"])
    told = tell(table["text"].combine_chunks().cast(pa.string()))
    assert np.mean(told == "hi-Latn") < MOST_HINDI
    assert np.mean(told == "en") > 0.97


def test_english_tweets_are_hardly_ever_hindi(real_data: Path) -> None:
    names = json.loads((real_data / "posts" / "ira-language-names.json").read_text(encoding="utf-8"))
    table = pq.read_table(real_data / "posts" / "ira-tweets.parquet", columns=["text", "lang_hint"]).slice(0, 40_000)
    english = [names.get(hint, hint) == "en" for hint in table["lang_hint"].to_pylist()]
    told = tell(table["text"].combine_chunks().cast(pa.string()).filter(pa.array(english)))
    assert np.mean(told == "hi-Latn") < MOST_HINDI
