import CBlas

/// Memory that a decoder takes, from its configuration alone: what a worker must have room for, and a submitter can be
/// told.
package struct DecoderFootprint: Sendable, Equatable {
  /// Bytes of the weights, as the kernels hold them.
  package let weightBytes: UInt64
  /// Bytes of keys and values of one token.
  package let cacheBytesPerToken: UInt64
  /// Bytes of a page of keys and values: memory is taken in so large pieces.
  package let pageBytes: UInt64

  package init(_ config: DecoderConfig, precision: Precision) {
    let element = precision == .fp32 ? 4 : 2
    let lanes = Int(CB_LANES)
    let vocabulary = (config.vocabularySize + lanes - 1) / lanes * lanes
    let tensors = DecoderTensors(config)
    var bytes = vocabulary * config.hiddenSize * element
    if !config.tiesHead { bytes += vocabulary * config.hiddenSize * element }
    for map in tensors.maps(0) { bytes += config.layers * map.outputs * (map.inputs * element + (map.hasBias ? 4 : 0)) }
    let norms = 2 * config.hiddenSize + (config.architecture.hasHeadNorms ? 2 * config.headWidth : 0)
    bytes += (config.layers * norms + config.hiddenSize) * 4
    weightBytes = UInt64(bytes)
    pageBytes = UInt64(PagePool.pageBytes(config, precision: precision))
    cacheBytesPerToken = pageBytes / UInt64(PagePool.tokens)
  }

  /// Bytes of keys and values of so many sequences of so many tokens.
  package func cacheBytes(sequences: Int, tokens: Int) -> UInt64 {
    UInt64(sequences * PagePool.pages(tokens)) * pageBytes
  }
}
