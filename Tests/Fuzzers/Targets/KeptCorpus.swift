import Foundation
import TestSupport

/// The inputs that are kept for one target, `Tests/Vectors/fuzz/<target>.txt`: one a line, in base64.
///
/// First the findings, each under a comment that says what was wrong, and for ever; below the line ``mark`` the corpus,
/// which `scripts/fuzz.sh --keep` writes anew.
struct KeptCorpus {
  /// Ends the findings.
  static let mark = "# corpus"
  /// Bytes of a corpus in all, unencoded; libFuzzer finds the rest again.
  static let limitBytes = 100_000

  let findings: [[UInt8]]
  let corpus: [[UInt8]]
  private let url: URL
  private let head: [Substring]

  /// Empty where there is no file yet.
  init(_ target: FuzzTarget) throws {
    url = Checkout.root.appending(path: "Tests/Vectors/fuzz/\(target.name).txt")
    let text = FileManager.default.fileExists(atPath: url.path) ? try String(contentsOf: url, encoding: .utf8) : ""
    let lines = text.split(separator: "\n")
    head = Array(lines.prefix { $0 != Self.mark })
    func decode(_ lines: some Sequence<Substring>) throws -> [[UInt8]] {
      try lines.filter { !$0.hasPrefix("#") }.map { line in
        guard let bytes = Data(base64Encoded: String(line)) else { throw Violation("\(target.name): a broken line") }
        return [UInt8](bytes)
      }
    }
    findings = try decode(head)
    corpus = try decode(lines.dropFirst(head.count + 1))
  }

  /// Puts the files of `folder` in the place of the corpus, the shortest first, as far as ``limitBytes`` reach.
  func replace(byFilesOf folder: URL) throws {
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    let inputs = try files.map { try Data(contentsOf: $0) }.filter { !$0.isEmpty }
      .sorted { ($0.count, $0.base64EncodedString()) < ($1.count, $1.base64EncodedString()) }
    var room = Self.limitBytes
    var lines = head.map(String.init) + [Self.mark]
    for input in inputs where input.count <= room {
      room -= input.count
      lines.append(input.base64EncodedString())
    }
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: url)
  }
}
