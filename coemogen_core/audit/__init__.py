"""The caption audit: a page of sampled captions that a person accepts or rejects, and what became of the verdicts."""
