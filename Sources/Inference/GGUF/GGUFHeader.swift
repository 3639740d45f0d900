/// Where one tensor of a GGUF file lies.
package struct GGUFTensor: Sendable, Equatable {
  package let name: String
  package let type: GGUFTensorType
  /// As matrices are written: (outputs, inputs). The file has the sizes in the other order.
  package let shape: [Int]
  /// Bytes, counted from the first tensor.
  package let offset: Int
  package let byteCount: Int

  package var elements: Int { shape.reduce(1, *) }
}

/// The head of a GGUF file (versions 2 and 3, little-endian): metadata, and the table of its tensors.
///
/// The file is hostile until this has thrown or not: everything is bounded, every key and every tensor's name stands
/// once, sizes are shape × type, and the tensors cover the rest of the file in their order, with nothing between them but
/// what their alignment takes.
package struct GGUFHeader: Sendable {
  /// Bytes of metadata and table: the vocabulary is most of it, 10 MB of 256,000 tokens.
  package static let lengthLimit = 64 << 20
  static let keyBytes = 1024
  static let metadataLimit = 1 << 16
  static let nameBytes = 120
  static let tensorLimit = ShardIndex.tensorLimit
  static let dimensionLimit = 4

  /// The file's name in its model folder.
  package let file: String
  /// By key, such as `llama.block_count`.
  package let metadata: [String: GGUFValue]
  /// In the order of their bytes.
  package let tensors: [GGUFTensor]
  /// Bytes before the first tensor.
  package let dataStart: Int
  /// What a tensor's offset is a multiple of.
  package let alignment: Int

  private let index: [String: Int]

  /// Reads the header of a file of `fileSize` bytes from its beginning.
  package init(parsing bytes: UnsafeRawBufferPointer, fileSize: Int, file: String) throws(ModelError) {
    guard let header = try Self.parse(bytes, fileSize: fileSize, file: file) else {
      throw ModelError(file, "ends inside its header")
    }
    self = header
  }

  /// The same of a file that arrives in pieces: nil while its beginning is too short.
  package static func parse(
    _ bytes: UnsafeRawBufferPointer, fileSize: Int, file: String
  ) throws(ModelError) -> GGUFHeader? {
    var reader = Reader(cursor: GGUFCursor(bytes), file: file)
    do throws(GGUFCursor.Failure) {
      return try reader.header(fileSize: fileSize)
    } catch {
      switch error {
      case .end:
        guard bytes.count < min(fileSize, lengthLimit) else {
          throw ModelError(
            file, bytes.count < fileSize ? "has a header over \(lengthLimit) bytes" : "ends inside its header")
        }
        return nil
      case .refused(let reason): throw ModelError(file, reader.place.isEmpty ? reason : "\(reader.place) \(reason)")
      }
    }
  }

  /// The tensor of exactly this name.
  package subscript(name: String) -> GGUFTensor? { index[name].map { tensors[$0] } }

  /// The tensor of this name and shape. Throws when there is none.
  package func require(_ name: String, shape: [Int]) throws(ModelError) -> GGUFTensor {
    guard let tensor = self[name] else { throw SafetensorsHeader.failure(file, name, "is missing") }
    guard tensor.shape == shape else {
      throw SafetensorsHeader.failure(file, name, "has shape \(tensor.shape), where \(shape) was due")
    }
    return tensor
  }

  fileprivate init(
    file: String, metadata: [String: GGUFValue], tensors: [GGUFTensor], dataStart: Int, alignment: Int,
    index: [String: Int]
  ) {
    (self.file, self.metadata, self.tensors, self.index) = (file, metadata, tensors, index)
    (self.dataStart, self.alignment) = (dataStart, alignment)
  }
}

/// Reads one header from its beginning to its end.
private struct Reader {
  typealias Failure = GGUFCursor.Failure

  var cursor: GGUFCursor
  let file: String
  /// What is being read, for errors.
  var place = ""

  mutating func header(fileSize: Int) throws(Failure) -> GGUFHeader {
    let (metadataCount, tensorCount) = try counts()
    let metadata = try self.metadata(metadataCount)
    place = ""
    if let count = metadata["split.count"]?.integer, count > 1 {
      throw .refused("is one of \(count) files of a model: merge them into one")
    }
    let alignment = try self.alignment(metadata)
    place = ""
    var tensors: [GGUFTensor] = []
    for _ in 0..<tensorCount { tensors.append(try tensor(alignment: alignment)) }
    place = ""
    let dataStart = (cursor.offset + alignment - 1) / alignment * alignment
    guard cursor.offset <= GGUFHeader.lengthLimit else {
      throw .refused("has a header over \(GGUFHeader.lengthLimit) bytes")
    }
    tensors.sort { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }
    try checkPlaces(tensors, dataStart: dataStart, alignment: alignment, fileSize: fileSize)
    var index: [String: Int] = [:]
    for (number, tensor) in tensors.enumerated() where index.updateValue(number, forKey: tensor.name) != nil {
      place = Self.tensor(tensor.name)
      throw .refused("stands twice")
    }
    return GGUFHeader(
      file: file, metadata: metadata, tensors: tensors, dataStart: dataStart, alignment: alignment, index: index)
  }

  private static func tensor(_ name: String) -> String { "tensor `\(name.prefix(GGUFHeader.nameBytes))`" }

  private mutating func counts() throws(Failure) -> (metadata: Int, tensors: Int) {
    guard try cursor.number(UInt32.self) == 0x4655_4747 else { throw .refused("is not a GGUF file") }
    let version = try cursor.number(UInt32.self)
    guard version == 2 || version == 3 else {
      throw .refused(
        version & 0xffff == 0
          ? "is big-endian; only little-endian files are supported"
          : "has version \(version); 2 and 3 are supported")
    }
    let (tensors, metadata) = (try cursor.number(UInt64.self), try cursor.number(UInt64.self))
    guard tensors <= UInt64(GGUFHeader.tensorLimit) else {
      throw .refused("has \(tensors) tensors, over \(GGUFHeader.tensorLimit)")
    }
    guard metadata <= UInt64(GGUFHeader.metadataLimit) else {
      throw .refused("has \(metadata) keys, over \(GGUFHeader.metadataLimit)")
    }
    return (Int(metadata), Int(tensors))
  }

  private mutating func text(limit: Int) throws(Failure) -> String {
    let bytes = try cursor.string(limit: limit)
    guard !bytes.isEmpty, let text = String(validating: bytes, as: UTF8.self) else {
      throw .refused("is no UTF-8, or empty")
    }
    return text
  }

  private mutating func metadata(_ count: Int) throws(Failure) -> [String: GGUFValue] {
    var metadata: [String: GGUFValue] = [:]
    // Two keys may be equal to Swift and be other bytes; no key that anybody reads has such letters.
    for number in 0..<count {
      place = "the name of key \(number)"
      let key = try text(limit: GGUFHeader.keyBytes)
      place = "key `\(key.prefix(GGUFHeader.nameBytes))`"
      let value = try cursor.value(try cursor.number(UInt32.self))
      guard metadata.updateValue(value, forKey: key) == nil else { throw .refused("stands twice") }
    }
    return metadata
  }

  private mutating func alignment(_ metadata: [String: GGUFValue]) throws(Failure) -> Int {
    let key = "general.alignment"
    guard let value = metadata[key] else { return 32 }
    place = "key `\(key)`"
    guard let alignment = value.integer, (8...65536).contains(alignment), alignment & (alignment - 1) == 0 else {
      throw .refused("must be a power of two from 8 to 65536")
    }
    return alignment
  }

  private mutating func tensor(alignment: Int) throws(Failure) -> GGUFTensor {
    place = "the name of a tensor"
    let name = try text(limit: GGUFHeader.nameBytes)
    place = Self.tensor(name)
    let dimensions = try cursor.number(UInt32.self)
    guard (1...UInt32(GGUFHeader.dimensionLimit)).contains(dimensions) else {
      throw .refused("has \(dimensions) dimensions; 1 to \(GGUFHeader.dimensionLimit) are supported")
    }
    var (shape, elements): ([Int], Int) = ([], 1)
    for _ in 0..<dimensions {
      let size = try cursor.number(UInt64.self)
      guard size > 0, let size = Int(exactly: size) else { throw .refused("has a size of \(size)") }
      let (product, overflow) = elements.multipliedReportingOverflow(by: size)
      guard !overflow, product <= SafetensorsHeader.elementLimit else { throw .refused("is too large") }
      elements = product
      shape.insert(size, at: 0)
    }
    let number = try cursor.number(UInt32.self)
    guard let type = GGUFTensorType(rawValue: number) else {
      let supported = GGUFTensorType.allCases.map(\.name).joined(separator: ", ")
      throw .refused("has type \(number), which is not supported; \(supported) are")
    }
    guard shape[shape.count - 1] % type.blockLength == 0, let bytes = type.byteCount(elements: elements) else {
      throw .refused("of shape \(shape) has rows that are no whole blocks of \(type.name)")
    }
    let offset = try cursor.number(UInt64.self)
    guard offset % UInt64(alignment) == 0, let offset = Int(exactly: offset) else {
      throw .refused("begins at \(offset), which is no multiple of \(alignment)")
    }
    return GGUFTensor(name: name, type: type, shape: shape, offset: offset, byteCount: bytes)
  }

  /// Tensors follow one another, each at the next multiple of the alignment, to the file's end.
  private mutating func checkPlaces(
    _ tensors: [GGUFTensor], dataStart: Int, alignment: Int, fileSize: Int
  ) throws(Failure) {
    var (end, next) = (0, 0)
    for tensor in tensors {
      place = Self.tensor(tensor.name)
      guard tensor.offset == next else {
        throw .refused("begins at \(tensor.offset), where \(next) was due (overlap or gap)")
      }
      // At most 20,000 tensors of 2³⁴ elements: no overflow.
      end = tensor.offset + tensor.byteCount
      next = (end + alignment - 1) / alignment * alignment
      guard dataStart + end <= fileSize else {
        throw .refused("ends at \(dataStart + end), the file at \(fileSize)")
      }
    }
    place = ""
    guard tensors.isEmpty || fileSize <= dataStart + next else {
      throw .refused("has bytes behind its last tensor, from \(dataStart + next) to \(fileSize)")
    }
  }
}
