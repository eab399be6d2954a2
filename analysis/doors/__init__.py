"""Front doors: other deployment tools ask about a canary in their own words.

Each door is a pure module (what was asked, what is answered) and a route in ``api``. None of them
decides anything: they tell what the judge found, and what is unknown never sounds like a pass.
"""
