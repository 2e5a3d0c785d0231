"""What customers of the world search for, what they are shown, and what they do with it.

`queries` (what is asked), `relevance` (grades), `candidates` (what the shop may show), `wants` (engagement and
purchase), `examination` (who looks how far), `rankers` (who decided the order), `sessions` (the log), `annotators`
(judgements), `dirt`, `plan` (all of these, settled), `part` (tables and truth).
"""
