/// What each product's input channels are divided by before they become bytes, so that no outlier takes the steps of the
/// others. Made when a model is published, and one of its sealed files: in the format of safetensors, with a vector of F32 for each
/// product, by the name of its first weight (`encoder.layer.0.attention.self.query`, for query, key and value).
package struct Int8Scales: Sendable, Equatable {
  /// The name in a model's folder and manifest.
  package static let file = "int8.scales"
  /// From which on a scale or its inverse would move weights out of a float's range.
  static let range: ClosedRange<Float> = 0x1p-24...0x1p24
  /// Products of the largest encoder that is read.
  static let productLimit = 512

  private let scales: [[UInt8]: [Float]]

  /// By the products' names, in any order.
  init(_ scales: [(name: String, scales: [Float])]) {
    self.scales = Dictionary(scales.map { (Array($0.name.utf8), $0.scales) }) { first, _ in first }
  }

  /// Nil where the model has no such file. The bytes are hostile until this returns.
  package init?(files: ModelFiles) throws(ModelError) {
    guard let bytes = files[Self.file] else { return nil }
    try self.init(parsing: bytes)
  }

  /// Throws `ModelError` with the tensor and the reason: not F32, not one row, or a scale that is not a positive number
  /// within bounds.
  package init(parsing bytes: [UInt8]) throws(ModelError) {
    let header = try SafetensorsHeader(parsing: bytes, fileSize: bytes.count, file: Self.file)
    guard (1...Self.productLimit).contains(header.tensors.count) else {
      throw ModelError(Self.file, "must hold 1 to \(Self.productLimit) tensors")
    }
    var scales: [[UInt8]: [Float]] = [:]
    for tensor in header.tensors {
      guard tensor.type == .f32, tensor.shape.count == 1 else {
        throw SafetensorsHeader.failure(Self.file, tensor.name, "is not one row of F32")
      }
      let start = header.dataStart + tensor.offset
      let values = stride(from: start, to: start + tensor.byteCount, by: 4).map { at in
        Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) })
      }
      // NaN is in no range.
      guard values.allSatisfy(Self.range.contains) else {
        throw SafetensorsHeader.failure(Self.file, tensor.name, "holds a scale that is not a positive number in bounds")
      }
      scales[Array(tensor.name.utf8)] = values
    }
    self.scales = scales
  }

  /// Products that have scales.
  package var count: Int { scales.count }

  /// The scales of one product. Throws when there are none, or not one for each of its inputs.
  func scales(of product: String, inputs: Int) throws(ModelError) -> [Float] {
    guard let scales = scales[Array(product.utf8)] else {
      throw SafetensorsHeader.failure(Self.file, product, "is missing")
    }
    guard scales.count == inputs else {
      throw SafetensorsHeader.failure(Self.file, product, "has \(scales.count) scales, where \(inputs) were due")
    }
    return scales
  }

  /// The file; the same bytes for the same scales.
  package func encoded() -> [UInt8] {
    var text = JSONText()
    var data: [UInt8] = []
    for (name, values) in scales.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let start = data.count
      for value in values { data += (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
      text.raw(start == 0 ? "{" : ",")
      text.string(String(decoding: name, as: UTF8.self))
      text.raw(":{\"dtype\":\"F32\",\"shape\":[\(values.count)],\"data_offsets\":[\(start),\(data.count)]}")
    }
    text.raw("}")
    var header = text.bytes
    // As safetensors writes it: the tensors begin at a multiple of eight.
    while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
    return (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + data
  }
}
