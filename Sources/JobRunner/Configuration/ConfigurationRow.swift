/// One setting as `config show` has it.
struct ConfigurationRow: Sendable, Equatable {
  let key: String
  /// Nil where nobody set it and it has no default; never a secret.
  let value: String?
  let origin: ConfigurationOrigin
}

extension ConfigurationValues {
  /// Every key, then every worker's own.
  var rows: [ConfigurationRow] {
    keys.flatMap { key -> [ConfigurationRow] in
      if case .workers = key.kind {
        guard !workers.isEmpty else { return [ConfigurationRow(key: key.name, value: nil, origin: .fallback)] }
        return workers.flatMap { $0.rows(at: workersOrigin) }
      }
      let shown = text(key).map { key.isSecret ? "(set, not shown)" : $0 }
      return [ConfigurationRow(key: key.name, value: shown, origin: origin(key))]
    }
  }
}

extension WorkerSettings {
  fileprivate func rows(at origin: ConfigurationOrigin) -> [ConfigurationRow] {
    let pairs: [(String, String?)] = [
      ("endpoint", "\(endpoint)"), ("silence_seconds", silenceSeconds.map { "\($0)" }),
      ("queues", queues.map { $0.map(\.rawValue).joined(separator: " ") }),
      ("relay_listen", relayListen.map { "\($0)" }), ("relay_address", relayAddress.map { "\($0)" }),
      ("start.command", start.map { $0.arguments.joined(separator: " ") }),
      ("start.environment", start.map { $0.environment.keys.sorted().joined(separator: " ") }),
      ("start.folder", start?.folder), ("start.stop_seconds", start.map { "\($0.stopSeconds)" }),
    ]
    return pairs.compactMap { name, value in
      guard let value, !value.isEmpty else { return nil }
      return ConfigurationRow(key: "workers.\(self.name).\(name)", value: value, origin: origin)
    }
  }
}
