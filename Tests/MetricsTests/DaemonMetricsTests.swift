import Foundation
import Queue
import TestSupport
import Testing

@testable import JobRunner
@testable import ObjectStore

/// The daemon's own metrics: judged by Prometheus' tools, and by those who use them.
@Suite("The daemon's metrics")
struct DaemonMetricsTests {
  /// A daemon's metrics with at least one series in every family.
  static func filled() -> DaemonMetrics {
    let metrics = DaemonMetrics()
    metrics.take(StatusSnapshot.sample(), at: .init(milliseconds: 1_800_000_000_000))
    metrics.takeDisk(stateFolder: "/tmp", volume: (1, 2))
    metrics.take(HealthReport([LoopPulse("intake", allowanceSeconds: 1)]))
    for counter in [
      metrics.workerRestarts, metrics.scheduleRuns, metrics.storeRetries, metrics.storeRequests, metrics.workerBytes,
      metrics.scheduleSkips, metrics.httpRequests,
    ] {
      counter.increment(counter.description.labels.map { _ in "x" })
    }
    metrics.storeSeconds.observe(0.1, ["PutObject"])
    metrics.intakeObjects.set(1, ["bundle"])
    metrics.intakeLast.show(1)
    return metrics
  }

  @Test("Names are unique, carry their unit, and no label could name a job, a tenant or a document")
  func names() {
    let families = DaemonMetrics().families.map(\.description)
    #expect(Set(families.map(\.name)).count == families.count)
    for family in families {
      #expect(family.name.hasPrefix("ephemeral_") || family.name.hasPrefix("process_"))
      #expect(!family.name.hasSuffix("_total"), "the exposition appends it")
      if let unit = family.unit { #expect(family.name.hasSuffix("_\(unit)"), "\(family.name)") }
      #expect(family.help.hasSuffix("."))
      let allowed: Set<String> = [
        "queue", "state", "outcome", "result", "fault", "worker", "direction", "kind", "schedule", "reason",
        "operation", "file", "check", "loop", "path", "code", "version", "commit",
      ]
      #expect(Set(family.labels).isSubset(of: allowed), "\(family.name)")
    }
  }

  @Test("Every family is written once it has a value")
  func complete() {
    let metrics = Self.filled()
    let text = metrics.exposition(as: .openMetrics)
    for family in metrics.families {
      #expect(text.contains("# HELP \(family.description.name) "), "\(family.description.name) has no series")
    }
  }

  @Test(
    "Prometheus' own parser takes all of it, in both formats",
    .enabled(if: Need.prometheus.isMet, Comment(rawValue: Need.prometheus.comment)))
  func parser() throws {
    let metrics = Self.filled()
    for format in [ExpositionFormat.text, .openMetrics] {
      let parsed = try PrometheusParser.parse(metrics.exposition(as: format), format)
      #expect(parsed.families.count == metrics.families.count)
      #expect((parsed.value("process_resident_memory_bytes", [:]) ?? 0) > 1e6)
      #expect(abs((parsed.value("process_start_time_seconds", [:]) ?? 0) - Date().timeIntervalSince1970) < 86_400)
    }
  }

  @Test(
    "promtool finds nothing to say",
    .enabled(if: Need.promtool.isMet, Comment(rawValue: Need.promtool.comment)))
  func promtool() throws {
    let text = Self.filled().exposition(as: .text)
    let run = try Theatre.run(try Need.promtool.require(), ["check", "metrics"], input: text)
    #expect(run.status == 0 && run.errors.isEmpty && run.output.isEmpty, "\(run.output)\(run.errors)")
  }

  @Test("Events of the daemon and of the store end up under the labels that the page promises")
  func events() throws {
    let metrics = DaemonMetrics()
    let queue = try #require(QueueName("default"))
    metrics.attemptEnded(worker: "w", queue: queue, seconds: 2, ending: .finished(.partial))
    metrics.attemptEnded(worker: "w", queue: queue, seconds: 2, ending: .retry(.workerLost))
    metrics.attemptEnded(worker: "w", queue: queue, seconds: 2, ending: .fenced)
    metrics.leaseReaped(.leaseExpired)
    metrics.bytesMoved(.toWorker, worker: "w", count: 512)
    metrics.relayConnection(.unreachable)
    func request(_ outcome: StoreRequest.Outcome, _ status: Int, attempt: Int = 1) -> StoreRequest {
      StoreRequest(
        operation: .getObject, outcome: outcome, status: status, sentBytes: 1, receivedBytes: 10, seconds: 0.2,
        attempt: attempt)
    }
    for one in [request(.ok, 200), request(.refused, 404), request(.refused, 403), request(.connection, 0, attempt: 2)]
    {
      metrics.requestEnded(one)
    }
    let text = metrics.exposition(as: .text)
    for line in [
      "ephemeral_jobs_ended_total{outcome=\"partial\"} 1", "ephemeral_attempt_faults_total{fault=\"worker_lost\"} 1",
      "ephemeral_fence_rejections_total 1", "ephemeral_leases_expired_total{fault=\"lease_expired\"} 1",
      "ephemeral_attempt_duration_seconds_bucket{result=\"retry\",le=\"2.5\"} 1",
      "ephemeral_worker_transfer_bytes_total{worker=\"w\",direction=\"to_worker\"} 512",
      "ephemeral_kms_relay_connections_total{result=\"unreachable\"} 1",
      "ephemeral_store_requests_total{operation=\"GetObject\",outcome=\"not_found\"} 1",
      "ephemeral_store_requests_total{operation=\"GetObject\",outcome=\"refused\"} 1",
      "ephemeral_store_retries_total{operation=\"GetObject\"} 1",
      "ephemeral_store_transfer_bytes_total{direction=\"in\"} 40",
    ] { #expect(text.contains("\n" + line + "\n"), "\(line)") }
  }

  @Test("Dashboard, alerts and documentation name no metric that is not there, and the documentation names all")
  func consumers() throws {
    let text = Self.filled().exposition(as: .text)
    let series = Set(
      text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { String($0.prefix { $0 != "{" && $0 != " " }) })
    for file in [
      "infra/grafana/ephemeral.json", "infra/prometheus/alerts.yaml", "docs/operations/monitoring.md",
    ] {
      let content = try String(contentsOf: Checkout.root.appending(path: file), encoding: .utf8)
      let named = content.matches(of: /\b(?:ephemeral|process)_[a-z0-9_]+\b/).map { String($0.output) }
      #expect(!named.isEmpty, "\(file)")
      for name in Set(named) where !Self.isNoMetric(name) {
        #expect(series.contains(name), "\(file) names \(name)")
      }
      guard file.hasSuffix(".md") else { continue }
      for name in series where !name.hasSuffix("_sum") && !name.hasSuffix("_count") {
        let family = name.hasSuffix("_bucket") ? String(name.dropLast(7)) : name
        #expect(content.contains(family), "\(file) does not name \(family)")
      }
    }
  }

  /// A histogram's name without its suffix, in prose.
  private static func isNoMetric(_ name: String) -> Bool { name.hasSuffix("_duration_seconds") }

  @Test(
    "promtool takes the alert rules, and its tests of them pass",
    .enabled(if: Need.promtool.isMet, Comment(rawValue: Need.promtool.comment)))
  func alerts() throws {
    let folder = Checkout.root.appending(path: "infra/prometheus").path
    let promtool = try Need.promtool.require()
    _ = try Theatre.run(promtool, ["check", "rules", folder + "/alerts.yaml"]).succeed()
    _ = try Theatre.run(promtool, ["test", "rules", folder + "/alerts-test.yaml"]).succeed()
  }
}
