import CBlas

/// One weight file of a model, whole in memory. The bytes stay the caller's, and must outlive every use.
package struct WeightsFile {
  /// The usual name in a model folder.
  package static let name = "model.safetensors"

  /// The name in its model folder.
  package let name: String
  package let bytes: UnsafeRawBufferPointer

  package init(name: String = WeightsFile.name, bytes: UnsafeRawBufferPointer) {
    self.name = name
    self.bytes = bytes
  }

  /// Hands over the bytes of all files at once; they must not be kept.
  package static func withAll<Value, Failure: Error>(
    _ files: [(name: String, bytes: [UInt8])], _ body: ([WeightsFile]) throws(Failure) -> Value
  ) throws(Failure) -> Value {
    try withAll(files[...], before: [], body)
  }

  private static func withAll<Value, Failure: Error>(
    _ files: ArraySlice<(name: String, bytes: [UInt8])>, before: [WeightsFile],
    _ body: ([WeightsFile]) throws(Failure) -> Value
  ) throws(Failure) -> Value {
    guard let file = files.first else { return try body(before) }
    let result = file.bytes.withUnsafeBytes { bytes in
      Result { () throws(Failure) in
        try withAll(files.dropFirst(), before: before + [WeightsFile(name: file.name, bytes: bytes)], body)
      }
    }
    return try result.get()
  }
}

/// The weight files of one part of a model (the encoder, or a dense module), their tensors as 32-bit floats.
struct Weights {
  let tensors: TensorDirectory
  private let files: [WeightsFile]

  init(_ files: [WeightsFile], index: ShardIndex? = nil) throws(ModelError) {
    var headers: [SafetensorsHeader] = []
    for file in files {
      headers.append(try SafetensorsHeader(parsing: file.bytes, fileSize: file.bytes.count, file: file.name))
    }
    tensors = try TensorDirectory(headers, index: index)
    self.files = files
  }

  /// Copies a tensor of exactly this shape, as F32, F16 or BF16 has it, into floats, with zeros up to `count` behind
  /// it. Refuses infinities and NaNs.
  func floats(_ name: String, shape: [Int], count: Int? = nil) throws(ModelError) -> FloatBuffer {
    let place = try tensors.require(name, shape: shape)
    let (tensor, header) = (place.tensor, tensors.headers[place.file])
    let start = header.dataStart + tensor.offset
    let source = UnsafeRawBufferPointer(rebasing: files[place.file].bytes[start...].prefix(tensor.byteCount))
    let elements = shape.reduce(1, *)
    let floats = FloatBuffer(count: max(elements, count ?? 0))
    switch tensor.type {
    case .bf16:
      for i in 0..<elements { floats.pointer[i] = Float(bitPattern: UInt32(Self.sixteenBits(source, i)) << 16) }
    case .f16: for i in 0..<elements { floats.pointer[i] = Self.float(half: Self.sixteenBits(source, i)) }
    default: UnsafeMutableRawPointer(floats.pointer).copyMemory(from: source)
    }
    guard cb_all_finite(floats.pointer, elements) else {
      throw SafetensorsHeader.failure(header.file, name, "holds an infinity or a NaN")
    }
    return floats
  }

  private static func sixteenBits(_ source: UnsafeRawBufferPointer, _ index: Int) -> UInt16 {
    UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
  }

  /// IEEE binary16 to binary32; exact.
  static func float(half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let exponent = UInt32(half >> 10 & 0x1f)
    let fraction = UInt32(half & 0x3ff)
    switch exponent {
    case 0:
      let magnitude = Float(fraction) * 0x1p-24
      return sign == 0 ? magnitude : -magnitude
    case 0x1f: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}

extension UnsafeMutableRawPointer {
  fileprivate func copyMemory(from source: UnsafeRawBufferPointer) {
    guard let base = source.baseAddress else { return }
    copyMemory(from: base, byteCount: source.count)
  }
}
