import CBlas

/// The tensors of a decoder's safetensors files, packed for the kernels as their bytes arrive: beside the packed weights
/// there are never more than a header, sixteen rows and one piece of a file in memory.
///
/// The configuration, which was read before, says which tensors there are and how large: a file cannot have memory taken
/// for anything else.
package final class DecoderShards: SafetensorsStream.Receiver {
  let config: DecoderConfig
  private let precision: Precision
  private let index: ShardIndex?
  private var headers: [SafetensorsHeader] = []
  /// By name, what is needed.
  private var shapes: [String: [Int]] = [:]
  private var matrices: [String: QuantizedLinear] = [:]
  private var vectors: [String: FloatBuffer] = [:]
  /// Where packed matrices lie.
  private let memory = WeightMemory()
  private var builder: QuantizedLinear.Builder?
  /// Bytes of a vector that is not whole yet.
  private var bytes: [UInt8] = []

  /// - Parameters:
  ///   - precision: fp32 or bf16: in what the matrices are packed.
  ///   - index: of a model in several files.
  init(config: DecoderConfig, precision: Precision, index: ShardIndex?) {
    (self.config, self.precision, self.index) = (config, precision, index)
  }

  package func begin(_ header: SafetensorsHeader) throws(ModelError) {
    if shapes.isEmpty {
      // Saved without its head, a decoder's tensors have no `model.` before them.
      let bare = "embed_tokens.weight"
      let isBare = index.map { $0.places[Array(bare.utf8)] != nil } ?? (header[bare] != nil)
      let tensors = DecoderTensors(config, names: .transformers(isBare ? "" : "model."))
      shapes = Dictionary(uniqueKeysWithValues: tensors.shapes.map { ($0.name, $0.shape) })
    }
    for tensor in header.tensors {
      if let index, index.places[Array(tensor.name.utf8)] != header.file {
        throw SafetensorsHeader.failure(header.file, tensor.name, "is not listed for this file by \(ShardIndex.file)")
      }
      guard let shape = shapes[tensor.name] else { continue }
      guard tensor.shape == shape else {
        throw SafetensorsHeader.failure(
          header.file, tensor.name, "has shape \(tensor.shape), where \(shape) was due")
      }
      guard tensor.type.packed != nil else {
        throw SafetensorsHeader.failure(
          header.file, tensor.name, "is \(tensor.type.rawValue); F32, F16 and BF16 are supported")
      }
      guard matrices[tensor.name] == nil, vectors[tensor.name] == nil else {
        throw SafetensorsHeader.failure(header.file, tensor.name, "stands in another file already")
      }
    }
    headers.append(header)
  }

  package func append(_ bytes: UnsafeRawBufferPointer, of tensor: TensorInfo) throws(ModelError) {
    guard let shape = shapes[tensor.name], let type = tensor.type.packed else { return }
    guard shape.count == 2 else { return self.bytes.append(contentsOf: bytes) }
    if builder == nil {
      builder = try QuantizedLinear.Builder(
        type: type, outputs: shape[0], inputs: shape[1], precision: precision, tensor: tensor.name, file: file,
        memory: memory)
    }
    try builder?.append(bytes)
  }

  package func end(of tensor: TensorInfo) throws(ModelError) {
    guard let shape = shapes[tensor.name], let type = tensor.type.packed else { return }
    if let builder {
      matrices[tensor.name] = try builder.finish()
      self.builder = nil
      return
    }
    let floats = FloatBuffer(count: shape[0])
    bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      type.dequantize(base, count: shape[0], to: floats.pointer)
    }
    bytes = []
    guard cb_all_finite(floats.pointer, shape[0]) else {
      throw SafetensorsHeader.failure(file, tensor.name, "holds an infinity or a NaN")
    }
    vectors[tensor.name] = floats
  }

  private var file: String { headers.last?.file ?? WeightsFile.name }

  /// The weights of all files. Throws `ModelError` naming the tensor that is missing or not known to the architecture.
  func weights() throws(ModelError) -> DecoderWeights {
    let directory = try TensorDirectory(headers, index: index)
    let tensors = try DecoderTensors(checking: directory, config: config)
    return try DecoderWeights(tensors, config: config, types: tensors.types(directory), factors: nil) {
      (map) throws(ModelError) in
      guard let matrix = self.matrices["\(map.name).weight"] else { throw self.missing("\(map.name).weight") }
      return map.hasBias ? matrix.with(bias: try self.vector("\(map.name).bias")) : matrix
    } vector: { (name, _) throws(ModelError) in
      try self.vector(name)
    }
  }

  private func vector(_ name: String) throws(ModelError) -> FloatBuffer {
    guard let floats = vectors[name] else { throw missing(name) }
    return floats
  }

  private func missing(_ name: String) -> ModelError { SafetensorsHeader.failure(file, name, "is missing") }
}

extension TensorType {
  /// The same type of GGUF, of those that weights are made of.
  fileprivate var packed: GGUFTensorType? {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    default: nil
    }
  }
}
