import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import Client

@Suite("Models that continue texts are published as the worker will read them")
struct DecoderPublishingTests {
  private static func publish(
    _ desk: Desk, folder: String, policy: PolicyClaims? = nil, context: Int? = nil
  ) throws -> ModelPublisher.Published {
    try ModelPublisher(store: desk.store, kms: LocalKeys()).publish(
      folder: folder, name: "texts", key: try KMSKeyARN(TestEnclave.modelKey), publisher: desk.publisherKey,
      nowMs: Desk.nowMs, policy: policy, contextLength: context)
  }

  @Test("safetensors: the weights are sealed, the tokenizer stands in clear, nothing is calibrated; again it is found")
  func safetensors() throws {
    let desk = try Desk()
    let folder = "\(desk.folder)/decoder"
    try TinyDecoder().write(to: folder)
    let claims = try Self.publish(desk, folder: folder).manifest.claims
    #expect(claims.operations == ["generate"] && claims.dimensions == 0 && claims.format == "safetensors")
    #expect(claims.maximumTokens == UInt64(TinyDecoder.contextLength) && claims.dtypes == ["BF16"])
    #expect(claims.files.filter(\.isSealed).map(\.name) == ["model.safetensors"] && claims.accuracy.isEmpty)
    #expect(claims.files.contains { $0.name == "tokenizer_config.json" && !$0.isSealed })
    #expect(try Self.publish(desk, folder: folder).wasThere)
    let shorter = try Self.publish(desk, folder: folder, context: 512)
    #expect(!shorter.wasThere && shorter.manifest.claims.maximumTokens == 512)
    for context in [0, 7, TinyDecoder.contextLength + 1] {
      #expect(clientError { _ = try Self.publish(desk, folder: folder, context: context) }?.kind == .usage)
    }
    #expect(clientError { _ = try Self.publish(desk, folder: "\(desk.folder)/model", context: 8) }?.kind == .usage)
  }

  @Test("GGUF: the one file is sealed, and the policy must permit each of its types")
  func gguf() throws {
    let desk = try Desk()
    let file = Checkout.root.appending(path: "Tests/Vectors/decoders/llama-q8_0/model.gguf")
    let path = try desk.file("decoder/tiny.gguf", Array(try Data(contentsOf: file)))
    let folder = String(path.dropLast("/tiny.gguf".count))
    let published = try Self.publish(desk, folder: folder)
    #expect(published.manifest.claims.files.map(\.objectName) == ["tiny.gguf.age"])
    #expect(published.manifest.claims.dtypes == ["F32", "Q8_0"] && published.manifest.claims.format == "gguf")
    let sealed = try desk.store.getSmall(
      try ObjectKey(StoreLayout.model(published.manifest.digest, "tiny.gguf.age")), limit: 1 << 24)
    try ContainerRole.modelFile.check(try AgeHeader(startOf: sealed))
    var policy = desk.policy.claims
    for (formats, types, isPermitted) in [
      (["safetensors"], ["F32", "Q8_0"], false), (["gguf"], ["F32"], false), (["gguf"], ["F32", "Q8_0"], true),
    ] {
      (policy.formats, policy.dtypes) = (formats, types)
      let error = clientError { _ = try Self.publish(desk, folder: folder, policy: policy) }
      #expect(error?.kind == (isPermitted ? nil : .rejected))
    }
  }

  @Test("auto is never int8, and a GGUF file is computed in bf16 alone")
  func precisions() throws {
    let desk = try Desk()
    var policy = desk.policy.claims
    var model = ModelManifestClaims(
      name: "m", architecture: "llama", format: "safetensors", dtypes: ["BF16"], operations: ["generate"],
      maximumTokens: 64, dimensions: 0, createdMs: 0,
      files: [
        ModelFile(name: ModelManifestClaims.int8Scales, size: 1, sha256: desk.model, isSealed: true)
      ],
      accuracy: [ModelAccuracy(precision: "int8", meanMillionths: 1_000_000, leastMillionths: 1_000_000, texts: 9)])
    func resolved(_ requested: String) -> String? {
      try? JobPrecision.resolve(requested, model: model, digest: desk.model, under: policy)
    }
    #expect(["auto", "fp32", "bf16", "int8"].map(resolved) == ["bf16", "fp32", "bf16", nil])
    #expect(model.usualPrecision == "fp32")
    model.format = "gguf"
    #expect(["auto", "fp32", "bf16", "int8"].map(resolved) == ["bf16", nil, "bf16", nil])
    #expect(model.usualPrecision == "bf16")
    policy.precisions = ["fp32", "int8"]
    #expect(resolved("auto") == nil)
    model.format = "safetensors"
    #expect(resolved("auto") == "fp32")
  }

  @Test("words for formats and types that no worker knows are warned of, and quantised types without floats")
  func lint() throws {
    let desk = try Desk()
    func places(_ formats: [String], _ types: [String]) -> [String] {
      var policy = desk.policy.claims
      (policy.formats, policy.dtypes) = (formats, types)
      return PolicyLint.findings(policy, nowMs: Desk.nowMs).map(\.place).filter { ["formats", "dtypes"].contains($0) }
    }
    #expect(places(["safetensors", "gguf"], ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"]) == [])
    #expect(places(["pickle"], ["F32"]) == ["formats"] && places(["gguf"], ["F32", "Q2_K"]) == ["dtypes"])
    #expect(places(["gguf"], ["Q4_K"]) == ["dtypes"] && places([], []) == ["formats", "dtypes"])
  }
}
