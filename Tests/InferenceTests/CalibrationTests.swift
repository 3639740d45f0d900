import CBlas
import Foundation
import TestSupport
import Testing

@testable import Inference

@Suite("Calibration of int8", .serialized)
struct CalibrationTests {
  private static let texts = ["a b c unable.", "b c", "é", "a a a a a a a a", ""]

  private static func withTiny<Result>(_ body: (Calibrator) throws -> Result) throws -> Result {
    let model = TinyModel()
    return try model.weights().withUnsafeBytes {
      try body(try Calibrator(files: model.files, weights: [WeightsFile(bytes: $0)]))
    }
  }

  @Test("the same model and texts give the same bytes, twice and on every instruction set")
  func sameBytes() throws {
    let before = EngineKernel.name
    defer { _ = cb_select_kernel(before) }
    let bytes = try Self.withTiny { try $0.scales(Self.texts).encoded() }
    for name in [before, "portable", "avx2", "avx512"] where cb_select_kernel(name) {
      #expect(try Self.withTiny { try $0.scales(Self.texts).encoded() } == bytes, "\(name)")
    }
    #expect(try Self.withTiny { try $0.scales(["a"]).encoded() } != bytes)
    let read = try Int8Scales(parsing: bytes)
    #expect(read.encoded() == bytes && read.count == 4)
  }

  @Test("a model with the file computes with it, and one without it as before")
  func loading() throws {
    let scales = try Self.withTiny { try $0.scales(Self.texts) }
    var model = TinyModel()
    let plain = try model.load(precision: .int8)
    model.sealedFiles[Int8Scales.file] = scales.encoded()
    let calibrated = try model.load(precision: .int8)
    #expect(calibrated.isCalibrated && !plain.isCalibrated)
    let input = calibrated.tokenize("a b c unable.")
    #expect(try calibrated.embed([input]) != plain.embed([input]))
    #expect(try calibrated.embed([input]) == Self.withTiny { try $0.results(.int8, scales: scales, ["a b c unable."]) })
    #expect(try model.load().embed([input]) == TinyModel().load().embed([input]), "fp32 has no use for it")
  }

  @Test("an outlying channel costs less with scales than without")
  func outlier() throws {
    let (rows, inputs, outputs) = (8, 64, 16)
    var random = SeededGenerator(seed: 5)
    let (weight, bias) = (FloatBuffer(count: outputs * inputs), FloatBuffer(count: outputs))
    let x = FloatBuffer(count: rows * inputs)
    for i in 0..<weight.count { weight.pointer[i] = .random(in: -0.1...0.1, using: &random) }
    for i in 0..<x.count { x.pointer[i] = .random(in: -1...1, using: &random) * (i % inputs == 3 ? 100 : 1) }
    let statistics = ChannelStatistics(product: "p", parts: [(weight, bias)], inputs: inputs)
    statistics.record(x.pointer, count: rows)
    func product(_ precision: Precision, _ scales: [Float]?) -> [Float] {
      let linear = Linear([(weight, bias)], inputs: inputs, precision: precision, inputScales: scales)
      let y = FloatBuffer(count: rows * outputs)
      linear.apply(
        x.pointer, rows: rows, CB_BIAS, to: y.pointer,
        using: Linear.Scratch(rows: rows, inputs: inputs, precision: precision))
      return Array(UnsafeBufferPointer(start: y.pointer, count: y.count))
    }
    func error(_ scales: [Float]?) -> Float {
      zip(product(.int8, scales), product(.fp32, nil)).map { abs($0 - $1) }.reduce(0, +)
    }
    #expect(error(statistics.scales()) < error(nil) / 2)
  }

  @Test(
    "a file of scales that is not what the model needs is refused, naming tensor and reason",
    arguments: [
      "zero", "negative", "nan", "infinite", "huge", "short", "missing", "type", "shape", "cut", "longer", "empty",
    ])
  func hostile(_ fault: String) throws {
    let scales = try Self.withTiny { try $0.scales(Self.texts) }
    let good = scales.encoded()
    var bytes = good
    func put(_ value: Float) {
      for i in 0..<4 { bytes[bytes.count - 4 + i] = UInt8(value.bitPattern >> (8 * UInt32(i)) & 255) }
    }
    let name = "encoder.layer.0.output.dense"
    func header(_ type: String, _ shape: String, _ count: Int) -> [UInt8] {
      TinyModel.safetensors(
        #"{"\#(name)":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":[0,\#(count)]}}"#,
        .init(repeating: 0x3f, count: count))
    }
    switch fault {
    case "zero": put(0)
    case "negative": put(-1)
    case "nan": put(.nan)
    case "infinite": put(.infinity)
    case "huge": put(0x1p25)
    case "short": bytes = header("F32", "[3]", 12)
    case "missing": bytes = header("F32", "[64]", 256)
    case "type": bytes = header("F16", "[64]", 128)
    case "shape": bytes = header("F32", "[8,8]", 256)
    case "cut": bytes.removeLast()
    case "longer": bytes.append(0)
    default: bytes = []
    }
    var model = TinyModel()
    model.sealedFiles[Int8Scales.file] = bytes
    let error = #expect(throws: ModelError.self) { try model.load(precision: .int8) }
    #expect(error?.file == Int8Scales.file && error?.reason.isEmpty == false)
  }

  @Test(
    "int8 with scales keeps a cosine of 0.999 on the average of 2,000 texts, and 0.997 on each",
    .enabled(if: Golden.hasModel, Golden.skip))
  func real() throws {
    let exact = try Golden.model.get().embed(Golden.inputs)
    try Golden.weights().withUnsafeBytes {
      let calibrator = try Calibrator(files: try Golden.files(), weights: [WeightsFile(bytes: $0)])
      let scales = try calibrator.scales(CalibrationTexts.calibration)
      let accuracy = try calibrator.accuracy(of: .int8, scales: scales, exact: exact, Golden.texts)
      #expect(accuracy.mean >= 0.999 && accuracy.least >= 0.997, "\(accuracy)")
      let held = CalibrationTexts.heldOut
      let check = try calibrator.accuracy(
        of: .int8, scales: scales, exact: try calibrator.results(.fp32, held), held)
      #expect(check.mean >= 0.999 && check.least >= 0.997, "auto means int8 for this model: \(check)")
    }
    #expect(Set(CalibrationTexts.calibration).isDisjoint(with: CalibrationTexts.heldOut))
  }

  @Test("a cross-encoder is calibrated and measured with pairs, a classifier with texts, both on logits")
  func heads() throws {
    for (labels, count) in [(["relevance"], 15), (["yes", "no", "perhaps"], 5)] {
      let model = TinyModel(labels: labels)
      try model.weights().withUnsafeBytes {
        let calibrator = try Calibrator(files: model.files, weights: [WeightsFile(bytes: $0)])
        #expect(calibrator.inputs(Self.texts).count == count)
        let scales = try calibrator.scales(Self.texts)
        let exact = try calibrator.results(.fp32, Self.texts)
        #expect(try calibrator.accuracy(of: .fp32, scales: nil, exact: exact, Self.texts).least == 1)
        let bf16 = try calibrator.accuracy(of: .bf16, scales: nil, exact: exact, Self.texts)
        let int8 = try calibrator.accuracy(of: .int8, scales: scales, exact: exact, Self.texts)
        #expect(int8.texts == count && int8.mean < bf16.mean && bf16.mean < 1 && int8.mean > 0.9, "\(int8) \(bf16)")
        // What a sigmoid or softmax makes of these logits is what the model says.
        let loaded = try model.load()
        let said = try loaded.embed(calibrator.inputs(Self.texts))
        for (score, logits) in zip(said, exact) {
          let powers = logits.map { Double($0) }.map { exp($0) }
          let wanted = labels.count == 1 ? [powers[0] / (1 + powers[0])] : powers.map { $0 / powers.reduce(0, +) }
          for (a, b) in zip(score, wanted) { #expect(abs(Double(a) - b) < 1e-5) }
        }
      }
    }
    let model = TinyModel(labels: ["relevance"])
    try model.weights().withUnsafeBytes {
      let calibrator = try Calibrator(files: model.files, weights: [WeightsFile(bytes: $0)])
      let tokenizer = try ItemTokenizer(files: model.files)
      #expect(calibrator.inputs(["a b\tc"]) == [tokenizer.tokenize("a b", pair: "c")])
      let pairs = [("a b c", "a b c"), ("a ", "b c"), ("a b c", "é"), ("é", "é"), ("", "é"), ("é", "a b c")]
      #expect(calibrator.inputs(["a b c", "é"]) == pairs.map { tokenizer.tokenize($0.0, pair: $0.1) })
    }
  }

  @Test("agreement is a squared distance against the spread; for softmax a shift of all logits is none")
  func agreement() {
    let exact: [[Float]] = [[1, 0], [-1, 0]]
    #expect(PrecisionAccuracy.agreements(exact, exact, ignoringShift: false) == [1, 1])
    #expect(PrecisionAccuracy.agreements([[1, 1], [-1, 0]], exact, ignoringShift: false) == [0.5, 1])
    let shifted: [[Float]] = [[3, 2], [-2, -1]]
    #expect(PrecisionAccuracy.agreements(shifted, exact, ignoringShift: true) == [1, 1])
    #expect(PrecisionAccuracy.agreements(shifted, exact, ignoringShift: false)[0] < 0)
    #expect(PrecisionAccuracy.agreements([[2], [2]], [[2], [2]], ignoringShift: false) == [1, 1])
    #expect(
      PrecisionAccuracy.agreements([[2], [1]], [[2], [2]], ignoringShift: false) == [1, 0], "nothing to compare with")
    #expect(PrecisionAccuracy.agreements([], [], ignoringShift: true).isEmpty)
  }
}
