import Foundation
import Logging
import ObjectStore
import Queue

/// Where the status endpoint listens and who may ask.
struct StatusSettings: Sendable {
  let address: StatusAddress
  /// Names that a Host header may have, beside addresses and this machine's own.
  var hosts: [String] = []

  /// - Parameter allowsRemote: without it an address that other machines reach is refused.
  /// - Throws: ``CannotStart``, `WireError`.
  init(listen: String, allowsRemote: Bool, hosts: [String] = []) throws {
    address = try StatusAddress(listen)
    self.hosts = hosts
    guard allowsRemote || address.isLoopback else {
      throw CannotStart(
        "the status endpoint on \(address) would answer whoever reaches this machine, without a password and in clear: "
          + "listen on 127.0.0.1, or permit it by --metrics-allow-remote and keep strangers out by other means")
    }
  }
}

/// The daemon's status endpoint: gathers, and serves what was gathered.
final class StatusEndpoint: Sendable {
  private let keeper: SnapshotKeeper
  private let probe: StoreProbe
  private let server: StatusServer
  private let log: Logger

  /// What it needs of the daemon.
  struct Parts: Sendable {
    var queue: SQLiteQueue
    var store: any ObjectStore
    var schedules: ScheduleBook
    var workers: [WorkerBoard]
    /// Their lines on the page.
    var workerLines: @Sendable () -> [WorkerLine]
    /// Of the daemon's own loops.
    var pulses: [LoopPulse]
    var receipts: RecentReceipts
    var stateFolder: String
  }

  /// Binds; gathers and serves from ``start()`` on.
  ///
  /// - Throws: ``CannotStart``.
  init(
    _ settings: StatusSettings, parts: Parts, metrics: DaemonMetrics, clock: any QueueClock, log: Logger
  ) throws {
    let probe = StoreProbe(store: parts.store)
    do { parts.receipts.note(try parts.queue.recentlyEnded(limit: RecentReceipts.limit)) } catch {
      throw CannotStart("the status endpoint cannot read the queue: \(error)")
    }
    let boards = parts.workers
    let queue = parts.queue
    let keeper = SnapshotKeeper(
      StatusSources(
        about: DaemonAbout(
          version: Version.text, commit: Version.commit, startedMs: clock.now().milliseconds,
          store: parts.store.location),
        queues: { try queue.stats().map(QueueLine.init) }, proveWritable: { try queue.proveWritable() },
        schedules: { now in try parts.schedules.entries.map { try ScheduleFigures.line($0, queue, at: now) } },
        workers: parts.workerLines,
        policy: { boards.compactMap(\.policy).max { $0.version < $1.version } },
        epoch: { boards.compactMap(\.epoch).max { $0.number < $1.number } },
        storeFault: { probe.currentFault }, receipts: { parts.receipts.all }, stateFolder: parts.stateFolder),
      metrics: metrics, clock: clock)
    let pulses = parts.pulses + [keeper.pulse, probe.pulse]
    let routes = StatusRoutes(metrics: metrics, pulses: { pulses }, snapshot: { keeper.latest }, clock: clock)
    server = try StatusServer(settings.address, hosts: settings.hosts) { routes.answer($0) }
    (self.keeper, self.probe, self.log) = (keeper, probe, log)
    if !settings.address.isLoopback {
      log.warning(
        "the status endpoint answers whoever reaches it, without a password and in clear",
        metadata: ["address": "\(server.boundAddress)"])
    }
  }

  /// Where it listens.
  var address: StatusAddress { server.boundAddress }

  func start() {
    probe.start()
    keeper.start()
    log.info("status endpoint is ready", metadata: ["address": "\(address)"])
  }

  func stop() {
    server.stop()
    keeper.stop(within: 1)
    probe.stop(within: 1)
  }
}
