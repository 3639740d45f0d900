import Crypto
import Inference
import Testing

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

@Suite("Which precision a job is computed in", .serialized)
struct PrecisionTests {
  private static let input = TestWorld.lines(40)

  /// A world whose model has scales for int8, and figures that pass for `auto`, or other ones.
  private static func world(
    scales: [UInt8]? = nil, least: UInt64 = 998_000, _ change: (TestWorld) -> Void = { _ in }
  ) throws -> TestWorld {
    let world = try TestWorld()
    let scales = try scales ?? calibrated()
    try world.republish(sealing: [ModelManifestClaims.int8Scales: scales]) {
      $0.accuracy = [
        ModelAccuracy(precision: "bf16", meanMillionths: 999_990, leastMillionths: 999_950, texts: 67),
        ModelAccuracy(precision: "int8", meanMillionths: 999_200, leastMillionths: least, texts: 67),
      ]
    }
    change(world)
    try world.start()
    return world
  }

  private static func calibrated() throws -> [UInt8] {
    try TestModel.weights().withUnsafeBytes {
      try Calibrator(files: ModelFiles(TestModel.clear()), weights: [WeightsFile(bytes: $0)])
        .scales(["a b c", "d e . a ab ac"]).encoded()
    }
  }

  private static func run(_ world: TestWorld, _ precision: String) throws -> SeenJob {
    var claims = try world.manifest(for: input, items: 40)
    claims.precision = precision
    return try world.host(try world.bundle(claims, input)).runJob()
  }

  private static func embeddings(_ world: TestWorld, _ seen: SeenJob) throws -> [[Float]] {
    try world.open(.output, of: seen).split(separator: UInt8(ascii: "\n")).map { line in
      guard case .embedding(let parsed) = try OutputLine(parsing: Array(line)) else { return [] }
      return parsed.embedding
    }
  }

  private static func cosine(_ a: [Float], _ b: [Float]) -> Float {
    func dot(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
  }

  @Test("one model in three precisions: the receipt says which, the numbers are near fp32's and not them")
  func threePrecisions() throws {
    let world = try Self.world()
    let exact = try Self.embeddings(world, try Self.run(world, "fp32"))
    #expect(exact.count == 40)
    for precision in ["bf16", "int8"] {
      let seen = try Self.run(world, precision)
      #expect(seen.code == .ok)
      #expect(try seen.claims().job?.precision == precision)
      let found = try Self.embeddings(world, seen)
      #expect(found != exact)
      #expect(try #require(zip(found, exact).map(Self.cosine).min()) >= 0.997)
      // From the cache as well, and fp32 again after it: no precision answers for another.
      #expect(try Self.embeddings(world, try Self.run(world, precision)) == found)
    }
    #expect(try Self.embeddings(world, try Self.run(world, "fp32")) == exact)
  }

  @Test("auto is int8 where its check passed, bf16 else, within what the policy permits")
  func automatic() throws {
    #expect(try Self.run(try Self.world(), "auto").claims().job?.precision == "int8")
    #expect(try Self.run(try Self.world(least: 996_999), "auto").claims().job?.precision == "bf16")
    let plain = try TestWorld()
    try plain.start()
    #expect(try Self.run(plain, "auto").claims().job?.precision == "bf16", "a model without a calibration")
    let careful = try Self.world { $0.policyClaims.precisions = ["fp32"] }
    #expect(try Self.run(careful, "auto").claims().job?.precision == "fp32")
    let only = try Self.world(least: 0) { $0.policyClaims.precisions = ["int8"] }
    let refused = try Self.run(only, "auto")
    #expect(try refused.claims().outcome == .refused && refused.claims().job?.precision == "auto")
    #expect(try Self.run(only, "int8").code == .ok, "asked for in so many words")
  }

  @Test(
    "a precision that the policy does not permit is refused before the model is touched, and the recipients read why")
  func policy() throws {
    let world = try Self.world { $0.policyClaims.precisions = ["fp32", "bf16"] }
    let seen = try Self.run(world, "int8")
    #expect(seen.code == .refused)
    #expect(try world.items(of: seen).trailer.fault?.contains("does not permit the precision int8") == true)
    #expect(!seen.pulled.contains { $0 != .bundle })
    #expect(try Self.run(world, "bf16").code == .ok)
    let one = try Self.world {
      $0.policyClaims.precisions = ["fp32"]
      $0.policyClaims.modelPrecisions = [ModelPrecisions(model: $0.modelDigest, precisions: ["int8"])]
    }
    #expect(try Self.run(one, "int8").code == .ok, "the model's own list stands in place of the others'")
    #expect(try Self.run(one, "fp32").code == .refused)
  }

  @Test("fp32 and bf16 do not ask for the scales; int8 of a model whose scales are no scales fails")
  func scales() throws {
    let world = try Self.world(scales: [1, 2, 3])
    #expect(try Self.run(world, "fp32").code == .ok)
    let seen = try Self.run(world, "int8")
    #expect(try seen.claims().outcome == .failed)
    #expect(try world.items(of: seen).trailer.fault?.contains("int8.scales") == true)
  }
}
