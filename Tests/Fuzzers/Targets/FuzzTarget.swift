import Foundation
import TestSupport
import Wire

/// One decoder of a peer's bytes, and what must hold whatever the bytes are.
///
/// The same bodies serve libFuzzer (`make fuzz`) and the replay of the kept corpora (`make test`).
struct FuzzTarget: Sendable {
  /// Names the target's file in `Tests/Vectors/fuzz`, too.
  let name: String
  /// Longest input worth trying, in bytes.
  let longestBytes: Int
  /// Where to begin: valid inputs.
  let seeds: @Sendable () throws -> [[UInt8]]
  /// Decodes. What it throws is a refusal, and right; ``Violation`` alone is a finding, as a trap is.
  let body: @Sendable ([UInt8]) throws -> Void

  init(
    _ name: String, longestBytes: Int = 4096, seeds: @escaping @Sendable () throws -> [[UInt8]],
    body: @escaping @Sendable ([UInt8]) throws -> Void
  ) {
    self.name = name
    self.longestBytes = longestBytes
    self.seeds = seeds
    self.body = body
  }

  /// - Throws: ``Violation``, and nothing else.
  func run(_ bytes: [UInt8]) throws(Violation) {
    do {
      try body(bytes)
    } catch let violation as Violation {
      throw violation
    } catch {
      // Refused, as hostile bytes are. The words are made too, since they quote the place.
      _ = "\(error)"
    }
  }

  /// Seeds, findings and corpus: all that `make test` runs.
  func keptInputs() throws -> [[UInt8]] {
    let kept = try KeptCorpus(self)
    return try seeds() + kept.findings + kept.corpus
  }

  /// Writes each kept input to a file of its own.
  func writeInputs(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (index, input) in try keptInputs().enumerated() {
      try Data(input).write(to: folder.appending(path: "kept-\(index)"))
    }
  }
}

/// A promise of a decoder that some bytes broke.
struct Violation: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// - Throws: ``Violation`` unless `condition` holds.
func hold(_ condition: Bool, _ promise: @autoclosure () -> String) throws(Violation) {
  guard condition else { throw Violation(promise()) }
}

/// Files of `Tests/Vectors` as seeds.
enum VectorFile {
  static func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: Checkout.root.appending(path: "Tests/Vectors/\(path)")))
  }

  /// Every regular file of a folder, in the order of their names.
  static func all(in folder: String) throws -> [[UInt8]] {
    let root = Checkout.root.appending(path: "Tests/Vectors/\(folder)")
    let names = try FileManager.default.contentsOfDirectory(atPath: root.path).sorted()
    return try names.map { [UInt8](try Data(contentsOf: root.appending(path: $0))) }
  }
}

/// Takes an input apart, for targets that need more than one run of bytes. Whatever is missing is empty or zero.
struct Scissors {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func number() -> Int { Int(byte()) << 8 | Int(byte()) }

  /// Up to the next `separator`, which is dropped.
  mutating func part(until separator: UInt8 = 0) -> [UInt8] {
    let part = rest.prefix { $0 != separator }
    rest = rest.dropFirst(part.count + 1)
    return Array(part)
  }

  mutating func all() -> [UInt8] {
    defer { rest = [] }
    return Array(rest)
  }
}
