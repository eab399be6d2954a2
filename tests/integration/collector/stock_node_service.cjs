// A service on the stock SDK. argv: protocol (proto, http: JSON, grpc), address, service, count.
// Sends that many spans and log records, and two metrics; prints the trace's id as JSON in the end.
const { context, metrics, trace, SpanKind } = require("@opentelemetry/api");
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const { BatchLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const { PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { logs, SeverityNumber } = require("@opentelemetry/api-logs");

const [protocol, address, service, countText] = process.argv.slice(2);
const count = Number(countText);
const exporter = (signal, name) => {
  const made = require(`@opentelemetry/exporter-${signal}-otlp-${protocol}`)[name];
  const path = signal === "trace" ? "traces" : signal;
  return new made({ url: protocol === "grpc" ? address : `${address}/v1/${path}` });
};

const spans = new BatchSpanProcessor(exporter("trace", "OTLPTraceExporter"), {
  maxExportBatchSize: 20,
  scheduledDelayMillis: 100,
});
const records = new BatchLogRecordProcessor({ exporter: exporter("logs", "OTLPLogExporter") });
const reader = new PeriodicExportingMetricReader({
  exporter: exporter("metrics", "OTLPMetricExporter"),
  exportIntervalMillis: 3_600_000,
});
const sdk = new NodeSDK({
  resource: resourceFromAttributes({ "service.name": service, "service.version": "7" }),
  spanProcessors: [spans],
  logRecordProcessors: [records],
  metricReaders: [reader],
  instrumentations: [],
  autoDetectResources: false,
});
sdk.start();

const tracer = trace.getTracer("tests");
const root = tracer.startSpan("GET /", { kind: SpanKind.SERVER });
const inside = trace.setSpan(context.active(), root);
for (let number = 1; number < count; number += 1) {
  const attributes = {
    number,
    even: number % 2 === 0,
    share: number / 4,
    text: `ä ${number}`,
    list: ["a", "b"],
  };
  tracer.startSpan(`step ${number}`, { attributes }, inside).end();
}
root.end();

const meter = metrics.getMeter("tests");
const starts = meter.createCounter(`${service}.starts`, { unit: "{start}" });
const durations = meter.createHistogram(`${service}.duration`, { unit: "s" });
for (let number = 0; number < count; number += 1) {
  starts.add(2, { outcome: number % 2 ? "ok" : "error" });
  durations.record(number / 8);
}

const logger = logs.getLogger("tests");
for (let number = 0; number < count; number += 1) {
  logger.emit({
    context: inside,
    severityNumber: SeverityNumber.WARN,
    severityText: "WARN",
    body: `line ${number}`,
    attributes: { number, text: `ö ${number}` },
  });
}

(async () => {
  await Promise.all([spans.forceFlush(), records.forceFlush(), reader.forceFlush()]);
  console.log(JSON.stringify({ trace_id: root.spanContext().traceId }));
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
