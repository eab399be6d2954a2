"""Names, arguments and results of every function (Prometheus ``promql/parser/functions.go``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from collector.promql.nodes import Function, ValueType

__all__ = ["FUNCTIONS"]

_TYPES: Final = {
    "s": ValueType.SCALAR,
    "v": ValueType.VECTOR,
    "m": ValueType.MATRIX,
    "t": ValueType.STRING,
}

#: Arguments (s scalar, v instant vector, m range vector, t string), result, then the names. ``?``
#: after the last argument: it may be left out; ``*``: it may come any number of times; a digit: it
#: may come up to that many times more.
_TABLE: Final = """
v    v  abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad
v    v  sgn sin sinh sort sort_desc sqrt tan tanh timestamp
v    v  histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar
v    s  scalar
s    v  vector
     s  time pi start end step range
v?   v  day_of_month day_of_week day_of_year days_in_month hour minute month year
vs   v  clamp_max clamp_min
vss  v  clamp
vs?  v  round
m    v  absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta
m    v  increase irate last_over_time mad_over_time max_over_time min_over_time present_over_time
m    v  rate resets stddev_over_time stdvar_over_time sum_over_time ts_of_first_over_time
m    v  ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time
ms   v  predict_linear
sm   v  quantile_over_time
mss  v  double_exponential_smoothing holt_winters
sv   v  histogram_quantile
ssv  v  histogram_fraction
vts9 v  histogram_quantiles
vtttt v label_replace
vttt* v label_join
vt*  v  sort_by_label sort_by_label_desc
vv?  v  info
"""


def _functions() -> Iterator[Function]:
    for line in _TABLE.strip().splitlines():
        fields = line.split() if line[0] != " " else ["", *line.split()]
        arguments, result, names = fields[0], fields[1], fields[2:]
        variadic = 0
        if arguments and arguments[-1] not in _TYPES:
            mark = arguments[-1]
            variadic = {"?": 1, "*": -1}.get(mark) or int(mark)
            arguments = arguments[:-1]
        types = tuple(_TYPES[letter] for letter in arguments)
        if variadic > 1:  # the repeated argument is given once at least
            types = (*types, types[-1])
        for name in names:
            yield Function(name, types, _TYPES[result], variadic)


FUNCTIONS: Final = {function.name: function for function in _functions()}
