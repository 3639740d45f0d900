import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// Files written by PyPI's `gguf`, and what it reads from them (scripts/golden/gguf_files.py).
@Suite("GGUF files")
struct GGUFTests {
  private static func vector(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: Checkout.root.appending(path: "Tests/Vectors/gguf/\(name)")))
  }

  private static func header(_ bytes: [UInt8]) throws -> GGUFHeader {
    try bytes.withUnsafeBytes { try GGUFHeader(parsing: $0, fileSize: bytes.count, file: "model.gguf") }
  }

  @Test("metadata of every type, and the table of tensors, are what the gguf package reads")
  func header() throws {
    let header = try Self.header(try Self.vector("types.gguf"))
    let expected = try JSONValue(
      parsing: try Self.vector("types.json"), limits: JSONLimits(bytes: 1 << 20, depth: 8, values: 10_000))
    let fields = try #require(expected.object?["metadata"]?.object)
    #expect(header.metadata.count == fields.members.count)
    for field in fields.members {
      let value = try #require(header.metadata[field.name], "\(field.name)")
      if let array = field.value.array {
        let strings = value.array?.strings
        for (i, element) in array.enumerated() {
          if let text = element.string {
            #expect(strings?.text(i) == text)
          } else if let bool = element.bool {
            #expect(value.array.map { if case .bools(let bools) = $0 { bools[i] } else { !bool } } == bool)
          } else if let integers = value.array?.integers {
            #expect(integers[i] == element.integer)
          } else {
            #expect(value.array?.doubles?[i] == element.double)
          }
        }
        #expect(value.array?.count == array.count)
      } else if let text = field.value.string {
        #expect(value.string == text)
      } else if let bool = field.value.bool {
        #expect(value.bool == bool)
      } else if let integer = field.value.integer {
        #expect(value.integer == integer, "\(field.name)")
      } else if field.name == "a.uint64" {
        #expect(value == .unsigned(.max))
      } else {
        #expect(value.double == field.value.double, "\(field.name)")
      }
    }
    let table = try #require(expected.object?["tensors"]?.array)
    #expect(header.tensors.count == table.count && header.alignment == 64)
    for (tensor, row) in zip(header.tensors, table) {
      #expect(tensor.name == row.object?["name"]?.string && tensor.type.name == row.object?["type"]?.string)
      #expect(tensor.offset == row.object?["offset"]?.integer && tensor.byteCount == row.object?["bytes"]?.integer)
      #expect(tensor.shape == row.object?["shape"]?.array?.compactMap(\.integer))
      #expect(header[tensor.name] == tensor)
    }
  }

  @Test("every type is dequantised to the bits of gguf.quants, whatever pieces the file arrives in")
  func weights() throws {
    let (bytes, floats) = (try Self.vector("types.gguf"), try Self.vector("types.f32"))
    for piece in [bytes.count, 4096, 1111, 61] {
      let weights = GGUFWeights { header throws(ModelError) in
        guard header.metadata["general.architecture"]?.string == "llama" else { throw ModelError(header.file, "other") }
      }
      let stream = GGUFStream(file: "model.gguf", fileSize: bytes.count, receiver: weights)
      for start in stride(from: 0, to: bytes.count, by: piece) {
        try bytes[start..<min(start + piece, bytes.count)].withUnsafeBytes { try stream.append($0) }
      }
      try stream.finish()
      var place = 0
      for tensor in try weights.header().tensors {
        let linear = try weights.linear(tensor.name, outputs: 3, inputs: 512)
        var row = [Float](repeating: 0, count: 512)
        for output in 0..<3 {
          linear.copyRow(output, to: &row)
          let same = row.withUnsafeBytes { $0.elementsEqual(floats[place..<(place + 2048)]) }
          #expect(same, "\(tensor.name)")
          place += 2048
        }
        #expect(linear.byteCount == QuantizedLinear.byteCount(tensor.type, outputs: 3, inputs: 512))
      }
      #expect(place == floats.count)
    }
  }

  @Test("a file that is cut, longer, or refused by its receiver ends in an error")
  func streams() throws {
    let bytes = try Self.vector("types.gguf")
    for count in Array(stride(from: 0, to: bytes.count, by: 97)) + [bytes.count - 65] {
      #expect(throws: ModelError.self) {
        let weights = GGUFWeights { _ in }
        let stream = GGUFStream(file: "model.gguf", fileSize: bytes.count, receiver: weights)
        try bytes.prefix(count).withUnsafeBytes { try stream.append($0) }
        try stream.finish()
      }
      #expect(throws: ModelError.self) { try Self.header(Array(bytes.prefix(count))) }
    }
    #expect(throws: ModelError("model.gguf", "is longer than \(bytes.count) bytes")) {
      let stream = GGUFStream(file: "model.gguf", fileSize: bytes.count, receiver: GGUFWeights { _ in })
      try (bytes + [0]).withUnsafeBytes { try stream.append($0) }
    }
    #expect(throws: ModelError("model.gguf", "too large")) {
      try bytes.withUnsafeBytes {
        _ = try GGUFWeights($0, file: "model.gguf") { header throws(ModelError) in
          throw ModelError(header.file, "too large")
        }
      }
    }
    let weights = try bytes.withUnsafeBytes { try GGUFWeights($0, file: "model.gguf") }
    #expect(throws: ModelError("model.gguf", "tensor `t.x` is missing")) {
      _ = try weights.linear("t.x", outputs: 3, inputs: 512)
    }
    #expect(throws: ModelError("model.gguf", "tensor `t.F16` has shape [3, 512], where [512, 3] was due")) {
      _ = try weights.linear("t.F16", outputs: 512, inputs: 3)
    }
  }
}
