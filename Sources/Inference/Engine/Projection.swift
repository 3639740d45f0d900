import CBlas

/// A linear map of pooled vectors, in fp32 whatever the encoder's precision, and a function of its outputs.
struct Projection: Sendable {
  let linear: Linear
  let activation: Activation?
  /// Outputs that mean something; the map has zeros behind them up to the kernels' width.
  let outputs: Int

  init(
    _ weights: Weights, weight: String, bias: String?, outputs: Int, inputs: Int, activation: Activation?
  ) throws(ModelError) {
    let lanes = Int(CB_LANES)
    let width = (outputs + lanes - 1) / lanes * lanes
    let offset =
      try bias.map { (name) throws(ModelError) in try weights.floats(name, shape: [outputs], count: width) }
      ?? FloatBuffer(count: width)
    let matrix = try weights.floats(weight, shape: [outputs, inputs], count: width * inputs)
    linear = Linear([(matrix, offset)], inputs: inputs, precision: .fp32)
    (self.activation, self.outputs) = (activation, outputs)
  }

  /// Floats of a row of outputs.
  var width: Int { linear.outputs }

  /// y = activation(x · Wᵀ + b). x: (rows, inputs); y: (rows, width).
  func apply(
    _ x: UnsafePointer<Float>, rows: Int, to y: UnsafeMutablePointer<Float>, using scratch: Linear.Scratch
  ) {
    linear.apply(x, rows: rows, CB_BIAS, to: y, using: scratch)
    activation?.apply(to: y, count: rows * width)
  }
}

extension Activation {
  /// x = f(x); `count` is a multiple of the kernels' width.
  func apply(to x: UnsafeMutablePointer<Float>, count: Int) {
    switch self {
    case .gelu: cb_gelu(x, count)
    case .geluTanh: cb_activate(CB_GELU_TANH, x, count)
    case .relu: cb_activate(CB_RELU, x, count)
    case .tanh: cb_activate(CB_TANH, x, count)
    case .sigmoid: cb_activate(CB_SIGMOID, x, count)
    }
  }
}
