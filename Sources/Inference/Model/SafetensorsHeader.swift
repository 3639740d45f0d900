/// Where one tensor lies.
package struct TensorInfo: Sendable, Equatable {
  package let name: String
  package let type: TensorType
  package let shape: [Int]
  /// Bytes, counted from the end of the header.
  package let offset: Int
  package let byteCount: Int
}

/// Element types of safetensors.
package enum TensorType: String, Sendable, CaseIterable {
  case bool = "BOOL", u8 = "U8", i8 = "I8", f8E5M2 = "F8_E5M2", f8E4M3 = "F8_E4M3"
  case i16 = "I16", u16 = "U16", f16 = "F16", bf16 = "BF16"
  case i32 = "I32", u32 = "U32", f32 = "F32"
  case i64 = "I64", u64 = "U64", f64 = "F64"

  /// Bytes of one element.
  package var size: Int {
    switch self {
    case .bool, .u8, .i8, .f8E5M2, .f8E4M3: 1
    case .i16, .u16, .f16, .bf16: 2
    case .i32, .u32, .f32: 4
    case .i64, .u64, .f64: 8
    }
  }
}

/// The head of a safetensors file: u64 little-endian length, then JSON, then the tensors without a gap.
///
/// The file is hostile until this has thrown or not: the header is bounded, every name stands once, every size is
/// shape × element type, and the tensors cover the rest of the file exactly, without overlap.
package struct SafetensorsHeader: Sendable {
  /// Bytes of the JSON header; a model of 1,000 tensors needs about 100 KiB.
  package static let lengthLimit = 4 << 20
  /// Elements of one tensor.
  static let elementLimit = 1 << 34

  /// The tensors in the file's order.
  package let tensors: [TensorInfo]
  /// Bytes before the first tensor.
  package let dataStart: Int
  /// The file's name in its model folder.
  package let file: String

  private let index: [[UInt8]: Int]

  /// Bytes that must be read to learn the header's length.
  package static let prefixLength = 8

  /// The bytes of length and header together, from the file's first 8 bytes. Throws when out of bounds.
  package static func totalLength(
    prefix: some Collection<UInt8>, file: String = WeightsFile.name
  ) throws(ModelError) -> Int {
    guard prefix.count == prefixLength else { throw ModelError(file, "ends before its header") }
    let length = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length >= 2, length <= UInt64(lengthLimit) else {
      throw ModelError(file, "the header's length must be from 2 to \(lengthLimit) bytes")
    }
    return prefixLength + Int(length)
  }

  /// Reads the header (length included) of a file of `fileSize` bytes.
  package init(
    parsing bytes: some RandomAccessCollection<UInt8>, fileSize: Int, file: String = WeightsFile.name
  ) throws(ModelError) {
    self.file = file
    let total = try Self.totalLength(prefix: Array(bytes.prefix(Self.prefixLength)), file: file)
    guard bytes.count >= total, fileSize >= total else { throw ModelError(file, "ends inside its header") }
    let json: JSONValue
    do {
      let text = Array(bytes.dropFirst(Self.prefixLength).prefix(total - Self.prefixLength))
      json = try JSONValue(parsing: text, limits: JSONLimits(bytes: Self.lengthLimit, depth: 4, values: 200_000))
    } catch {
      throw ModelError(file, "the header: \(error.description)")
    }
    guard let object = json.object else { throw ModelError(file, "the header is not a JSON object") }

    var tensors: [TensorInfo] = []
    for member in object.members where member.name != "__metadata__" {
      tensors.append(try Self.tensor(member, dataSize: fileSize - total, file))
    }
    tensors.sort { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }
    var end = 0
    for tensor in tensors {
      guard tensor.offset == end else {
        throw Self.failure(file, tensor.name, "begins at \(tensor.offset), where \(end) was due (overlap or gap)")
      }
      end += tensor.byteCount
    }
    guard end == fileSize - total else {
      throw ModelError(file, "the tensors end at \(end), the file at \(fileSize - total)")
    }
    self.tensors = tensors
    dataStart = total
    index = Dictionary(uniqueKeysWithValues: tensors.enumerated().map { (Array($1.name.utf8), $0) })
  }

  /// The tensor of exactly this name.
  package subscript(name: String) -> TensorInfo? { index[Array(name.utf8)].map { tensors[$0] } }

  static func failure(_ file: String, _ tensor: String, _ reason: String) -> ModelError {
    ModelError(file, "tensor `\(tensor.prefix(120))` \(reason)")
  }

  private static func tensor(
    _ member: JSONObject.Member, dataSize: Int, _ file: String
  ) throws(ModelError) -> TensorInfo {
    guard let object = member.value.object, object.members.count == 3 else {
      throw failure(file, member.name, "must have exactly dtype, shape and data_offsets")
    }
    guard let type = object["dtype"]?.string.flatMap(TensorType.init(rawValue:)) else {
      throw failure(file, member.name, "has an unknown `dtype`")
    }
    guard let shape = integers(object["shape"]), shape.count <= 8, shape.allSatisfy({ $0 >= 0 }) else {
      throw failure(file, member.name, "has a `shape` that is not up to 8 sizes")
    }
    guard let offsets = integers(object["data_offsets"]), offsets.count == 2, 0 <= offsets[0],
      offsets[0] <= offsets[1], offsets[1] <= dataSize
    else { throw failure(file, member.name, "has `data_offsets` outside the file") }
    var elements = 1
    for size in shape {
      let (product, overflow) = elements.multipliedReportingOverflow(by: size)
      guard !overflow, product <= elementLimit else { throw failure(file, member.name, "is too large") }
      elements = product
    }
    guard elements * type.size == offsets[1] - offsets[0] else {
      throw failure(
        file, member.name, "of shape \(shape) and type \(type.rawValue) has \(offsets[1] - offsets[0]) bytes")
    }
    return TensorInfo(
      name: member.name, type: type, shape: shape, offset: offsets[0], byteCount: offsets[1] - offsets[0])
  }

  private static func integers(_ value: JSONValue?) -> [Int]? {
    guard let array = value?.array else { return nil }
    let integers = array.compactMap(\.integer)
    return integers.count == array.count ? integers : nil
  }
}
