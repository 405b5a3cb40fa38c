"""The lines of the table, in its order.

Put here a new line's module. Keep out how it is run (`__main__.py`).
"""

from tests.proving.lines import beside, features, mixed, nothing, oracles, planted, ranking, review
from tests.proving.score import Line

LINES: tuple[Line, ...] = (
    planted.LINE,
    nothing.LINE,
    mixed.LINE,
    features.LINE,
    ranking.LINE,
    review.LINE,
    beside.LINE,
    oracles.LINE,
)
