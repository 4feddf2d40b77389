"""A room for each question, their verdicts, and what they compare with."""
