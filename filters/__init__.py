"""The stages, in the order they run: pure functions over Arrow. Importing them needs neither Java nor pyspark."""

from filters.ai_text import AiText
from filters.clean_text import CleanText
from filters.contamination import Contamination
from filters.credibility import Credibility
from filters.datatrove import Datatrove
from filters.fasttext import Fasttext
from filters.language import Language
from filters.pii import Pii
from filters.quality import Quality
from filters.sketch import Sketch
from filters.spam import Spam
from filters.toxicity import Toxicity
from filters.verdict import Verdict

RECORD_STAGES = (
    *(CleanText, Language, Quality, Spam, Toxicity, AiText, Credibility, Pii, Sketch),
    *(Contamination, Fasttext, Datatrove),  # say nothing until they are set up
)
"""What each post is told by itself, before anything is compared with another post."""

STAGES = (*RECORD_STAGES, Verdict)

__all__ = ["RECORD_STAGES", "STAGES"]
