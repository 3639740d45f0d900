import Crypto
import Inference
import SealedCrypto
import Wire

/// What publishing a model finds out about its precisions: the scales of int8, and how near each precision comes to fp32.
struct ModelCalibration {
  /// The sealed file with the scales.
  let scales: [UInt8]
  /// By precision.
  let accuracy: [ModelAccuracy]

  var file: ModelFile {
    ModelFile(
      name: ModelManifestClaims.int8Scales, size: UInt64(scales.count), sha256: SHA256.digest(of: scales),
      isSealed: true)
  }

  /// Reads the weights and computes a few hundred texts.
  ///
  /// - Parameter texts: the publisher's own, beside the built-in ones.
  /// - Throws: ``ClientError`` of kind `input` for weights that cannot be computed with.
  init(_ folder: ModelFolder, _ description: ModelDescription, texts: [String]) throws {
    let weights = try description.parts.filter { $0.role == .weights }.map { part in
      let sink = MemorySink(limit: part.size)
      try OpenedFile(reading: folder.path(of: part.name)).copy(to: sink)
      return (name: part.name, bytes: sink.bytes)
    }
    do {
      (scales, accuracy) = try WeightsFile.withAll(weights) { files in
        let calibrator = try Calibrator(files: try folder.clearFiles(), weights: files)
        let scales = try calibrator.scales(CalibrationTexts.calibration + texts)
        return (scales.encoded(), try Self.accuracy(calibrator, scales))
      }
    } catch let error as ModelError {
      throw Self.unusable("\(error)")
    } catch let error as EmbeddingModel.Failure {
      throw Self.unusable("it gives no finite result: \(error)")
    }
  }

  private static func unusable(_ reason: String) -> ClientError {
    ClientError(.input, "the model cannot be calibrated: \(reason)", remedy: "mend the folder")
  }

  /// Every precision but fp32, which is what they are held to.
  private static func accuracy(_ calibrator: Calibrator, _ scales: Int8Scales) throws -> [ModelAccuracy] {
    let texts = CalibrationTexts.heldOut
    let exact = try calibrator.results(.fp32, texts)
    return try Precision.allCases.filter { $0 != .fp32 }.map { precision in
      let found = try calibrator.accuracy(of: precision, scales: scales, exact: exact, texts)
      return ModelAccuracy(
        precision: precision.rawValue, meanMillionths: millionths(found.mean), leastMillionths: millionths(found.least),
        texts: UInt64(found.texts))
    }
  }

  /// Rounded down, so that nothing passes by its rounding.
  private static func millionths(_ nearness: Double) -> UInt64 { UInt64(max(0, min(1, nearness)) * 1_000_000) }
}

/// `models publish --calibrate FILE`: texts of the publisher's own, one a line.
package enum CalibrationFile {
  static let byteLimit = 16 << 20
  static let textLimit = 10_000

  /// - Throws: ``ClientError`` of kind `input` or `notFound`.
  package static func read(_ path: String) throws -> [String] {
    let sink = MemorySink(limit: byteLimit)
    do {
      try OpenedFile(reading: path).copy(to: sink)
    } catch is WireError {
      throw wrong(path, "is larger than \(byteLimit >> 20) MiB")
    }
    guard let text = String(validating: sink.bytes, as: UTF8.self) else { throw wrong(path, "is not UTF-8") }
    let lines = text.split(whereSeparator: \.isNewline).map(String.init)
    guard (1...textLimit).contains(lines.count) else { throw wrong(path, "must hold 1 to \(textLimit) lines of text") }
    return lines
  }

  private static func wrong(_ path: String, _ reason: String) -> ClientError {
    ClientError(.input, "\(path) \(reason)", remedy: "give texts like those that the model is for, one a line")
  }
}
