"""Systems that know nothing, to keep everybody honest: the title itself, one answer for all, the nearest training text."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from ftlib.evaluation.words import unicode_words
from ftlib.formatting.task import Record, Task

NAMES = ("echo", "constant", "nearest")
VERSION = 2  # of these rules: raised when an answer changes
BY_CONSTRUCTION = (
    "The trivial systems are flagged by construction and not by a finding: echo repeats the title, constant says one thing to all, "
    "nearest copies a training text."
)
Vector = dict[str, float]


def answer_trivially(name: str, task: Task, test: Sequence[Record], train: Sequence[Record]) -> list[str]:
    """A trivial system's answer to each test record.

    ``echo`` gives the question's text back; ``constant`` the most typical expected answer of the training rows;
    ``nearest`` the expected answer of the training row whose question is most like this one.
    """
    questions = [task.prompt(record).input for record in test]
    if name == "echo":
        return questions
    expected = [task.expected(record) for record in train]
    if name == "constant":
        return [most_typical(expected)] * len(test)
    index = Index([task.prompt(record).input for record in train])
    return [expected[index.nearest(question)] for question in questions]


def most_typical(texts: Sequence[str]) -> str:
    """The text nearest to all others: the highest TF-IDF cosine to the mean vector, the first of equals.

    Only texts of a middling length (between the quartiles) are taken: a very long one shares words with everything.
    """
    index = Index(texts)
    mean: dict[str, float] = defaultdict(float)
    for vector in index.vectors:
        for word, weight in vector.items():
            mean[word] += weight
    scores = [sum(weight * mean[word] for word, weight in vector.items()) for vector in index.vectors]
    lengths = sorted(map(len, texts))
    low, high = lengths[len(texts) // 4], lengths[(3 * len(texts)) // 4]
    return texts[max((row for row in range(len(texts)) if low <= len(texts[row]) <= high), key=scores.__getitem__)]


class Index:
    """Texts by TF-IDF: weight (1 + ln tf) x (1 + ln((1 + n) / (1 + df))), vectors of length 1, cosine similarity."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(unicode_words(text)) for text in texts]
        spread = Counter(word for count in counts for word in count)
        self.idf = {word: 1 + math.log((1 + len(texts)) / (1 + df)) for word, df in spread.items()}
        self.vectors = [self._weigh(count) for count in counts]
        self.holding: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for row, vector in enumerate(self.vectors):
            for word, weight in vector.items():
                self.holding[word].append((row, weight))

    def _weigh(self, counts: Counter[str]) -> Vector:
        weights = {word: (1 + math.log(count)) * self.idf[word] for word, count in counts.items() if word in self.idf}
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {word: weight / length for word, weight in weights.items()}

    def nearest(self, text: str) -> int:
        """Row of the most similar text; the first where several are, and the first of all where none shares a word."""
        scores: dict[int, float] = defaultdict(float)
        for word, weight in self._weigh(Counter(unicode_words(text))).items():
            for row, other in self.holding[word]:
                scores[row] += weight * other
        return min(scores, key=lambda row: (-round(scores[row], 12), row), default=0)
