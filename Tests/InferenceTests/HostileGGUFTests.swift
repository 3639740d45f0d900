import Testing

@testable import Inference

/// GGUF files may come from anybody: each fault is refused with its own reason and place, and none is a crash.
@Suite("Hostile GGUF files are refused")
struct HostileGGUFTests {
  private static func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    (0..<(Number.bitWidth / 8)).map { UInt8(truncatingIfNeeded: number >> (8 * Number($0))) }
  }

  private static func string(_ text: String) -> [UInt8] { little(UInt64(text.utf8.count)) + Array(text.utf8) }

  /// A file of these parts, each as it stands in a file.
  private struct File {
    var magic = Array("GGUF".utf8)
    var version: UInt32 = 3
    var metadata: [[UInt8]] = [HostileGGUFTests.pair("general.architecture", 8, HostileGGUFTests.string("llama"))]
    var tensors: [[UInt8]] = []
    var counts: (tensors: UInt64, metadata: UInt64)?
    var dataBytes = 0

    var bytes: [UInt8] {
      let counts = counts ?? (UInt64(tensors.count), UInt64(metadata.count))
      var bytes = magic + little(version) + little(counts.tensors) + little(counts.metadata)
      bytes += Array(metadata.joined()) + Array(tensors.joined())
      bytes += [UInt8](repeating: 0, count: -bytes.count & 31)
      return bytes + [UInt8](repeating: 0, count: dataBytes)
    }
  }

  private static func pair(_ key: String, _ type: UInt32, _ value: [UInt8]) -> [UInt8] {
    string(key) + little(type) + value
  }

  private static func tensor(_ name: String, _ sizes: [UInt64], _ type: UInt32, _ offset: UInt64) -> [UInt8] {
    string(name) + little(UInt32(sizes.count)) + Array(sizes.map { little($0) }.joined()) + little(type)
      + little(offset)
  }

  private static let accepted = "accepted"

  private static func reason(_ bytes: [UInt8]) -> String {
    do {
      _ = try bytes.withUnsafeBytes { try GGUFHeader(parsing: $0, fileSize: bytes.count, file: "model.gguf") }
      return accepted
    } catch {
      return "\(error)"
    }
  }

  private static func expect(
    _ expected: String, sourceLocation: SourceLocation = #_sourceLocation, _ change: (inout File) -> Void
  ) {
    var file = File()
    change(&file)
    let reason = reason(file.bytes)
    #expect(
      reason == (expected == accepted ? accepted : "model.gguf: \(expected)"), sourceLocation: sourceLocation)
  }

  @Test("what is no GGUF file, of another version, or of the other byte order")
  func beginning() {
    #expect(Self.reason(File().bytes) == "accepted")
    #expect(Self.reason([]) == "model.gguf: ends inside its header")
    Self.expect("is not a GGUF file") { $0.magic = Array("GGML".utf8) }
    Self.expect("has version 1; 2 and 3 are supported") { $0.version = 1 }
    Self.expect("has version 4; 2 and 3 are supported") { $0.version = 4 }
    Self.expect("is big-endian; only little-endian files are supported") { $0.version = 3 << 24 }
    Self.expect("has \(UInt64.max) tensors, over 20000") { $0.counts = (.max, 0) }
    Self.expect("has \(UInt64.max) keys, over 65536") { $0.counts = (0, .max) }
    Self.expect("the name of a tensor is no UTF-8, or empty") { $0.counts = (20_000, 1) }
    Self.expect("the name of key 1 is no UTF-8, or empty") { $0.counts = (0, 65_536) }
    Self.expect("accepted") {
      $0.version = 2; $0.metadata = []
    }
  }

  @Test("keys and values")
  func metadata() {
    func value(_ expected: String, _ type: UInt32, _ bytes: [UInt8], line: SourceLocation = #_sourceLocation) {
      Self.expect(expected, sourceLocation: line) { $0.metadata.append(Self.pair("k", type, bytes)) }
    }
    func array(_ type: UInt32, _ count: UInt64) -> [UInt8] { Self.little(type) + Self.little(count) }
    value("key `k` has the unknown type 13", 13, [])
    value("key `k` has a truth value that is 2", 7, [2])
    value("key `k` is a string of \(UInt64.max) bytes, over 67108864", 8, Self.little(UInt64.max))
    value("ends inside its header", 8, Self.little(UInt64(1 << 20)))
    value("key `k` has an array of the unknown type 13", 9, array(13, 0))
    value(
      "key `k` has an array of \(UInt64.max) elements, with which there are more than 4194304", 9, array(0, .max))
    value("key `k` has an array of 4194305 elements, with which there are more than 4194304", 9, array(8, 4_194_305))
    for type in UInt32(0)...12 { value("ends inside its header", 9, array(type, 4_000_000)) }
    let nested = (0..<4).flatMap { _ in array(9, 1) }
    value("key `k` has arrays nested deeper than 4", 9, nested + array(0, 0))
    value("accepted", 9, nested.dropLast(12) + array(0, 0))
    // Elements of nested arrays count together.
    value(
      "key `k` has an array of 4194303 elements, with which there are more than 4194304", 9,
      array(9, 2) + array(0, 4_194_303))
    Self.expect("key `general.architecture` stands twice") { $0.metadata.append($0.metadata[0]) }
    Self.expect("the name of key 1 is a string of 1025 bytes, over 1024") {
      $0.metadata.append(Self.pair(String(repeating: "k", count: 1025), 7, [1]))
    }
    Self.expect("the name of key 1 is no UTF-8, or empty") { $0.metadata.append(Self.pair("", 7, [1])) }
    Self.expect("the name of key 1 is no UTF-8, or empty") {
      $0.metadata.append(Self.little(UInt64(1)) + [0xff] + Self.little(UInt32(7)) + [1])
    }
    for (alignment, type) in [(UInt32(0), UInt32(4)), (4, 4), (48, 4), (1 << 17, 4), (1, 6)] {
      Self.expect("key `general.alignment` must be a power of two from 8 to 65536") {
        $0.metadata.append(Self.pair("general.alignment", type, Self.little(alignment)))
      }
    }
    Self.expect("is one of 4 files of a model: merge them into one") {
      $0.metadata.append(Self.pair("split.count", 2, Self.little(UInt16(4))))
    }
  }

  @Test("the table of tensors")
  func tensors() {
    func table(
      _ expected: String, _ tensors: [[UInt8]], data: Int = 0, line: SourceLocation = #_sourceLocation
    ) {
      Self.expect(expected, sourceLocation: line) { ($0.tensors, $0.dataBytes) = (tensors, data) }
    }
    func one(_ expected: String, _ sizes: [UInt64], _ type: UInt32 = 0, offset: UInt64 = 0, data: Int = 0) {
      table(expected, [Self.tensor("t", sizes, type, offset)], data: data)
    }
    one("accepted", [8], data: 32)
    one("tensor `t` has 0 dimensions; 1 to 4 are supported", [])
    one("tensor `t` has 5 dimensions; 1 to 4 are supported", [1, 1, 1, 1, 1])
    one("tensor `t` has a size of 0", [32, 0])
    one("tensor `t` has a size of \(UInt64.max)", [.max])
    one("tensor `t` is too large", [1 << 32, 1 << 32, 1 << 32, 1 << 32])
    one("tensor `t` is too large", [UInt64(Int.max), 2])
    one("tensor `t` is too large", [1 << 34 + 1])
    one("tensor `t` ends at 68719476864, the file at 160", [1 << 34], data: 32)
    for type in [UInt32(4), 5, 9, 10, 24, 31, 40, .max] {
      one(
        "tensor `t` has type \(type), which is not supported; "
          + "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K are", [256], type)
    }
    one("tensor `t` of shape [1, 48] has rows that are no whole blocks of Q8_0", [48, 1], 8)
    one("tensor `t` of shape [8, 32] has rows that are no whole blocks of Q4_K", [32, 8], 12)
    one("tensor `t` begins at 16, which is no multiple of 32", [8], offset: 16)
    one("tensor `t` begins at 18446744073709551584, which is no multiple of 32", [8], offset: .max - 31)
    one("tensor `t` begins at 32, where 0 was due (overlap or gap)", [8], offset: 32, data: 64)
    one("tensor `t` begins at 9223372036854775776, where 0 was due (overlap or gap)", [8], offset: 1 << 63 - 32)
    one("tensor `t` ends at 160, the file at 159", [8], data: 31)
    one("has bytes behind its last tensor, from 160 to 161", [8], data: 33)
    let (first, second) = (Self.tensor("a", [9], 0, 0), Self.tensor("b", [8], 0, 64))
    table("accepted", [first, second], data: 96)
    table("accepted", [second, first], data: 96)
    table(
      "tensor `b` begins at 32, where 64 was due (overlap or gap)", [first, Self.tensor("b", [8], 0, 32)], data: 96)
    table(
      "tensor `b` begins at 96, where 64 was due (overlap or gap)", [first, Self.tensor("b", [8], 0, 96)], data: 128)
    table("tensor `a` begins at 0, where 64 was due (overlap or gap)", [first, first], data: 96)
    table("tensor `a` stands twice", [first, Self.tensor("a", [8], 0, 64)], data: 96)
    table(
      "the name of a tensor is a string of 121 bytes, over 120",
      [Self.tensor(String(repeating: "n", count: 121), [8], 0, 0)])
  }

  @Test("a header that never ends is given up at its limit")
  func endless() throws {
    let stream = GGUFStream(file: "model.gguf", fileSize: 1 << 40, receiver: GGUFWeights { _ in })
    let beginning = Array(File().bytes.prefix(16)) + Self.little(UInt64(60_000))
    // Keys of 1,024 bytes with strings of 4,096.
    let piece = (0..<256).flatMap { _ in
      Self.pair(String(repeating: "k", count: 1024), 8, Self.string(String(repeating: "v", count: 4096)))
    }
    try beginning.withUnsafeBytes { try stream.append($0) }
    #expect(throws: ModelError.self) { for _ in 0..<256 { try piece.withUnsafeBytes { try stream.append($0) } } }
  }
}
