import Foundation
import TestSupport
import Testing
import Wire

@testable import SealedCrypto

/// One test vector: a text header that states the outcome, an empty line, an age file.
struct AgeVector: CustomTestStringConvertible {
  let name: String
  /// `expect`: "success" or the name of an ``AgeError/Kind``.
  let expectation: String
  let file: [UInt8]
  private let fields: [(name: String, value: String)]

  var testDescription: String { name }

  init(_ url: URL) throws {
    let bytes = [UInt8](try Data(contentsOf: url))
    name = url.lastPathComponent
    var rest = bytes[...]
    var fields: [(name: String, value: String)] = []
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")), end > rest.startIndex {
      let line = String(decoding: rest[..<end], as: UTF8.self)
      let colon = try #require(line.firstRange(of: ": "))
      fields.append((String(line[..<colon.lowerBound]), String(line[colon.upperBound...])))
      rest = rest[(end + 1)...]
    }
    self.fields = fields
    expectation = try #require(fields.first { $0.name == "expect" }?.value)
    let body = Array(rest.dropFirst())
    let compression = fields.first { $0.name == "compressed" }?.value
    file = compression == nil ? body : try Self.inflate(body)
  }

  func values(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

  func bytes(_ name: String) throws -> [UInt8] { try #require(values(name).first.flatMap { Hex.decode($0) }) }

  /// The identities that the vector names.
  func identities() throws -> [any AgeIdentity] {
    var identities: [any AgeIdentity] = try values("identity").map { text in
      if text.hasPrefix("AGE-SECRET-KEY-PQ-1") { return try HybridIdentity(text) }
      return try AgeX25519Identity(text)
    }
    if let keyARN = values("key arn").first {
      let dataKey = try bytes("data key")
      identities.append(KMSStanzaIdentity(expectedKeyARN: keyARN) { _ in try SecretBytes(copying: dataKey) })
    }
    return identities
  }

  /// Every vector of `folder`; none where it is missing.
  static func all(in folder: URL) -> [AgeVector] {
    let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
    return files.filter { $0.pathExtension.isEmpty }.sorted { $0.path < $1.path }.compactMap { try? AgeVector($0) }
  }

  /// The public vectors of C2SP; none where they are missing.
  static let publicVectors = (try? Need.vectors.require()).map { all(in: $0.appending(path: "age")) } ?? []

  /// Our own.
  static let ownVectors = all(in: Checkout.root.appending(path: "Tests/Vectors/age"))

  /// zlib for the vectors that are stored compressed; Python has it wherever these tests run.
  private static func inflate(_ bytes: [UInt8]) throws -> [UInt8] {
    let script = "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))"
    return try AgeCommand.run("/usr/bin/env", ["python3", "-c", script], input: bytes)
  }
}

/// Runs another program.
enum AgeCommand {
  struct Failed: Error { let status: Int32 }

  /// Its standard output; what it says on standard error is dropped.
  static func run(_ program: String, _ arguments: [String], input: [UInt8] = []) throws -> [UInt8] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("age-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(at: folder) }
    let inputFile = folder.appendingPathComponent("input")
    let outputFile = folder.appendingPathComponent("output")
    try Data(input).write(to: inputFile)
    try Data().write(to: outputFile)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardInput = try FileHandle(forReadingFrom: inputFile)
    process.standardOutput = try FileHandle(forWritingTo: outputFile)
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failed(status: process.terminationStatus) }
    return [UInt8](try Data(contentsOf: outputFile))
  }
}
