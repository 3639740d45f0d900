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
    let name = take(line.customID, index: line.index, ending: Self.isJSON(text) ? ".json" : ".txt")
    let file = try OpenedFile(creating: "\(directory)/\(Self.folder)/\(name)")
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

  /// A name that is free, with the folders above it made.
  private mutating func take(_ id: String, index: Int, ending: String) -> String {
    if let parts = Self.parts(id), let name = place(parts, ending) { return name }
    var name = "item-\(index)"
    while files.contains(name + ending) || folders.contains(name + ending) { name += "-" }
    files.insert(name + ending)
    return name + ending
  }

  private mutating func place(_ parts: [Substring], _ ending: String) -> String? {
    let name = parts.joined(separator: "/") + ending
    let above = parts.indices.dropFirst().map { parts[..<$0].joined(separator: "/") }
    guard !files.contains(name), !folders.contains(name), above.allSatisfy({ !files.contains($0) }) else { return nil }
    for folder in above where folders.insert(folder).inserted {
      guard mkdir("\(directory)/\(Self.folder)/\(folder)", 0o700) == 0 else { return nil }
    }
    files.insert(name)
    return name
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
