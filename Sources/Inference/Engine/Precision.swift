/// In which numbers a model's products are computed. The words stand in manifests and receipts.
///
/// In each of them a result depends on its own input alone, and has the same bits on every instruction set.
package enum Precision: String, CaseIterable, Sendable {
  /// 32-bit floats.
  case fp32
  /// Products of bfloat16, in attention as well, added up in 32-bit floats. Softmax, normalisation, residuals and pooling
  /// stay in fp32.
  case bf16
  /// Products of bytes: weights signed, with a scale for each output; activations unsigned, with a scale and a zero
  /// point for each token. Attention is computed as in bf16; normalisation, residuals and pooling stay in fp32.
  case int8
}
