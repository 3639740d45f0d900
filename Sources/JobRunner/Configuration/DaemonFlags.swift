import ArgumentParser
import Foundation

/// The flags of `ephemeral daemon run`, each a key of ``DaemonConfiguration``.
struct DaemonFlags: ParsableArguments {
  @Option(help: ArgumentHelp("The configuration file (default: $EPHEMERAL_CONFIG).", valueName: "file"))
  var config: String?
  @Option(help: "\(ConfigurationKey.store.summary)")
  var store: String?
  @Option(help: "\(ConfigurationKey.state.summary)")
  var state: String?
  @Option(help: "\(ConfigurationKey.workers.summary) Give it once for each.")
  var worker: [String] = []
  @Option(help: "\(ConfigurationKey.workerSilenceSeconds.summary)")
  var workerSilence: String?
  @Option(help: "\(ConfigurationKey.relayTarget.summary)")
  var relayTarget: String?
  @Option(help: "\(ConfigurationKey.relayListen.summary)")
  var relayListen: String?
  @Option(help: "\(ConfigurationKey.relayAddress.summary)")
  var relayAddress: String?
  @Option(help: "\(ConfigurationKey.socket.summary)")
  var socket: String?
  @Option(help: "\(ConfigurationKey.policyKey.summary)")
  var policyKey: String?
  @Option(help: "\(ConfigurationKey.schedules.summary)")
  var schedules: String?
  @Option(help: "\(ConfigurationKey.awsProfile.summary)")
  var awsProfile: String?
  @Option(help: "\(ConfigurationKey.pollSeconds.summary)")
  var poll: String?
  @Option(help: "\(ConfigurationKey.drainSeconds.summary)")
  var drainSeconds: String?
  @Option(help: "\(ConfigurationKey.logFormat.summary)")
  var logFormat: String?
  @Option(help: "\(ConfigurationKey.logLevel.summary)")
  var logLevel: String?
  @Option(help: "\(ConfigurationKey.eventQueue.summary)")
  var eventQueue: String?
  @Option(help: "\(ConfigurationKey.metricsListen.summary)")
  var metricsListen: String?
  @Flag(help: "\(ConfigurationKey.metricsAllowRemote.summary)")
  var metricsAllowRemote = false
  @Option(help: "\(ConfigurationKey.metricsHosts.summary)")
  var metricsHosts: String?
  @Option(name: .customLong("set"), help: "Any key of the configuration, as KEY=VALUE.")
  var settings: [String] = []

  /// What was given, by the key's name.
  private var given: [String: String] {
    let pairs: [(ConfigurationKey, String?)] = [
      (.store, store), (.state, state), (.workerSilenceSeconds, workerSilence), (.relayTarget, relayTarget),
      (.relayListen, relayListen), (.relayAddress, relayAddress), (.socket, socket), (.policyKey, policyKey),
      (.schedules, schedules), (.awsProfile, awsProfile), (.pollSeconds, poll), (.drainSeconds, drainSeconds),
      (.logFormat, logFormat), (.logLevel, logLevel), (.eventQueue, eventQueue),
      (.metricsListen, metricsListen),
      (.metricsAllowRemote, metricsAllowRemote ? "true" : nil), (.metricsHosts, metricsHosts),
    ]
    return pairs.reduce(into: [:]) { $0[$1.0.name] = $1.1 }
  }

  /// Every key's value, read anew: at the start, and at SIGHUP.
  ///
  /// - Throws: ``ConfigurationError``.
  func values(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> ConfigurationValues {
    try ConfigurationValues(
      flags: given, workers: worker, settings: settings, environment: environment,
      file: try Self.file(config, environment))
  }

  /// The configuration file that flag or environment name.
  static func file(_ flag: String?, _ environment: [String: String]) throws -> ConfigurationFile? {
    guard let path = flag ?? environment["EPHEMERAL_CONFIG"].flatMap({ $0.isEmpty ? nil : $0 }) else { return nil }
    return try ConfigurationFile(path: path, keys: DaemonConfiguration.keys)
  }
}
