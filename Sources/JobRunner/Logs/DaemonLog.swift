import CPlatform
import Glibc
import Logging
import Synchronization

/// The daemon's log on standard error: one `write` a line, in the chosen format, at a level that can change while it runs.
final class DaemonLog: Sendable {
  private let format: LogFormat
  private let descriptor: Int32
  /// Lines go to the journal: each begins with its priority, `<4>`, which systemd takes off again (sd-daemon(3)).
  private let hasPriorities: Bool
  private let minimum: Mutex<Logger.Level>
  /// Held while a line is written, so that a line that the system takes in pieces stays whole.
  private let writing = Mutex(())

  /// - Parameter descriptor: where lines go; not closed.
  init(format: LogFormat, level: Logger.Level, descriptor: Int32 = STDERR_FILENO, isJournal: Bool? = nil) {
    self.format = format
    self.descriptor = descriptor
    minimum = Mutex(level)
    hasPriorities = isJournal ?? Self.isJournal(descriptor)
  }

  var level: Logger.Level {
    get { minimum.withLock { $0 } }
    set { minimum.withLock { $0 = newValue } }
  }

  var logger: Logger { Logger(label: "ephemeral") { [self] _ in Handler(sink: self) } }

  /// Whether the descriptor is the journal's stream, as systemd says it.
  private static func isJournal(_ descriptor: Int32) -> Bool {
    guard let text = getenv("JOURNAL_STREAM").map({ String(cString: $0) }) else { return false }
    var status = stat()
    return fstat(descriptor, &status) == 0 && text == "\(status.st_dev):\(status.st_ino)"
  }

  private func write(_ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata) {
    let line = format.line(level: level, message: message, metadata: metadata, timeMs: cplatform_now_ms())
    var rest = Array(((hasPriorities ? "<\(level.priority)>" : "") + line + "\n").utf8)[...]
    writing.withLock { _ in
      // A log that cannot be written stops nothing.
      while !rest.isEmpty {
        let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if written < 0 {
          guard errno == EINTR else { return }
        } else {
          rest = rest.dropFirst(written)
        }
      }
    }
  }

  private struct Handler: LogHandler {
    let sink: DaemonLog
    var metadata: Logger.Metadata = [:]
    /// The daemon's, whatever a copy of the logger was told: one place changes it for all.
    var logLevel: Logger.Level {
      get { sink.level }
      set { sink.level = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let merged = event.metadata.map { metadata.merging($0) { $1 } } ?? metadata
      sink.write(event.level, "\(event.message)", merged)
    }
  }
}

extension Logger.Level {
  /// As syslog(3) counts.
  fileprivate var priority: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}
