import Glibc
import Inference
import Wire

/// Made texts as files, one for each item, named by the items' ids: `texts/reports/a.txt.json` for the document
/// `reports/a.txt`. `texts.jsonl` says of each item which file it has, and how its text ended.
///
/// Ids are whatever lines said: one that is no plain path below the folder, or that is taken, gets `item-N`.
struct TextFiles {
  static let folder = "texts"
  static let index = "texts.jsonl"

  private let directory: String
  private let list: BufferedSink
  /// Files that are there, and folders, each a path below `texts`.
  private var files: Set<String> = []
  private var folders: Set<String> = []

  /// - Parameter directory: a folder that is being made.
  init(in directory: String) throws {
    self.directory = directory
    try PrivateFiles.makeDirectory("\(directory)/\(Self.folder)")
    list = BufferedSink(try OpenedFile(creating: "\(directory)/\(Self.index)"))
  }

  /// Writes one text.
  mutating func add(_ line: OutputLine.CompletionLine) throws {
    let text = Array(line.text.utf8)
    let (name, file) = try take(line.customID, index: line.index, ending: Self.isJSON(text) ? ".json" : ".txt")
    try file.write(text + (text.last == 0x0A ? [] : [0x0A]))
    try file.sync()
    let entry = JSONLine.object([
      ("id", .text(line.customID)), ("file", .text("\(Self.folder)/\(name)")),
      ("finish_reason", .text(line.finish.rawValue)),
    ])
    try list.write(Array(entry.encoded.utf8) + [0x0A])
  }

  /// Makes the list durable, and the names of all files.
  func finish() throws {
    try list.finish()
    for folder in folders { try PrivateFiles.syncDirectory(of: "\(directory)/\(Self.folder)/\(folder)/.") }
    try PrivateFiles.syncDirectory(of: "\(directory)/\(Self.folder)/.")
  }

  /// A file under a name that is free, with the folders above it made. A name that the file system refuses (too long, or
  /// another one's but for letters' case) costs its item the name alone.
  private mutating func take(_ id: String, index: Int, ending: String) throws -> (name: String, file: OpenedFile) {
    if let parts = Self.parts(id), let name = place(parts, ending), let file = open(name) {
      files.insert(name)
      return (name, file)
    }
    var name = "item-\(index)"
    while files.contains(name + ending) || folders.contains(name + ending) { name += "-" }
    name += ending
    let file = try OpenedFile(creating: path(name))
    files.insert(name)
    return (name, file)
  }

  private func path(_ name: String) -> String { "\(directory)/\(Self.folder)/\(name)" }

  private func open(_ name: String) -> OpenedFile? {
    let descriptor = Glibc.open(
      path(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, PrivateFiles.secretMode)
    return descriptor >= 0 ? OpenedFile(descriptor: descriptor, path: path(name)) : nil
  }

  private mutating func place(_ parts: [Substring], _ ending: String) -> String? {
    let name = parts.joined(separator: "/") + ending
    let above = parts.indices.dropFirst().map { parts[..<$0].joined(separator: "/") }
    guard !files.contains(name), !folders.contains(name), above.allSatisfy({ !files.contains($0) }) else { return nil }
    for folder in above where !folders.contains(folder) {
      guard mkdir(path(folder), 0o700) == 0 else { return nil }
      folders.insert(folder)
    }
    return name
  }

  /// Whether all files below `texts` are those of the list: then a folder of results may be replaced with them.
  static func areAll(in directory: String) throws -> Bool {
    guard PrivateFiles.exists("\(directory)/\(folder)") else { return true }
    guard try PrivateFiles.isDirectory("\(directory)/\(folder)") == true, PrivateFiles.exists("\(directory)/\(index)")
    else { return false }
    let list = try OpenedFile(reading: "\(directory)/\(index)")
    var splitter = LineSplitter(limit: LineLimits.outputLineBytes)
    var names: Set<String> = []
    while case let bytes = try list.read(upTo: 1 << 16), !bytes.isEmpty {
      for line in splitter.feed(bytes) {
        let entry = line.bytes.flatMap { try? JSONValue(parsing: $0, limits: JSONLimits(bytes: $0.count, values: 100)) }
        guard let name = entry?.object?["file"]?.string else { return false }
        names.insert(name)
      }
    }
    func holdsNoOther(_ path: String, depth: Int) throws -> Bool {
      guard depth > 0 else { return false }
      return try PrivateFiles.names(in: "\(directory)/\(path)").allSatisfy { name in
        let inner = "\(path)/\(name)"
        if try PrivateFiles.isDirectory("\(directory)/\(inner)") == true {
          return try holdsNoOther(inner, depth: depth - 1)
        }
        return names.contains(inner)
      }
    }
    return try holdsNoOther(folder, depth: 32)
  }

  /// An id that is a plain path below a folder, by its parts.
  private static func parts(_ id: String) -> [Substring]? {
    let parts = id.split(separator: "/", omittingEmptySubsequences: false)
    let isPlain = parts.allSatisfy { part in
      (1...200).contains(part.utf8.count) && part.utf8.first != UInt8(ascii: ".")
        && part.unicodeScalars.allSatisfy { !$0.properties.isControl && $0 != "\\" }
    }
    return isPlain && parts.count <= 16 ? parts : nil
  }

  /// Whether a text is an object or a list of JSON.
  private static func isJSON(_ text: [UInt8]) -> Bool {
    guard let first = text.first(where: { $0 > 0x20 }), first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else {
      return false
    }
    return (try? JSONValue(parsing: text, limits: JSONLimits(bytes: text.count, values: 1_000_000))) != nil
  }
}

extension Unicode.Scalar.Properties {
  fileprivate var isControl: Bool { generalCategory == .control || generalCategory == .format }
}
