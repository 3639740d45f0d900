import CBlas

/// The tensors of a GGUF file in memory: matrices packed for the kernels, vectors as floats.
///
/// Made by a ``GGUFStream``: each tensor goes into its packed place as its bytes arrive, so that memory never holds more
/// than the packed weights, the header, one panel of sixteen rows, and one piece of the file.
package final class GGUFWeights: GGUFStream.Receiver {
  private let check: (GGUFHeader) throws(ModelError) -> Void
  private var contents: GGUFHeader?
  private var matrices: [String: QuantizedLinear] = [:]
  private var vectors: [String: FloatBuffer] = [:]
  private var builder: QuantizedLinear.Builder?
  /// Bytes of a vector that is not whole yet.
  private var bytes: [UInt8] = []
  /// Where packed matrices lie.
  private let memory = WeightMemory()

  /// - Parameter check: sees the header before anything is allocated for a tensor, and throws what is wrong with it: an
  ///   unknown tensor, a shape that is not the configuration's, more memory than there is.
  package init(check: @escaping (GGUFHeader) throws(ModelError) -> Void) { self.check = check }

  /// Reads a file that is whole in memory.
  package convenience init(
    _ bytes: UnsafeRawBufferPointer, file: String, check: @escaping (GGUFHeader) throws(ModelError) -> Void = { _ in }
  ) throws(ModelError) {
    self.init(check: check)
    let stream = GGUFStream(file: file, fileSize: bytes.count, receiver: self)
    try stream.append(bytes)
    try stream.finish()
  }

  package func begin(_ header: GGUFHeader) throws(ModelError) {
    for tensor in header.tensors where tensor.shape.count > 2 {
      throw SafetensorsHeader.failure(header.file, tensor.name, "has shape \(tensor.shape), which is no matrix")
    }
    try check(header)
    contents = header
  }

  package func append(_ bytes: UnsafeRawBufferPointer, of tensor: GGUFTensor) throws(ModelError) {
    guard tensor.shape.count == 2 else { return self.bytes.append(contentsOf: bytes) }
    if builder == nil {
      builder = try QuantizedLinear.Builder(
        type: tensor.type, outputs: tensor.shape[0], inputs: tensor.shape[1], tensor: tensor.name, file: file,
        memory: memory)
    }
    try builder?.append(bytes)
  }

  package func end(of tensor: GGUFTensor) throws(ModelError) {
    if let builder {
      matrices[tensor.name] = try builder.finish()
      self.builder = nil
      return
    }
    let lanes = Int(CB_LANES)
    let floats = FloatBuffer(count: (tensor.elements + lanes - 1) / lanes * lanes)
    bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      tensor.type.dequantize(base, count: tensor.elements, to: floats.pointer)
    }
    bytes = []
    guard cb_all_finite(floats.pointer, tensor.elements) else {
      throw SafetensorsHeader.failure(file, tensor.name, "holds an infinity or a NaN")
    }
    vectors[tensor.name] = floats
  }

  private var file: String { contents?.file ?? "" }

  /// What the file says of itself; throws before it was read.
  package func header() throws(ModelError) -> GGUFHeader {
    guard let contents else { throw ModelError(file, "was not read") }
    return contents
  }

  /// A matrix of exactly this shape, with the bias of this name. Throws when either is missing.
  func linear(_ name: String, outputs: Int, inputs: Int, bias: String? = nil) throws(ModelError) -> QuantizedLinear {
    _ = try header().require(name, shape: [outputs, inputs])
    guard let linear = matrices[name] else { throw SafetensorsHeader.failure(file, name, "is missing") }
    guard let bias else { return linear }
    return linear.with(bias: try floats(bias, count: outputs))
  }

  /// A vector of exactly so many elements, zeros behind them up to a multiple of the kernels' width.
  func floats(_ name: String, count: Int) throws(ModelError) -> FloatBuffer {
    _ = try header().require(name, shape: [count])
    guard let floats = vectors[name] else { throw SafetensorsHeader.failure(file, name, "is missing") }
    return floats
  }
}
