"""Labels from a language model: a stratified sample of posts, a rubric, and whoever speaks the chat protocol.

sample      which posts: as many of each language, length and route as there are, and no copies
rubric      what is asked, and what counts as an answer
endpoint    one question over HTTP, with retries; what it cost in tokens
budget      what it may cost, and what it has
answers     the answers so far, on disk: nothing is asked twice, and a budget outlives a crash
job         all of it, many questions at once, until done or out of money
"""

from pipelines.labelling.job import LabelOrder, label_posts

__all__ = ["LabelOrder", "label_posts"]
