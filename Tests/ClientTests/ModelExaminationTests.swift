import Client
import Foundation
import Inference
import TestSupport
import Testing

/// What `ephemeral models verify` finds out.
struct ModelExaminationTests {
  private static func isNear(_ run: ModelExamination.Run, _ least: Float) -> Bool {
    switch run.nearness {
    case .cosine(let cosine): cosine > least
    case .difference(let difference): difference < 0.05
    case nil: false
    }
  }

  private static func folder(_ model: TinyModel) throws -> String {
    let path = FileManager.default.temporaryDirectory.appending(path: "examined-\(UInt64.random(in: 0 ... .max))").path
    try model.write(to: path)
    return path
  }

  @Test("a model is described, computed in each precision, and its memory told")
  func computes() throws {
    let path = try Self.folder(TinyModel())
    defer { try? FileManager.default.removeItem(atPath: path) }
    let examined = try ModelExamination(folder: path, readsWeights: true)
    #expect(examined.description.operations == ["embed"] && examined.config.hiddenSize == 32)
    #expect(examined.runs.map(\.precision) == Precision.allCases)
    #expect(examined.runs.allSatisfy { Self.isNear($0, 0.99) })
    let file = try #require(examined.description.parts.first { $0.role == .weights })
    let fp32 = try #require(examined.runs.first { $0.precision == .fp32 }).footprint
    #expect(Double(fp32.weightBytes) > 0.7 * Double(file.size) && Double(fp32.weightBytes) < 1.3 * Double(file.size))
    #expect(examined.runs.allSatisfy { $0.footprint.weightBytes <= fp32.weightBytes })
    #expect(try ModelExamination(folder: path, readsWeights: false).runs.allSatisfy { $0.nearness == nil })
  }

  @Test(
    "every kind of model in the vectors",
    arguments: ["bert-classify", "bert-dense", "bert-score", "distilbert-lasttoken"])
  func kinds(_ name: String) throws {
    let path = Checkout.root.appending(path: "Tests/Vectors/encoders/\(name)").path
    #expect(try ModelExamination(folder: path, readsWeights: true).runs.allSatisfy { Self.isNear($0, 0.9) })
  }

  @Test(
    "a weight that is no number is found, unless headers alone are read; what is missing is told apart from what is wrong"
  )
  func refusals() throws {
    var model = TinyModel()
    model.poison = ("encoder.layer.0.output.dense.weight", 0x7fc0_0000)
    let path = try Self.folder(model)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let error = try #require(throws: ClientError.self) { try ModelExamination(folder: path, readsWeights: true) }
    #expect(error.kind == .invalid && error.reason.contains("dense.weight` holds an infinity or a NaN"))
    _ = try ModelExamination(folder: path, readsWeights: false)
    let missing = try #require(throws: ClientError.self) {
      try ModelExamination(folder: path + "-not-there", readsWeights: true)
    }
    #expect(missing.kind == .notFound)
    try Data("{}".utf8).write(to: URL(filePath: path + "/config.json"))
    let empty = try #require(throws: ClientError.self) { try ModelExamination(folder: path, readsWeights: false) }
    #expect(empty.kind == .invalid && empty.reason.contains("config.json: `model_type` is missing"))
  }
}
