-- Every table and view of the store. One dialect: ClickHouse, embedded or a cluster.
--
-- "-- fragment: name" defines text that {name} stands for below; "-- statement: name" is run, in
-- order, once per store. Numbers in braces ({retention_spans_s}) come from the configuration.
--
-- How a segment flows (one INSERT, one deduplication token, every arrow a materialized view):
--
--   otlp_traces_in ──▶ spans ──▶ trace_bounds, red, instances, segment_rows
--   otlp_metrics_in ─▶ points_in ──▶ series, number_points, histogram_points,
--                                    exponential_points, instances, segment_rows
--   otlp_logs_in ────▶ logs ──▶ segment_rows
--
-- Tables named *_in have ENGINE = Null: they keep nothing and only feed views.
-- Times are Unix nanoseconds in Int64; ids are raw bytes.
-- Partitions are six hours wide and numbered modulo 48, so that senders with broken clocks cannot
-- make more of them than an insert may touch. Expiry goes by `received`, our own clock.

-- fragment: durable
fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 480, merge_with_ttl_timeout = 60, non_replicated_deduplication_window = 10000, min_parts_to_merge_at_once = 8

-- Spans, log records and exemplars keep the values of their attributes as they came, encoded: what
-- was an integer stays one, reading is left to who asks, and planning a view for every kind of
-- value, which is most of a small insert, is not needed.
-- fragment: encoded_pairs
Array(Tuple(key String, value String))

-- Points have text, since they are found by it. The scan has made lists, maps and bytes text.
-- fragment: key_values
Array(Tuple(key String, value Tuple(string_value String, bool_value Nullable(Bool), int_value Nullable(Int64), double_value Nullable(Float64))))

-- fragment: text_of_value
v -> coalesce(nullIf(v.string_value, ''), toString(v.int_value), toString(v.double_value), toString(v.bool_value), '')

-- The text in an encoded string value is behind its tag and length.
-- fragment: after_head
multiIf(length(v) < 130, 3, length(v) < 16387, 4, 5)

-- Kept as they come: few points have any, and who asks for one reads its values then.
-- fragment: exemplars_type
Array(Tuple(filtered_attributes {encoded_pairs}, time_unix_nano UInt64, as_double Nullable(Float64), as_int Nullable(Int64), span_id String, trace_id String))

-- fragment: number_points_type
Array(Tuple(attributes {key_values}, start_time_unix_nano UInt64, time_unix_nano UInt64, as_double Nullable(Float64), as_int Nullable(Int64), flags UInt32, exemplars {exemplars_type}))

-- statement: otlp_traces_in
CREATE TABLE IF NOT EXISTS otlp_traces_in
(
    resource_spans Array(Tuple(
        resource Tuple(attributes {encoded_pairs}),
        scope_spans Array(Tuple(
            scope Tuple(name String),
            spans Array(Tuple(
                trace_id String, span_id String, parent_span_id String, name String, kind Int32,
                start_time_unix_nano UInt64, end_time_unix_nano UInt64,
                attributes {encoded_pairs},
                events Array(Tuple(time_unix_nano UInt64, name String, attributes {encoded_pairs})),
                status Tuple(message String, code Int32)))))))
)
ENGINE = Null

-- statement: spans
CREATE TABLE IF NOT EXISTS spans
(
    trace_id FixedString(16) CODEC(NONE),
    span_id FixedString(8) CODEC(NONE),
    parent_span_id FixedString(8) CODEC(LZ4),
    service_name LowCardinality(String),
    service_version LowCardinality(String),
    instance_id LowCardinality(String),
    region LowCardinality(String),
    zone LowCardinality(String),
    environment LowCardinality(String),
    scope_name LowCardinality(String),
    name LowCardinality(String),
    kind UInt8,
    start_unix_nano Int64 CODEC(Delta(8), ZSTD(1)),
    duration_ns UInt64 CODEC(T64, ZSTD(1)),
    flag LowCardinality(String),
    status_code UInt8,
    status_message String CODEC(ZSTD(1)),
    http_method LowCardinality(String),
    http_route LowCardinality(String),
    http_status LowCardinality(String),
    cohort LowCardinality(String),
    deployment_id LowCardinality(String),
    device_class LowCardinality(String),
    outcome LowCardinality(String),
    error_type LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource LowCardinality(String),
    events Array(Tuple(time_unix_nano UInt64, name String, attributes {encoded_pairs})) CODEC(ZSTD(1)),
    received DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1)),
    INDEX by_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY intDiv(start_unix_nano, 21600000000000) % 48
ORDER BY (service_name, start_unix_nano)
TTL received + INTERVAL {retention_spans_s} SECOND
SETTINGS ttl_only_drop_parts = 1, {durable}

-- A duration that cannot be or that no request has: stored, shown, left out of latencies.
-- fragment: flag_of_span
multiIf(s.end_time_unix_nano < s.start_time_unix_nano, 'negative_duration', s.end_time_unix_nano - s.start_time_unix_nano > 86400000000000, 'long_duration', '')

-- Attributes with a column of their own are there as text if they were one of at most 127 bytes (the
-- status code: an integer of two bytes); in any other form they stay among the rest. Whatever
-- belongs to a resource is made before its spans are unfolded; keys are compared as entries of a
-- dictionary. A resource is one text, the engine's own of two arrays: few spans have one of their own,
-- and a map in every row would cost more than all other columns together when parts are merged.
-- statement: spans_view
CREATE MATERIALIZED VIEW IF NOT EXISTS spans_view TO spans AS
SELECT
    toFixedString(substring(s.trace_id, 1, 16), 16) AS trace_id,
    toFixedString(substring(s.span_id, 1, 8), 8) AS span_id,
    toFixedString(substring(s.parent_span_id, 1, 8), 8) AS parent_span_id,
    service_name, service_version, instance_id, region, zone, environment, scope_name,
    s.name AS name,
    toUInt8(s.kind) AS kind,
    toInt64(s.start_time_unix_nano) AS start_unix_nano,
    if(s.end_time_unix_nano > s.start_time_unix_nano, s.end_time_unix_nano - s.start_time_unix_nano, 0) AS duration_ns,
    {flag_of_span} AS flag,
    toUInt8(s.status.code) AS status_code,
    s.status.message AS status_message,
    texts[indexOf(ks, 'http.request.method')] AS http_method,
    texts[indexOf(ks, 'http.route')] AS http_route,
    texts[indexOf(ks, 'http.response.status_code')] AS http_status,
    texts[indexOf(ks, 'davylamp.canary.cohort')] AS cohort,
    texts[indexOf(ks, 'deployment.id')] AS deployment_id,
    texts[indexOf(ks, 'playback.device.class')] AS device_class,
    texts[indexOf(ks, 'playback.outcome')] AS outcome,
    texts[indexOf(ks, 'error.type')] AS error_type,
    mapFromArrays(arrayFilter((k, t) -> t = '', ks, texts), arrayFilter((v, t) -> t = '', s.attributes.value, texts)) AS attributes,
    resource,
    s.events AS events
FROM
(
    SELECT
        *,
        CAST(s.attributes.key, 'Array(LowCardinality(String))') AS ks,
        arrayMap((k, v) -> if(has({hot_keys}, k), multiIf(startsWith(v, '\n') AND length(v) < 130 AND length(v) = reinterpretAsUInt8(substring(v, 2, 1)) + 2, substring(v, 3), startsWith(v, '\x18') AND length(v) = 3, toString({two_byte_integer}), ''), ''), ks, s.attributes.value) AS texts
    FROM
    (
        SELECT * EXCEPT (ss, pairs, names), ss.scope.name AS scope_name, arrayJoin(ss.spans) AS s
        FROM
        (
            SELECT
                mapFromArrays(rs.resource.attributes.key, rs.resource.attributes.value) AS pairs,
                toLowCardinality(toString([mapKeys(pairs), mapValues(pairs)])) AS resource,
                {resource_columns},
                names[4] AS region, names[5] AS zone, names[6] AS environment,
                arrayJoin(rs.scope_spans) AS ss
            FROM (SELECT arrayJoin(resource_spans) AS rs FROM otlp_traces_in)
        )
    )
)

-- fragment: hot_keys
['http.request.method', 'http.route', 'http.response.status_code', 'davylamp.canary.cohort', 'deployment.id', 'playback.device.class', 'playback.outcome', 'error.type']

-- fragment: two_byte_integer
bitAnd(reinterpretAsUInt16(substring(v, 2)), 127) + bitShiftRight(reinterpretAsUInt16(substring(v, 2)), 8) * 128

-- The scan has made these values text.
-- fragment: resource_columns
arrayMap(v -> substring(v, {after_head}), arrayMap(k -> pairs[k], ['service.name', 'service.version', 'service.instance.id', 'cloud.region', 'cloud.availability_zone', 'deployment.environment.name'])) AS names, names[1] AS service_name, names[2] AS service_version, names[3] AS instance_id

-- Where in time a trace lies: a lookup by id reads one row here, then a slice of spans.
-- statement: trace_bounds
CREATE TABLE IF NOT EXISTS trace_bounds
(
    trace_id FixedString(16) CODEC(NONE),
    first_unix_nano SimpleAggregateFunction(min, Int64) CODEC(Delta(8), ZSTD(1)),
    last_unix_nano SimpleAggregateFunction(max, Int64) CODEC(Delta(8), ZSTD(1)),
    received SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY trace_id
TTL received + INTERVAL {retention_spans_s} SECOND
SETTINGS {durable}

-- statement: trace_bounds_view
CREATE MATERIALIZED VIEW IF NOT EXISTS trace_bounds_view TO trace_bounds AS
SELECT trace_id, min(start_unix_nano) AS first_unix_nano, max(start_unix_nano) AS last_unix_nano, now() AS received
FROM spans
GROUP BY trace_id

-- Requests, errors, durations of server spans per second. Bucket b holds durations d in ns with
-- floor(16 * log2(d + 1)) = b, so a bucket is 4.4 % wide and sums of counts stay exact. Bucket -1
-- holds requests whose duration says nothing: flagged spans.
-- statement: red
CREATE TABLE IF NOT EXISTS red
(
    service_name LowCardinality(String),
    second_unix Int64 CODEC(Delta(8), ZSTD(1)),
    service_version LowCardinality(String),
    cohort LowCardinality(String),
    deployment_id LowCardinality(String),
    route LowCardinality(String),
    operation LowCardinality(String),
    bucket Int16,
    request_count SimpleAggregateFunction(sum, UInt64),
    error_count SimpleAggregateFunction(sum, UInt64),
    received SimpleAggregateFunction(max, DateTime)
)
ENGINE = AggregatingMergeTree
PARTITION BY intDiv(second_unix, 86400) % 48
ORDER BY (service_name, second_unix, service_version, cohort, deployment_id, route, operation, bucket)
TTL received + INTERVAL {retention_rollups_s} SECOND
SETTINGS {durable}

-- statement: red_view
CREATE MATERIALIZED VIEW IF NOT EXISTS red_view TO red AS
SELECT
    service_name,
    intDiv(start_unix_nano, 1000000000) AS second_unix,
    service_version, cohort, deployment_id,
    http_route AS route,
    name AS operation,
    toInt16(if(flag = '', floor(log2(duration_ns + 1) * 16), -1)) AS bucket,
    count() AS request_count,
    countIf(status_code = 2) AS error_count,
    now() AS received
FROM spans
WHERE kind = 2
GROUP BY service_name, second_unix, service_version, cohort, deployment_id, route, operation, bucket

-- Who has been heard, from either signal.
-- statement: instances
CREATE TABLE IF NOT EXISTS instances
(
    service_name LowCardinality(String),
    service_version LowCardinality(String),
    instance_id String,
    region LowCardinality(String),
    zone LowCardinality(String),
    first_seen_unix_nano SimpleAggregateFunction(min, Int64),
    last_seen_unix_nano SimpleAggregateFunction(max, Int64),
    received SimpleAggregateFunction(max, DateTime)
)
ENGINE = AggregatingMergeTree
ORDER BY (service_name, service_version, instance_id, region, zone)
TTL received + INTERVAL {retention_rollups_s} SECOND
SETTINGS {durable}

-- statement: instances_from_spans_view
CREATE MATERIALIZED VIEW IF NOT EXISTS instances_from_spans_view TO instances AS
SELECT
    service_name, service_version, instance_id, region, zone,
    min(start_unix_nano) AS first_seen_unix_nano,
    max(start_unix_nano) AS last_seen_unix_nano,
    now() AS received
FROM spans
GROUP BY service_name, service_version, instance_id, region, zone

-- How many rows the newest segments held, for accounting; memory only, never the truth.
-- statement: segment_rows
CREATE TABLE IF NOT EXISTS segment_rows (token String, row_count UInt64)
ENGINE = Memory
SETTINGS min_rows_to_keep = 100, max_rows_to_keep = 1000

-- statement: segment_rows_from_spans_view
CREATE MATERIALIZED VIEW IF NOT EXISTS segment_rows_from_spans_view TO segment_rows AS
SELECT getSetting('insert_deduplication_token') AS token, count() AS row_count FROM spans

-- statement: otlp_metrics_in
CREATE TABLE IF NOT EXISTS otlp_metrics_in
(
    resource_metrics Array(Tuple(
        resource Tuple(attributes {key_values}),
        scope_metrics Array(Tuple(
            scope Tuple(name String),
            metrics Array(Tuple(
                name String,
                unit String,
                gauge Tuple(data_points {number_points_type}),
                sum Tuple(data_points {number_points_type}, aggregation_temporality Int32, is_monotonic Bool),
                histogram Tuple(
                    data_points Array(Tuple(
                        attributes {key_values}, start_time_unix_nano UInt64, time_unix_nano UInt64,
                        count UInt64, sum Nullable(Float64), bucket_counts Array(UInt64),
                        explicit_bounds Array(Float64), flags UInt32, exemplars {exemplars_type})),
                    aggregation_temporality Int32),
                exponential_histogram Tuple(
                    data_points Array(Tuple(
                        attributes {key_values}, start_time_unix_nano UInt64, time_unix_nano UInt64,
                        count UInt64, sum Nullable(Float64), scale Int32, zero_count UInt64,
                        positive Tuple(offset Int32, bucket_counts Array(UInt64)),
                        negative Tuple(offset Int32, bucket_counts Array(UInt64)),
                        flags UInt32, zero_threshold Float64, exemplars {exemplars_type})),
                    aggregation_temporality Int32),
                summary Tuple(
                    data_points Array(Tuple(
                        attributes {key_values}, start_time_unix_nano UInt64, time_unix_nano UInt64,
                        count UInt64, sum Float64,
                        quantile_values Array(Tuple(quantile Float64, value Float64)),
                        flags UInt32)))))))))
)
ENGINE = Null

-- One row per data point of any kind; what a kind does not have is empty.
-- statement: points_in
CREATE TABLE IF NOT EXISTS points_in
(
    series_id UInt64,
    metric_name LowCardinality(String),
    kind LowCardinality(String),
    unit LowCardinality(String),
    temporality LowCardinality(String),
    is_monotonic Bool,
    scope_name LowCardinality(String),
    resource Map(String, String),
    attributes Map(String, String),
    time_unix_nano Int64,
    start_unix_nano Int64,
    flags UInt32,
    value Float64,
    count UInt64,
    sum Float64,
    counts Array(UInt64),
    bounds Array(Float64),
    scale Int32,
    zero_count UInt64,
    zero_threshold Float64,
    positive_offset Int32,
    negative_offset Int32,
    negative_counts Array(UInt64),
    exemplars {exemplars_type},
    quantile_values Array(Float64)
)
ENGINE = Null

-- fragment: point_type
Tuple(attributes {key_values}, start_time_unix_nano UInt64, time_unix_nano UInt64, flags UInt32, value Float64, count UInt64, sum Float64, counts Array(UInt64), bounds Array(Float64), scale Int32, zero_count UInt64, zero_threshold Float64, positive_offset Int32, negative_offset Int32, negative_counts Array(UInt64), exemplars {exemplars_type}, quantile_values Array(Float64))

-- fragment: no_counts
CAST([], 'Array(UInt64)')

-- fragment: no_bounds
CAST([], 'Array(Float64)')

-- fragment: no_exemplars
CAST([], '{exemplars_type}')

-- fragment: number_point
p -> (p.attributes, p.start_time_unix_nano, p.time_unix_nano, p.flags, coalesce(p.as_double, toFloat64(p.as_int), 0), toUInt64(0), toFloat64(0), {no_counts}, {no_bounds}, toInt32(0), toUInt64(0), toFloat64(0), toInt32(0), toInt32(0), {no_counts}, p.exemplars, {no_bounds})

-- A layout that does not fit its counts keeps its total: one bucket, no bounds.
-- fragment: histogram_point
p -> (p.attributes, p.start_time_unix_nano, p.time_unix_nano, p.flags, toFloat64(0), p.count, ifNull(p.sum, nan), if(length(p.bucket_counts) = length(p.explicit_bounds) + 1, p.bucket_counts, [p.count]), if(length(p.bucket_counts) = length(p.explicit_bounds) + 1, p.explicit_bounds, {no_bounds}), toInt32(0), toUInt64(0), toFloat64(0), toInt32(0), toInt32(0), {no_counts}, p.exemplars, {no_bounds})

-- fragment: exponential_point
p -> (p.attributes, p.start_time_unix_nano, p.time_unix_nano, p.flags, toFloat64(0), p.count, ifNull(p.sum, nan), p.positive.bucket_counts, {no_bounds}, p.scale, p.zero_count, p.zero_threshold, p.positive.offset, p.negative.offset, p.negative.bucket_counts, p.exemplars, {no_bounds})

-- A summary has quantiles where a histogram has bounds, and their values instead of counts.
-- fragment: summary_point
p -> (p.attributes, p.start_time_unix_nano, p.time_unix_nano, p.flags, toFloat64(0), p.count, p.sum, {no_counts}, p.quantile_values.quantile, toInt32(0), toUInt64(0), toFloat64(0), toInt32(0), toInt32(0), {no_counts}, {no_exemplars}, p.quantile_values.value)

-- fragment: identity_of_attributes
arraySort(arrayZip(mapKeys(attributes), mapValues(attributes)))

-- fragment: identity_of_resource
arraySort(arrayZip(mapKeys(resource), mapValues(resource)))

-- The kind of a metric is the one of its five fields that has points. A series is its name, kind,
-- unit, temporality, monotonicity, scope, resource and attributes, in any order of keys.
-- statement: points_view
CREATE MATERIALIZED VIEW IF NOT EXISTS points_view TO points_in AS
SELECT
    sipHash64(metric_name, kind, unit, temporality, is_monotonic, scope_name, {identity_of_resource}, {identity_of_attributes}) AS series_id,
    metric_name, kind, unit, temporality, is_monotonic, scope_name, resource, attributes,
    toInt64(p.time_unix_nano) AS time_unix_nano,
    toInt64(p.start_time_unix_nano) AS start_unix_nano,
    p.flags AS flags, p.value AS value, p.count AS count, p.sum AS sum, p.counts AS counts, p.bounds AS bounds,
    p.scale AS scale, p.zero_count AS zero_count, p.zero_threshold AS zero_threshold,
    p.positive_offset AS positive_offset, p.negative_offset AS negative_offset, p.negative_counts AS negative_counts,
    p.exemplars AS exemplars, p.quantile_values AS quantile_values
FROM
(
    SELECT
        metric_name, kind, unit, is_monotonic, scope_name, resource, p,
        mapFromArrays(p.attributes.key, arrayMap({text_of_value}, p.attributes.value)) AS attributes,
        multiIf(temporality_number = 1, 'delta', temporality_number = 2, 'cumulative', 'unspecified') AS temporality
    FROM
    (
        SELECT
            resource, scope_name, m.name AS metric_name, m.unit AS unit,
            multiIf(notEmpty(m.gauge.data_points), 'gauge', notEmpty(m.sum.data_points), 'sum', notEmpty(m.histogram.data_points), 'histogram', notEmpty(m.summary.data_points), 'summary', 'exponential_histogram') AS kind,
            multiIf(kind = 'sum', m.sum.aggregation_temporality, kind = 'histogram', m.histogram.aggregation_temporality, kind = 'exponential_histogram', m.exponential_histogram.aggregation_temporality, 0) AS temporality_number,
            m.sum.is_monotonic AS is_monotonic,
            arrayJoin(CAST(arrayConcat(
                arrayMap({number_point}, m.gauge.data_points),
                arrayMap({number_point}, m.sum.data_points),
                arrayMap({histogram_point}, m.histogram.data_points),
                arrayMap({exponential_point}, m.exponential_histogram.data_points),
                arrayMap({summary_point}, m.summary.data_points)), 'Array({point_type})')) AS p
        FROM
        (
            SELECT resource, sm.scope.name AS scope_name, arrayJoin(sm.metrics) AS m
            FROM
            (
                SELECT
                    mapFromArrays(rm.resource.attributes.key, arrayMap({text_of_value}, rm.resource.attributes.value)) AS resource,
                    arrayJoin(rm.scope_metrics) AS sm
                FROM (SELECT arrayJoin(resource_metrics) AS rm FROM otlp_metrics_in)
            )
        )
    )
)

-- statement: series
CREATE TABLE IF NOT EXISTS series
(
    metric_name LowCardinality(String),
    series_id UInt64,
    kind LowCardinality(String),
    unit LowCardinality(String),
    temporality LowCardinality(String),
    is_monotonic Bool,
    resource SimpleAggregateFunction(anyLast, Map(String, String)) CODEC(ZSTD(1)),
    attributes SimpleAggregateFunction(anyLast, Map(String, String)) CODEC(ZSTD(1)),
    first_seen_unix_nano SimpleAggregateFunction(min, Int64),
    last_seen_unix_nano SimpleAggregateFunction(max, Int64),
    received SimpleAggregateFunction(max, DateTime)
)
ENGINE = AggregatingMergeTree
ORDER BY (metric_name, series_id, kind, unit, temporality, is_monotonic)
TTL received + INTERVAL {retention_points_s} SECOND
SETTINGS {durable}

-- statement: series_view
CREATE MATERIALIZED VIEW IF NOT EXISTS series_view TO series AS
SELECT
    metric_name, series_id, kind, unit, temporality, is_monotonic,
    any(resource) AS resource,
    any(attributes) AS attributes,
    min(time_unix_nano) AS first_seen_unix_nano,
    max(time_unix_nano) AS last_seen_unix_nano,
    now() AS received
FROM points_in
GROUP BY metric_name, series_id, kind, unit, temporality, is_monotonic

-- statement: instances_from_points_view
CREATE MATERIALIZED VIEW IF NOT EXISTS instances_from_points_view TO instances AS
SELECT
    resource['service.name'] AS service_name,
    resource['service.version'] AS service_version,
    resource['service.instance.id'] AS instance_id,
    resource['cloud.region'] AS region,
    resource['cloud.availability_zone'] AS zone,
    min(time_unix_nano) AS first_seen_unix_nano,
    max(time_unix_nano) AS last_seen_unix_nano,
    now() AS received
FROM points_in
GROUP BY service_name, service_version, instance_id, region, zone

-- statement: segment_rows_from_points_view
CREATE MATERIALIZED VIEW IF NOT EXISTS segment_rows_from_points_view TO segment_rows AS
SELECT getSetting('insert_deduplication_token') AS token, count() AS row_count FROM points_in

-- statement: number_points
CREATE TABLE IF NOT EXISTS number_points
(
    series_id UInt64 CODEC(Delta(8), ZSTD(1)),
    time_unix_nano Int64 CODEC(DoubleDelta, ZSTD(1)),
    start_unix_nano Int64 CODEC(Delta(8), ZSTD(1)),
    value Float64 CODEC(Delta(8), ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    exemplars {exemplars_type} CODEC(ZSTD(1)),
    received DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY intDiv(time_unix_nano, 21600000000000) % 48
ORDER BY (series_id, time_unix_nano)
TTL received + INTERVAL {retention_points_s} SECOND
SETTINGS ttl_only_drop_parts = 1, {durable}

-- statement: number_points_view
CREATE MATERIALIZED VIEW IF NOT EXISTS number_points_view TO number_points AS
SELECT series_id, time_unix_nano, start_unix_nano, value, flags, exemplars
FROM points_in
WHERE kind IN ('gauge', 'sum')

-- statement: histogram_points
CREATE TABLE IF NOT EXISTS histogram_points
(
    series_id UInt64 CODEC(Delta(8), ZSTD(1)),
    time_unix_nano Int64 CODEC(DoubleDelta, ZSTD(1)),
    start_unix_nano Int64 CODEC(Delta(8), ZSTD(1)),
    count UInt64 CODEC(Delta(8), ZSTD(1)),
    sum Float64 CODEC(Delta(8), ZSTD(1)),
    counts Array(UInt64) CODEC(ZSTD(1)),
    bounds Array(Float64) CODEC(ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    exemplars {exemplars_type} CODEC(ZSTD(1)),
    quantile_values Array(Float64) CODEC(ZSTD(1)),
    received DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY intDiv(time_unix_nano, 21600000000000) % 48
ORDER BY (series_id, time_unix_nano)
TTL received + INTERVAL {retention_points_s} SECOND
SETTINGS ttl_only_drop_parts = 1, {durable}

-- statement: histogram_points_view
CREATE MATERIALIZED VIEW IF NOT EXISTS histogram_points_view TO histogram_points AS
SELECT series_id, time_unix_nano, start_unix_nano, count, sum, counts, bounds, flags, exemplars, quantile_values
FROM points_in
WHERE kind IN ('histogram', 'summary')

-- statement: exponential_points
CREATE TABLE IF NOT EXISTS exponential_points
(
    series_id UInt64 CODEC(Delta(8), ZSTD(1)),
    time_unix_nano Int64 CODEC(DoubleDelta, ZSTD(1)),
    start_unix_nano Int64 CODEC(Delta(8), ZSTD(1)),
    count UInt64 CODEC(Delta(8), ZSTD(1)),
    sum Float64 CODEC(Delta(8), ZSTD(1)),
    scale Int32 CODEC(ZSTD(1)),
    zero_count UInt64 CODEC(ZSTD(1)),
    zero_threshold Float64 CODEC(ZSTD(1)),
    positive_offset Int32 CODEC(ZSTD(1)),
    positive_counts Array(UInt64) CODEC(ZSTD(1)),
    negative_offset Int32 CODEC(ZSTD(1)),
    negative_counts Array(UInt64) CODEC(ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    exemplars {exemplars_type} CODEC(ZSTD(1)),
    received DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY intDiv(time_unix_nano, 21600000000000) % 48
ORDER BY (series_id, time_unix_nano)
TTL received + INTERVAL {retention_points_s} SECOND
SETTINGS ttl_only_drop_parts = 1, {durable}

-- statement: exponential_points_view
CREATE MATERIALIZED VIEW IF NOT EXISTS exponential_points_view TO exponential_points AS
SELECT
    series_id, time_unix_nano, start_unix_nano, count, sum, scale, zero_count, zero_threshold,
    positive_offset, counts AS positive_counts, negative_offset, negative_counts, flags, exemplars
FROM points_in
WHERE kind = 'exponential_histogram'

-- statement: otlp_logs_in
CREATE TABLE IF NOT EXISTS otlp_logs_in
(
    resource_logs Array(Tuple(
        resource Tuple(attributes {encoded_pairs}),
        scope_logs Array(Tuple(
            scope Tuple(name String),
            log_records Array(Tuple(
                time_unix_nano UInt64, observed_time_unix_nano UInt64, severity_number Int32,
                severity_text String, body String, attributes {encoded_pairs},
                trace_id String, span_id String, event_name String))))))
)
ENGINE = Null

-- A record without a time of its own has the one at which it was seen. Ids of records that belong
-- to no trace are zeros.
-- statement: logs
CREATE TABLE IF NOT EXISTS logs
(
    time_unix_nano Int64 CODEC(Delta(8), ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(ZSTD(1)),
    service_name LowCardinality(String),
    service_version LowCardinality(String),
    instance_id LowCardinality(String),
    scope_name LowCardinality(String),
    severity_number UInt8,
    severity_text LowCardinality(String),
    event_name LowCardinality(String),
    body String CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    resource LowCardinality(String),
    received DateTime DEFAULT now() CODEC(Delta(4), ZSTD(1)),
    INDEX by_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY intDiv(time_unix_nano, 21600000000000) % 48
ORDER BY (service_name, time_unix_nano)
TTL received + INTERVAL {retention_spans_s} SECOND
SETTINGS ttl_only_drop_parts = 1, {durable}

-- statement: logs_view
CREATE MATERIALIZED VIEW IF NOT EXISTS logs_view TO logs AS
SELECT
    toInt64(if(r.time_unix_nano > 0, r.time_unix_nano, r.observed_time_unix_nano)) AS time_unix_nano,
    toFixedString(substring(r.trace_id, 1, 16), 16) AS trace_id,
    toFixedString(substring(r.span_id, 1, 8), 8) AS span_id,
    service_name, service_version, instance_id, scope_name,
    toUInt8(if(r.severity_number BETWEEN 0 AND 24, r.severity_number, 0)) AS severity_number,
    r.severity_text AS severity_text,
    r.event_name AS event_name,
    arrayMap(v -> substring(v, {after_head}), [r.body])[1] AS body,
    mapFromArrays(r.attributes.key, r.attributes.value) AS attributes,
    resource
FROM
(
    SELECT * EXCEPT (sl, pairs, names), sl.scope.name AS scope_name, arrayJoin(sl.log_records) AS r
    FROM
    (
        SELECT
            mapFromArrays(rl.resource.attributes.key, rl.resource.attributes.value) AS pairs,
            toLowCardinality(toString([mapKeys(pairs), mapValues(pairs)])) AS resource,
            {resource_columns},
            arrayJoin(rl.scope_logs) AS sl
        FROM (SELECT arrayJoin(resource_logs) AS rl FROM otlp_logs_in)
    )
)

-- statement: segment_rows_from_logs_view
CREATE MATERIALIZED VIEW IF NOT EXISTS segment_rows_from_logs_view TO segment_rows AS
SELECT getSetting('insert_deduplication_token') AS token, count() AS row_count FROM logs

-- statement: schema_version
CREATE TABLE IF NOT EXISTS schema_version (version UInt32) ENGINE = MergeTree ORDER BY version SETTINGS {durable}

-- Prometheus samples. Series have dense numbers; the program writes their rows before any sample
-- that names them (see collector/samples). Two hours a partition, numbered modulo 96 (eight days).
-- Numbers are decimals: value = mantissa / 10^exponent, or for exponent 255 the bits of the double.
-- statement: samples
CREATE TABLE IF NOT EXISTS samples
(
    metric_id UInt32 CODEC(ZSTD(1)),
    series_id UInt32 CODEC(Delta(4), ZSTD(1)),
    time_unix_ms Int64 CODEC(DoubleDelta, ZSTD(1)),
    mantissa Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    exponent UInt8 CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY intDiv(time_unix_ms, 7200000) % 96
ORDER BY (metric_id, series_id, time_unix_ms)
TTL toDateTime(intDiv(time_unix_ms, 1000)) + INTERVAL {retention_points_s} SECOND
SETTINGS ttl_only_drop_parts = 1, {durable}

-- statement: sample_series
CREATE TABLE IF NOT EXISTS sample_series
(
    metric_name String CODEC(ZSTD(1)),
    metric_id UInt32 CODEC(ZSTD(1)),
    series_id UInt32 CODEC(Delta(4), ZSTD(1)),
    names Array(LowCardinality(String)) CODEC(ZSTD(1)),
    label_values Array(String) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (metric_name, series_id)
SETTINGS {durable}

-- Which series have a label: the inverted index.
-- statement: sample_labels
CREATE TABLE IF NOT EXISTS sample_labels
(
    name LowCardinality(String) CODEC(ZSTD(1)),
    value String CODEC(ZSTD(1)),
    series_id UInt32 CODEC(Delta(4), ZSTD(1)),
    metric_id UInt32 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (name, value, series_id)
SETTINGS {durable}

-- statement: sample_labels_view
CREATE MATERIALIZED VIEW IF NOT EXISTS sample_labels_view TO sample_labels AS
SELECT name, value, series_id, metric_id
FROM sample_series
ARRAY JOIN names AS name, label_values AS value
