"""Evaluation: answering (the resumable loop over a trainer's ``ask``), metrics, statistics, judge, probes."""

from __future__ import annotations

from ftlib.evaluation.answering import answer_run
from ftlib.evaluation.recorded import score_files, scores_text
from ftlib.evaluation.scoring import score_run

__all__ = ["answer_run", "score_files", "score_run", "scores_text"]
