import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import Client
@testable import JobRunner

@Suite("Models and policies are published as the worker will read them")
struct PublishingTests {
  @Test("weights are sealed under the KMS stanza alone, everything else stands in clear and is signed for")
  func model() throws {
    let desk = try Desk()
    let manifest = try UnverifiedStatement<ModelManifestClaims>(
      try desk.store.getSmall(try ObjectKey(StoreLayout.model(desk.model, StoreLayout.modelManifest)))
    ).verified(by: desk.publisherKey.verifyingKey).claims
    #expect(manifest.files.filter(\.isSealed).map(\.name) == ["model.safetensors", "int8.scales"])
    #expect(manifest.accuracy.map(\.precision) == ["bf16", "int8"] && manifest.accuracy.allSatisfy { $0.texts > 50 })
    for file in manifest.files {
      let stored = try desk.store.getSmall(
        try ObjectKey(StoreLayout.model(desk.model, file.objectName)), limit: 1 << 24)
      if file.isSealed {
        try ContainerRole.modelFile.check(try AgeHeader(startOf: stored))
      } else {
        #expect(BundleDigest.of(stored) == file.sha256)
      }
    }
  }

  @Test("the same model again is found, not uploaded; another one is another")
  func again() throws {
    let desk = try Desk()
    let publisher = ModelPublisher(store: desk.store, kms: LocalKeys())
    let key = try KMSKeyARN(TestEnclave.epochKey)
    let same = try publisher.publish(
      folder: "\(desk.folder)/model", name: "tiny", key: key, publisher: desk.publisherKey, nowMs: Desk.nowMs + 5)
    #expect(same.wasThere)
    #expect(same.manifest.digest == desk.model)
    try TinyModel(words: TinyModel.office, seed: 2).write(to: "\(desk.folder)/model2")
    let other = try publisher.publish(
      folder: "\(desk.folder)/model2", name: "tiny", key: key, publisher: desk.publisherKey, nowMs: Desk.nowMs)
    #expect(!other.wasThere)
    #expect(other.manifest.digest != desk.model)
  }

  @Test("weights of a type that the policy does not permit are refused before KMS is asked")
  func notPermitted() throws {
    let desk = try Desk()
    var policy = desk.policy.claims
    for (formats, types) in [(["safetensors"], ["F16"]), (["gguf"], ["F32"])] {
      (policy.formats, policy.dtypes) = (formats, types)
      let error = clientError {
        _ = try ModelPublisher(store: desk.store, kms: LocalKeys()).publish(
          folder: "\(desk.folder)/model", name: "x", key: try KMSKeyARN(TestEnclave.epochKey),
          publisher: desk.publisherKey, nowMs: Desk.nowMs, policy: policy)
      }
      #expect(error?.kind == .rejected)
    }
  }

  @Test("a folder that is no model is refused before KMS is asked")
  func noModel() throws {
    let desk = try Desk()
    _ = try desk.file("empty/readme.txt", "nothing")
    let error = clientError {
      _ = try ModelPublisher(store: desk.store, kms: LocalKeys()).publish(
        folder: "\(desk.folder)/empty", name: "x", key: try KMSKeyARN(TestEnclave.epochKey),
        publisher: desk.publisherKey,
        nowMs: Desk.nowMs)
    }
    #expect(error?.kind == .input)
  }

  private static let source = """
    version: 3
    valid_for_days: 30
    measurements:
      - {name: worker, pcr0: "\(String(repeating: "a0", count: 48))", pcr1: "\(String(repeating: "a1", count: 48))", pcr2: "\(String(repeating: "a2", count: 48))"}
    epoch_key: \(TestEnclave.epochKey)
    submitters:
      - {name: alice, key: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", models: []}
    """

  @Test("a policy file becomes claims, with the defaults that are documented")
  func policy() throws {
    let claims = try PolicySource.read(Array(Self.source.utf8), file: "policy.yaml", nowMs: Desk.nowMs).claims
    #expect(claims.version == 3)
    #expect(claims.notAfterMs == Desk.nowMs + 30 * 86_400_000)
    #expect(claims.requireHybridTLS)
    #expect(claims.minimumEpoch == 1)
    #expect(claims.submitters.map(\.operations) == [["embed"]])
  }

  @Test(
    "each fault of a policy file is named with its line",
    arguments: [
      ("version: 3", "version: three", "policy.yaml line 1: `version` must be a whole number"),
      (
        "valid_for_days: 30", "valid_for_days: 0",
        "`valid_for_days` must be 1 to 1100 days, unless there is `not_after`"
      ),
      (
        "epoch_key: arn", "epoch_key: alias/arn",
        "`epoch_key` must be a full KMS key ARN (arn:aws:kms:…:key/…), no alias"
      ),
      ("models: []", "models: [abc]", "`models` must be model manifest digests: 64 hexadecimal digits each"),
      ("version: 3", "versions: 3", "`versions` is not known here"),
      ("version: 3\n", "", "`version` is missing"),
      ("version: 3", "version: 3\ncolour: red", "policy.yaml line 2: `colour` is not known here"),
      (String(repeating: "a0", count: 48), String(repeating: "00", count: 48), "debug-mode"),
    ])
  func faults(_ old: String, _ new: String, _ wanted: String) {
    let text = Self.source.replacing(old, with: new, maxReplacements: 1)
    let error = clientError { _ = try PolicySource.read(Array(text.utf8), file: "policy.yaml", nowMs: Desk.nowMs) }
    #expect(error?.kind == .usage)
    #expect(error?.reason.contains(wanted) == true, "\(error?.reason ?? "accepted")")
  }

  @Test("every kind of error has one exit code")
  func exitCodes() {
    let codes = ClientError.Kind.allCases.map { CLIError(ClientError($0, "", remedy: "")).status.rawValue }
    #expect(codes == [64, 1, 10, 5, 20, 21, 6, 4, 1])
    #expect(CLIError(ObjectStoreError(.notFound, "", "", mend: "")).status == .notFound)
    #expect(CLIError(ObjectStoreError(.retryable, "", "", mend: "")).status == .retryable)
    #expect(CLIError(WireError.malformed("")).status == .invalid)
  }

  @Test("text from outside cannot steer a terminal")
  func printable() {
    #expect(Shown.printable("a\u{1B}[2Jb\u{202E}c\n") == "a?[2Jb?c?")
    #expect(JSONLine.text("a\u{1B}\"\n").encoded == #""a\u001b\"\u000a""#)
  }

  @Test("times are written and read as RFC 3339")
  func times() {
    #expect(Timestamps.text(1_766_668_537_578) == "2025-12-25T13:15:37Z")
    #expect(Timestamps.milliseconds("2025-12-25T13:15:37Z") == 1_766_668_537_000)
    #expect(Timestamps.milliseconds("2025-12-25T13:15:37.578Z") == 1_766_668_537_000)
    #expect(Timestamps.milliseconds("2025-13-25T13:15:37Z") == nil)
    #expect(Timestamps.milliseconds("2025-12-25 13:15:37Z") == nil)
    #expect(Timestamps.milliseconds("yesterday") == nil)
  }

  @Test("an identity that is there is never made anew, and the file is an age identity file")
  func keys() throws {
    let desk = try Desk()
    let text = String(decoding: try PrivateFiles.read(desk.home.keys.identityPath), as: UTF8.self)
    #expect(text.split(separator: "\n").last?.hasPrefix("AGE-SECRET-KEY-PQ-1") == true)
    #expect(clientError { try desk.home.keys.generateIdentity(createdAt: "now") }?.kind == .other)
    #expect(clientError { try desk.home.keys.generate(.submitter) }?.kind == .other)
    #expect(text == String(decoding: try PrivateFiles.read(desk.home.keys.identityPath), as: UTF8.self))
  }

  @Test("a flag comes before the environment, that before the project's file, that before the user's")
  func settings() throws {
    let desk = try Desk()
    try ClientSettings(store: "user", profile: "user", model: "user").write(to: desk.home.configPath)
    _ = try desk.file("ephemeral.yaml", "store: project\n")
    let found = try ClientSettings.resolve(
      flags: ClientSettings(store: "flag"),
      environment: ["EPHEMERAL_PROFILE": "variable", "EPHEMERAL_STORE": "variable"],
      projectDirectory: desk.folder, home: desk.home)
    #expect(found == ClientSettings(store: "flag", profile: "variable", model: "user"))
    _ = try desk.file("ephemeral.yaml", "shop: project\n")
    #expect(
      clientError {
        _ = try ClientSettings.resolve(
          flags: ClientSettings(), environment: [:], projectDirectory: desk.folder, home: desk.home)
      }?.reason.contains("`shop` is not known here") == true)
  }
}
