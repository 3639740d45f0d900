import CBlas

/// A safetensors file in memory: its checked header, and its tensors as 32-bit floats.
struct WeightsFile {
  /// The file's name in a model folder.
  static let name = "model.safetensors"

  let header: SafetensorsHeader
  private let bytes: UnsafeRawBufferPointer

  /// The bytes stay the caller's and must outlive this value.
  init(_ bytes: UnsafeRawBufferPointer) throws(ModelError) {
    header = try SafetensorsHeader(parsing: bytes, fileSize: bytes.count)
    self.bytes = bytes
  }

  /// Copies a tensor of exactly this shape, as F32, F16 or BF16 has it, into floats. Refuses infinities and NaNs.
  func floats(_ name: String, shape: [Int]) throws(ModelError) -> FloatBuffer {
    guard let tensor = header[name] else { throw SafetensorsHeader.failure(name, "is missing") }
    guard tensor.shape == shape else {
      throw SafetensorsHeader.failure(name, "has shape \(tensor.shape), where \(shape) was due")
    }
    let source = UnsafeRawBufferPointer(rebasing: bytes[(header.dataStart + tensor.offset)...].prefix(tensor.byteCount))
    let floats = FloatBuffer(count: shape.reduce(1, *))
    switch tensor.type {
    case .f32: UnsafeMutableRawPointer(floats.pointer).copyMemory(from: source)
    case .bf16:
      for i in 0..<floats.count {
        floats.pointer[i] = Float(bitPattern: UInt32(Self.sixteenBits(source, i)) << 16)
      }
    case .f16:
      for i in 0..<floats.count { floats.pointer[i] = Self.float(half: Self.sixteenBits(source, i)) }
    default: throw SafetensorsHeader.failure(name, "is \(tensor.type.rawValue); F32, F16 and BF16 are supported")
    }
    guard cb_all_finite(floats.pointer, floats.count) else {
      throw SafetensorsHeader.failure(name, "holds an infinity or a NaN")
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
