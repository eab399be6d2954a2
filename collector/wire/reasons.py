"""Why an item is rejected while its neighbours are stored: the labels of our own metrics."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """One rejection; the value is the label, ``EXPLAINED`` the sentence for the sender."""

    INVALID_ID = "invalid_id"
    TIMESTAMP_ZERO = "timestamp_zero"
    TOO_FAR_IN_FUTURE = "too_far_in_future"
    TOO_OLD = "too_old"
    START_AFTER_TIME = "start_after_time"
    ITEM_TOO_LARGE = "item_too_large"
    TOO_MANY_ATTRIBUTES = "too_many_attributes"
    TOO_MANY_BUCKETS = "too_many_buckets"
    RESOURCE_TOO_LARGE = "resource_too_large"
    IDENTITY_MISMATCH = "identity_mismatch"
    UNNAMED_METRIC = "unnamed_metric"
    NAME_TOO_LONG = "name_too_long"
    NO_VALUE = "no_value"
    UNSPECIFIED_TEMPORALITY = "unspecified_temporality"
    MALFORMED_POINT = "malformed_point"
    TEMPORALITY_CONFLICT = "temporality_conflict"
    DUPLICATE_TIMESTAMP = "duplicate_timestamp"
    SERIES_LIMIT = "series_limit"
    NEW_SERIES_SHED = "new_series_shed"
    INVALID_LABELS = "invalid_labels"
    NATIVE_HISTOGRAM = "native_histogram"


EXPLAINED: Final = {
    Reason.INVALID_ID: "trace_id must be 16 and span_id 8 bytes, not all zero",
    Reason.TIMESTAMP_ZERO: "the time is missing or in 1970",
    Reason.TOO_FAR_IN_FUTURE: "the time is too far ahead of the collector's clock",
    Reason.TOO_OLD: "the time is too far behind the collector's clock",
    Reason.START_AFTER_TIME: "a point's start time is more than 10 s after its time",
    Reason.ITEM_TOO_LARGE: "a span or point has too many bytes",
    Reason.TOO_MANY_ATTRIBUTES: "a span or point has too many attributes",
    Reason.TOO_MANY_BUCKETS: "a histogram point has too many buckets",
    Reason.RESOURCE_TOO_LARGE: "a resource or scope has too many bytes or attributes",
    Reason.IDENTITY_MISMATCH: "service.name or deployment.environment.name is not the token's",
    Reason.UNNAMED_METRIC: "a metric has no name",
    Reason.NAME_TOO_LONG: "a metric's name or unit is too long",
    Reason.NO_VALUE: "a number point has no value",
    Reason.UNSPECIFIED_TEMPORALITY: "aggregation_temporality must be delta or cumulative",
    Reason.MALFORMED_POINT: "counts, bounds, quantiles, scale or sign contradict each other",
    Reason.TEMPORALITY_CONFLICT: "the series is known with the other temporality",
    Reason.DUPLICATE_TIMESTAMP: "the series has a point at this time already; the first one stays",
    Reason.SERIES_LIMIT: "there are too many series, of all, of the service or of the metric",
    Reason.NEW_SERIES_SHED: "new series are not taken: memory is short, or safe mode is on",
    Reason.INVALID_LABELS: "label names are unique, not empty, and UTF-8, as values are",
    Reason.NATIVE_HISTOGRAM: "native histograms are taken by OTLP only, as exponential histograms",
}


class Repair(StrEnum):
    """Something was dropped from an item that was otherwise stored."""

    INVALID_PARENT = "invalid_parent"
    INVALID_TRACE = "invalid_trace"


MENDED: Final = {
    Repair.INVALID_PARENT: "parent_span_id must be empty or 8 bytes",
    Repair.INVALID_TRACE: "a record's trace_id must be empty or 16, its span_id empty or 8 bytes",
}
