import Inference
import SealedCrypto
import Wire

/// The measurements of an image as a tool printed them: `ephemeral image measure --json`, `nitro-cli describe-eif`.
package enum KeyMeasurements {
  private static let limits = JSONLimits(bytes: 1 << 20, depth: 12, values: 20_000)

  /// One image from JSON that has `pcr0`, `pcr1`, `pcr2` and perhaps `pcr8` (in either case), at its top or under
  /// `Measurements`.
  ///
  /// - Parameter file: for errors; the image is called so.
  /// - Throws: ``ClientError`` of kind `usage`.
  package static func image(json: [UInt8], file: String) throws -> MeasurementTuple {
    func refuse(_ reason: String) -> ClientError {
      ClientError(.usage, "\(file): \(reason)", remedy: "give the output of `ephemeral image measure --json`")
    }
    let root: JSONValue
    do {
      root = try JSONValue(parsing: json, limits: limits)
    } catch {
      throw refuse("not JSON: \(error)")
    }
    guard let top = root.object else { throw refuse("not a JSON object") }
    let object = top["Measurements"]?.object ?? top["measurements"]?.object ?? top
    func register(_ index: Int) throws -> [UInt8]? {
      guard let found = object["pcr\(index)"] ?? object["PCR\(index)"], found != .null else { return nil }
      guard let text = found.string, let value = Hex.decode(text), value.count == 48 else {
        throw refuse("pcr\(index) is not 96 lower-case hexadecimal digits")
      }
      return value
    }
    guard let pcr0 = try register(0), let pcr1 = try register(1), let pcr2 = try register(2) else {
      throw refuse("needs pcr0, pcr1 and pcr2")
    }
    guard ![pcr0, pcr1, pcr2].contains(where: { $0.allSatisfy { $0 == 0 } }) else {
      throw refuse("a register is zero, as in debug mode")
    }
    return MeasurementTuple(name: file, pcr0: pcr0, pcr1: pcr1, pcr2: pcr2, pcr8: try register(8))
  }

  /// The images of a file: a policy's source where its name ends in `.yaml` or `.yml`, one image's JSON otherwise.
  ///
  /// - Throws: ``ClientError``.
  package static func images(inFile path: String, nowMs: UInt64) throws -> [MeasurementTuple] {
    let bytes = try PrivateFiles.read(path)
    guard path.hasSuffix(".yaml") || path.hasSuffix(".yml") else { return [try image(json: bytes, file: path)] }
    return try PolicySource.read(bytes, file: path, nowMs: nowMs).claims.measurements
  }
}
