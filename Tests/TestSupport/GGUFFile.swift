/// A GGUF file that a test writes part by part: version 3, little-endian, aligned to 32 bytes.
package struct GGUFFile {
  private var metadata: [UInt8] = []
  private var table: [UInt8] = []
  private var data: [UInt8] = []
  private var counts = (metadata: 0, tensors: 0)

  package init(architecture: String) { add("general.architecture", architecture) }

  package mutating func add(_ key: String, _ value: String) { add(key, 8, Self.text(value)) }

  package mutating func add(_ key: String, _ value: Int) { add(key, 4, Self.number(value, 4)) }

  package mutating func add(_ key: String, _ value: Float) { add(key, 6, Self.number(Int(value.bitPattern), 4)) }

  package mutating func add(_ key: String, _ value: Bool) { add(key, 7, [value ? 1 : 0]) }

  package mutating func add(_ key: String, _ values: [String]) {
    add(key, 9, Self.number(8, 4) + Self.number(values.count, 8) + values.flatMap(Self.text))
  }

  private mutating func add(_ key: String, _ type: Int, _ value: [UInt8]) {
    metadata += Self.text(key) + Self.number(type, 4) + value
    counts.metadata += 1
  }

  /// - Parameters:
  ///   - shape: (outputs, inputs), as matrices are written; the file has it the other way round.
  ///   - type: ggml's number of it.
  package mutating func add(tensor name: String, _ shape: [Int], type: UInt32, _ bytes: [UInt8]) {
    table += Self.text(name) + Self.number(shape.count, 4) + shape.reversed().flatMap { Self.number($0, 8) }
    table += Self.number(Int(type), 4) + Self.number(data.count, 8)
    data += bytes
    data += [UInt8](repeating: 0, count: -data.count & 31)
    counts.tensors += 1
  }

  package var bytes: [UInt8] {
    var bytes = Array("GGUF".utf8) + Self.number(3, 4) + Self.number(counts.tensors, 8)
    bytes += Self.number(counts.metadata, 8) + metadata + table
    return bytes + [UInt8](repeating: 0, count: -bytes.count & 31) + data
  }

  private static func number(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  private static func text(_ text: String) -> [UInt8] { number(text.utf8.count, 8) + Array(text.utf8) }
}
