import CBlas

/// The weights of a decoder, ready for the kernels. Read-only once made, so threads share it.
struct DecoderWeights: Sendable {
  struct Layer: Sendable {
    let inputNorm: FloatBuffer
    let query: QuantizedLinear
    let key: QuantizedLinear
    let value: QuantizedLinear
    /// Of each head's queries and keys, where the architecture has them.
    let headNorms: (query: FloatBuffer, key: FloatBuffer)?
    let attentionOutput: QuantizedLinear
    let innerNorm: FloatBuffer
    let gate: QuantizedLinear
    let up: QuantizedLinear
    let down: QuantizedLinear
    /// One for each kind of rows that query, key and value read.
    let readingInput: [QuantizedLinear]
    /// One for each kind of rows that gate and up read.
    let readingInner: [QuantizedLinear]
  }

  /// A row for each token: its first vector. The head itself where both are tied.
  var embeddings: QuantizedLinear
  let layers: [Layer]
  let outputNorm: FloatBuffer
  let head: QuantizedLinear
  /// What each pair's rotary frequency is divided by; nil for nothing.
  let frequencyFactors: [Float]?
  /// Types that these weights have in their files, sorted.
  let elementTypes: [String]

  /// From safetensors files. Throws `ModelError` naming the tensor that is missing, of another shape or type, or not
  /// known to the architecture.
  ///
  /// - Parameter precision: fp32 or bf16.
  init(_ weights: Weights, config: DecoderConfig, precision: Precision) throws(ModelError) {
    let tensors = try DecoderTensors(checking: weights.tensors, config: config)
    let memory = WeightMemory()
    try self.init(tensors, config: config, types: tensors.types(weights.tensors), factors: nil) {
      (map) throws(ModelError) in
      let bias = map.hasBias ? try weights.floats("\(map.name).bias", shape: [map.outputs]) : nil
      let width = QuantizedLinear.width(map.outputs)
      let weight = try weights.floats(
        "\(map.name).weight", shape: [map.outputs, map.inputs], count: width * map.inputs)
      return QuantizedLinear(
        weight, bias: bias, outputs: map.outputs, inputs: map.inputs, isHalf: precision != .fp32,
        memory: memory)
    } vector: { (name, count) throws(ModelError) in
      try weights.floats(name, shape: [count])
    }
  }

  /// From a GGUF file, in its own numbers.
  init(_ weights: GGUFWeights, config: DecoderConfig) throws(ModelError) {
    let header = try weights.header()
    let tensors = try DecoderTensors(checking: header, config: config)
    var factors: [Float]?
    if header[DecoderTensors.frequencyFactors] != nil {
      let pairs = config.headWidth / 2
      let floats = try weights.floats(DecoderTensors.frequencyFactors, count: pairs)
      factors = Array(UnsafeBufferPointer(start: floats.pointer, count: pairs))
      guard factors?.allSatisfy({ $0 >= 1e-3 && $0 <= 1e6 }) == true else {
        throw SafetensorsHeader.failure(
          header.file, DecoderTensors.frequencyFactors, "has a factor that is not from 0.001 to 1000000")
      }
    }
    let types = Set(header.tensors.map(\.type.name)).sorted()
    try self.init(tensors, config: config, types: types, factors: factors) { (map) throws(ModelError) in
      try weights.linear(
        "\(map.name).weight", outputs: map.outputs, inputs: map.inputs, bias: map.hasBias ? "\(map.name).bias" : nil)
    } vector: { (name, count) throws(ModelError) in
      try weights.floats(name, count: count)
    }
  }

  /// From any files; `linear` and `vector` give their tensors.
  init(
    _ tensors: DecoderTensors, config: DecoderConfig, types: [String], factors: [Float]?,
    linear: (DecoderTensors.Map) throws(ModelError) -> QuantizedLinear,
    vector: (_ name: String, _ count: Int) throws(ModelError) -> FloatBuffer
  ) throws(ModelError) {
    let (names, hidden) = (tensors.names, config.hiddenSize)
    func table(_ name: String) -> DecoderTensors.Map {
      .init(name: name, outputs: config.vocabularySize, inputs: hidden, hasBias: false)
    }
    embeddings = try linear(table(names.embeddings))
    head = config.tiesHead ? embeddings : try linear(table(names.head))
    outputNorm = try vector("\(names.outputNorm).weight", hidden)
    var layers: [Layer] = []
    for layer in 0..<config.layers {
      func norm(_ name: KeyPath<DecoderTensors.Names, String>, _ width: Int) throws(ModelError) -> FloatBuffer {
        try vector("\(tensors.part(layer, name)).weight", width)
      }
      let parts = try tensors.maps(layer).map { (map) throws(ModelError) in try linear(map) }
      let norms =
        config.architecture.hasHeadNorms
        ? (try norm(\.queryNorm, config.headWidth), try norm(\.keyNorm, config.headWidth)) : nil
      layers.append(
        Layer(
          inputNorm: try norm(\.inputNorm, hidden), query: parts[0], key: parts[1], value: parts[2], headNorms: norms,
          attentionOutput: parts[3],
          innerNorm: try norm(\.innerNorm, hidden), gate: parts[4], up: parts[5], down: parts[6],
          readingInput: Self.kinds(parts[0...2]), readingInner: Self.kinds(parts[4...5])))
    }
    (self.layers, elementTypes, frequencyFactors) = (layers, types, factors)
  }

  private static func kinds(_ maps: ArraySlice<QuantizedLinear>) -> [QuantizedLinear] {
    var kinds: [QuantizedLinear] = []
    for map in maps where !kinds.contains(where: { $0.rowKind == map.rowKind }) { kinds.append(map) }
    return kinds
  }
}

extension QuantizedLinear {
  /// Packs floats, in bfloat16 where `isHalf`.
  ///
  /// - Parameters:
  ///   - weight: (outputs, inputs), and zeros behind it up to (width, inputs).
  ///   - bias: `outputs` floats, or more.
  fileprivate init(
    _ weight: FloatBuffer, bias: FloatBuffer?, outputs: Int, inputs: Int, isHalf: Bool, memory: WeightMemory
  ) {
    let width = Self.width(outputs)
    let packed: Weight
    if isHalf {
      let words = AlignedBuffer<UInt32>(count: width * inputs / 2, in: memory)
      cb_bf16_pack(weight.pointer, width, inputs, words.pointer)
      packed = .bf16(words)
    } else {
      let floats = FloatBuffer(count: width * inputs, in: memory)
      cb_pack(weight.pointer, width, inputs, inputs, floats.pointer)
      packed = .fp32(floats)
    }
    self.init(
      weight: packed, bias: bias.map { Self.padded($0, outputs: outputs) }, outputs: outputs, inputs: inputs)
  }
}
