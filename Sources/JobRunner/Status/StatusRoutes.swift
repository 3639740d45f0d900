import Foundation
import NIOHTTP1
import Queue

/// The endpoint's paths. Called on its one thread; nothing here waits.
struct StatusRoutes: Sendable {
  let metrics: DaemonMetrics
  /// The loops that ``HealthReport`` speaks of.
  let pulses: @Sendable () -> [LoopPulse]
  let snapshot: @Sendable () -> StatusSnapshot?
  let clock: any QueueClock

  /// Figures older than this say nothing of the present: what gathers them hangs.
  static let staleAfter = Duration.seconds(60)

  /// The answer to a request.
  func answer(_ request: StatusRequest) -> StatusResponse {
    let response: StatusResponse
    var path = request.path
    switch request.path {
    case "/", "/status": response = page()
    case "/metrics": response = exposition(ExpositionFormat(accept: request.accept))
    case "/healthz": response = health()
    case "/readyz": response = ready()
    case "/status.json": response = json()
    default:
      path = "other"
      response = .plain(.notFound, "there are /status, /status.json, /metrics, /healthz and /readyz")
    }
    metrics.httpRequests.increment([path, "\(response.status.code)"])
    return response
  }

  private func exposition(_ format: ExpositionFormat) -> StatusResponse {
    metrics.take(HealthReport(pulses()))
    return StatusResponse(contentType: format.contentType, body: metrics.exposition(as: format))
  }

  private func health() -> StatusResponse {
    let report = HealthReport(pulses())
    return Self.json(report, report.isHealthy ? .ok : .serviceUnavailable)
  }

  private func ready() -> StatusResponse {
    let readiness = readiness(of: snapshot())
    return Self.json(readiness, readiness.isReady ? .ok : .serviceUnavailable)
  }

  private func json() -> StatusResponse {
    guard var snapshot = snapshot() else { return .plain(.serviceUnavailable, "the daemon is starting") }
    snapshot.readiness = readiness(of: snapshot)
    return Self.json(snapshot, .ok)
  }

  private func page() -> StatusResponse {
    let snapshot = snapshot()
    let page = StatusPage(
      snapshot: snapshot, readiness: readiness(of: snapshot), health: HealthReport(pulses()),
      nowMs: clock.now().milliseconds)
    return StatusResponse(
      contentType: "text/html; charset=utf-8", body: page.html.markup, styleSource: StatusStyle.source)
  }

  /// What the last look said, unless that is too long ago to say anything.
  private func readiness(of snapshot: StatusSnapshot?) -> Readiness {
    guard let snapshot else { return Readiness([.init("figures", fault: "the daemon is starting")]) }
    let age = clock.now() - Timestamp(milliseconds: snapshot.takenMs)
    guard age > Self.staleAfter else { return snapshot.readiness }
    let fault = "gathered \(age.components.seconds) s ago: the queue's database or its disk does not answer"
    return Readiness(snapshot.readiness.checks + [.init("figures", fault: fault)])
  }

  private static func json(_ value: some Encodable, _ status: HTTPResponseStatus) -> StatusResponse {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    guard let data = try? encoder.encode(value) else { return .plain(.internalServerError, "no JSON") }
    return StatusResponse(
      status: status, contentType: "application/json", body: String(decoding: data, as: UTF8.self) + "\n")
  }
}
