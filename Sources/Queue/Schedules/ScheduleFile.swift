import Foundation
import Yams

// Strict on purpose: a misspelt `overlap` that silently means the default costs somebody a night.

/// A definition and the file that holds it.
package struct ScheduleSource: Hashable, Sendable {
  /// The file's name in its folder.
  package let file: String
  /// The whole file.
  package let text: String
  package let definition: ScheduleDefinition

  package init(file: String, text: String, definition: ScheduleDefinition) {
    self.file = file
    self.text = text
    self.definition = definition
  }
}

/// Reads schedule definitions. Every refusal names file and line.
package enum ScheduleFile {
  /// The largest file that is read, in bytes.
  package static let byteLimit = 64 << 10
  private static let keys: Set<String> = [
    "name", "summary", "queue", "cron", "timeZone", "catchup", "overlap", "startingDeadlineSeconds", "priority",
    "operation", "model",
  ]

  /// Every `.yaml` file of a folder (not of folders below it), by name.
  /// - Throws: ``ScheduleError``; also when two schedules share a name or an inbox.
  package static func readAll(inFolder folder: String) throws -> [ScheduleSource] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }.sorted()
    var sources: [ScheduleSource] = []
    for name in names {
      let text = try readText(folder + "/" + name)
      let definition = try parse(text, file: folder + "/" + name)
      for other in sources.map(\.definition) {
        guard other.name != definition.name else { throw ScheduleError("\(name): a second schedule \(other.name)") }
        guard other.queue != definition.queue else {
          throw ScheduleError("\(name): schedule \(other.name) already takes what is in the inbox \(other.queue)")
        }
      }
      sources.append(ScheduleSource(file: name, text: text, definition: definition))
    }
    return sources
  }

  /// - Throws: ``ScheduleError``
  package static func read(file path: String) throws -> ScheduleDefinition {
    try parse(try readText(path), file: path)
  }

  /// The text of a definition's file, within the limit.
  /// - Throws: ``ScheduleError``
  package static func readText(_ path: String) throws -> String {
    guard let handle = FileHandle(forReadingAtPath: path) else { throw ScheduleError("\(path): cannot be read") }
    defer { try? handle.close() }
    let bytes = try handle.read(upToCount: byteLimit + 1) ?? Data()
    guard bytes.count <= byteLimit else { throw ScheduleError("\(path): larger than \(byteLimit) bytes") }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw ScheduleError("\(path): not UTF-8") }
    return text
  }

  /// - Parameter file: how refusals call the text.
  /// - Throws: ``ScheduleError``
  package static func parse(_ text: String, file: String) throws -> ScheduleDefinition {
    do {
      return try definition(Fields(text))
    } catch let error as ScheduleError {
      throw ScheduleError("\(file):\(error)")
    } catch let error as YamlError {
      throw ScheduleError("\(file): not YAML: \(error)")
    }
  }

  private static func definition(_ fields: Fields) throws -> ScheduleDefinition {
    let nameText = try fields.required("name")
    guard let name = QueueName(nameText)?.rawValue else {
      throw fields.fault("name", "1 to 64 of a-z, 0-9, - and _, not \"\(nameText)\"")
    }
    let queueText = fields.text("queue") ?? name
    guard let queue = QueueName(queueText) else {
      throw fields.fault("queue", "1 to 64 of a-z, 0-9, - and _, not \"\(queueText)\"")
    }
    return ScheduleDefinition(
      name: name, summary: fields.text("summary"), queue: queue, calendar: try calendar(fields),
      catchup: try fields.word("catchup") ?? .latest, overlap: try fields.word("overlap") ?? .skip,
      startingDeadline: try fields.integer("startingDeadlineSeconds", in: 1...31_536_000).map(Duration.seconds),
      priority: try fields.integer("priority", in: -1_000...1_000) ?? 0, operation: fields.text("operation"),
      model: fields.text("model"))
  }

  private static func calendar(_ fields: Fields) throws -> CronCalendar? {
    guard let cron = fields.text("cron") else {
      guard fields.text("timeZone") == nil else { throw fields.fault("timeZone", "means nothing without cron") }
      return nil
    }
    do {
      return try CronCalendar(CronExpression(cron), timeZone: fields.text("timeZone") ?? "UTC")
    } catch let error as ScheduleError {
      throw ScheduleError("\(fields.line(of: error.description.hasPrefix("cron") ? "cron" : "timeZone")): \(error)")
    }
  }

  /// The scalars of the one mapping that a file is.
  private struct Fields {
    private var values: [String: Node.Scalar] = [:]

    init(_ text: String) throws {
      guard let node = try Yams.compose(yaml: text), let mapping = node.mapping else {
        throw ScheduleError("1: a mapping of \(keys.sorted().joined(separator: ", "))")
      }
      for (key, value) in mapping {
        let line = key.mark?.line ?? 1
        guard let name = key.scalar?.string, keys.contains(name) else {
          throw ScheduleError("\(line): unknown key \(key.scalar?.string ?? "(not a word)")")
        }
        guard let scalar = value.scalar else { throw ScheduleError("\(line): \(name) takes one value") }
        guard values.updateValue(scalar, forKey: name) == nil else { throw ScheduleError("\(line): \(name) again") }
      }
    }

    func text(_ key: String) -> String? { values[key]?.string }

    func required(_ key: String) throws -> String {
      guard let text = text(key) else { throw ScheduleError("1: \(key) is missing") }
      return text
    }

    func word<Word: RawRepresentable & CaseIterable>(_ key: String) throws -> Word? where Word.RawValue == String {
      guard let text = text(key) else { return nil }
      guard let word = Word(rawValue: text) else {
        throw fault(key, "one of \(Word.allCases.map(\.rawValue).joined(separator: ", ")), not \"\(text)\"")
      }
      return word
    }

    func integer(_ key: String, in range: ClosedRange<Int64>) throws -> Int64? {
      guard let text = text(key) else { return nil }
      guard let number = Int64(text), range.contains(number) else {
        throw fault(key, "a number from \(range.lowerBound) to \(range.upperBound), not \"\(text)\"")
      }
      return number
    }

    func line(of key: String) -> Int { values[key]?.mark?.line ?? 1 }

    func fault(_ key: String, _ words: String) -> ScheduleError { ScheduleError("\(line(of: key)): \(key): \(words)") }
  }
}
