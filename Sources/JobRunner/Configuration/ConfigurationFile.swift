import Foundation
import Glibc
import Yams

/// The daemon's configuration file: YAML, one mapping of keys to scalars, and `workers`, a list of mappings.
///
/// Strict on purpose: a misspelt key that silently means its default costs somebody a night. Every refusal names file
/// and line. The file decides which programs the daemon starts, so one that others may write starts none.
struct ConfigurationFile: Sendable {
  /// The largest file that is read, in bytes.
  static let byteLimit = 256 << 10

  let path: String
  /// Scalars by key.
  private(set) var values: [String: (text: String, line: Int)] = [:]
  /// Nil where the file names none.
  private(set) var workers: (list: [WorkerSettings], line: Int)?

  /// Reads a file.
  ///
  /// - Throws: ``ConfigurationError``.
  init(path: String, keys: [ConfigurationKey]) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ConfigurationError("\(path): \(String(cString: strerror(errno)))") }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw ConfigurationError("\(path): is no regular file")
    }
    guard let data = try? handle.read(upToCount: Self.byteLimit + 1) ?? Data() else {
      throw ConfigurationError("\(path): cannot be read")
    }
    guard data.count <= Self.byteLimit else { throw ConfigurationError("\(path): larger than \(Self.byteLimit) bytes") }
    guard let text = String(validating: data, as: UTF8.self) else { throw ConfigurationError("\(path): not UTF-8") }
    try self.init(text, path: path, keys: keys)
    if status.st_mode & 0o022 != 0, workers?.list.contains(where: { $0.start != nil }) ?? false {
      throw ConfigurationError("\(path): names programs to start and may be written by others; chmod go-w it")
    }
  }

  /// - Parameter path: how refusals call the text.
  /// - Throws: ``ConfigurationError``.
  init(_ text: String, path: String, keys: [ConfigurationKey]) throws {
    self.path = path
    let node: Node?
    do {
      node = try Yams.compose(yaml: text)
    } catch YamlError.duplicatedKeysInMapping(let duplicates, let context) {
      let key = duplicates.first.map { "\($0)" } ?? ""
      throw ConfigurationError("\(path):\(context.mark.line): `\(key)` stands twice")
    } catch {
      throw ConfigurationError("\(path): not YAML: \(error)")
    }
    // An empty file, or one of comments alone.
    guard let node, node.scalar?.string != "" else { return }
    for (name, value, line) in try Self.entries(node, in: path, at: 1) {
      guard let key = keys.first(where: { $0.name == name }) else {
        throw ConfigurationError("\(path):\(line): `\(name)` is not known here\(Self.nearest(name, keys))")
      }
      if case .workers = key.kind {
        workers = (try Self.workers(value, in: path, at: line), line)
        continue
      }
      values[name] = (try Self.scalar(value, name, in: path, at: line), line)
    }
  }

  /// The key that shares the longest beginning with an unknown one, if that is more than half of it.
  private static func nearest(_ name: String, _ keys: [ConfigurationKey]) -> String {
    let shared = { (key: ConfigurationKey) in key.name.commonPrefix(with: name, options: .caseInsensitive).count }
    guard let key = keys.max(by: { shared($0) < shared($1) }), shared(key) > 2, shared(key) * 2 > name.count else {
      return ""
    }
    return "; is `\(key.name)` meant?"
  }
}

// MARK: YAML's nodes

extension ConfigurationFile {
  /// A mapping's keys, values and lines; a key stands once.
  private static func entries(
    _ node: Node, in path: String, at line: Int
  ) throws -> [(name: String, value: Node, line: Int)] {
    let line = node.mark?.line ?? line
    guard let mapping = node.mapping else {
      throw ConfigurationError("\(path):\(line): must be a mapping of keys to values")
    }
    var seen: Set<String> = []
    return try mapping.map { key, value in
      let line = key.mark?.line ?? line
      guard let name = key.scalar?.string else { throw ConfigurationError("\(path):\(line): a key is no text") }
      guard seen.insert(name).inserted else { throw ConfigurationError("\(path):\(line): `\(name)` stands twice") }
      return (name, value, line)
    }
  }

  private static func scalar(_ node: Node, _ name: String, in path: String, at line: Int) throws -> String {
    guard let scalar = node.scalar, !scalar.string.isEmpty else {
      throw ConfigurationError("\(path):\(line): `\(name)` must be one value")
    }
    return scalar.string
  }

  private static func texts(_ node: Node, _ name: String, in path: String, at line: Int) throws -> [String] {
    guard let list = node.sequence, !list.isEmpty else {
      throw ConfigurationError("\(path):\(line): `\(name)` must be a list")
    }
    return try list.map { try scalar($0, name, in: path, at: $0.mark?.line ?? line) }
  }

  private static func workers(_ node: Node, in path: String, at line: Int) throws -> [WorkerSettings] {
    guard let list = node.sequence, !list.isEmpty else {
      throw ConfigurationError("\(path):\(line): `workers` must be a list of at least one worker")
    }
    return try list.map { node in
      let line = node.mark?.line ?? line
      var draft = WorkerSettings.Draft()
      for (name, value, line) in try entries(node, in: path, at: line) {
        do {
          switch name {
          case "queues": try draft.setQueues(try texts(value, name, in: path, at: line))
          case "start": draft.start = try start(value, in: path, at: line)
          case _ where WorkerSettings.keys.contains(name):
            try draft.set(name, try scalar(value, name, in: path, at: line))
          default: throw ConfigurationError("is not known here")
          }
        } catch let error as ConfigurationError where !error.description.hasPrefix("\(path):") {
          throw ConfigurationError("\(path):\(line): `\(name)` \(error)")
        }
      }
      do { return try draft.finished() } catch let error as ConfigurationError {
        throw ConfigurationError("\(path):\(line): \(error)")
      }
    }
  }

  private static func start(_ node: Node, in path: String, at line: Int) throws -> StartCommand {
    var command: StartCommand?
    var environment: [String: String] = [:]
    var folder = "/"
    var stopSeconds = StartCommand.defaultStopSeconds
    for (name, value, line) in try entries(node, in: path, at: line) {
      switch name {
      case "command": command = try StartCommand(try texts(value, name, in: path, at: line))
      case "environment":
        for (variable, text, line) in try entries(value, in: path, at: line) {
          environment[variable] = try scalar(text, variable, in: path, at: line)
        }
      case "folder": folder = try scalar(value, name, in: path, at: line)
      case "stop_seconds":
        guard let seconds = Double(try scalar(value, name, in: path, at: line)), (0.1...600).contains(seconds) else {
          throw ConfigurationError("\(path):\(line): `stop_seconds` takes 0.1 to 600 seconds")
        }
        stopSeconds = seconds
      default: throw ConfigurationError("\(path):\(line): `\(name)` is not known here")
      }
    }
    guard var command else { throw ConfigurationError("\(path):\(line): `start` needs a `command`, a list") }
    command.environment = environment
    command.folder = folder
    command.stopSeconds = stopSeconds
    return command
  }
}
