import Crypto
import Inference
import ObjectStore
import SealedCrypto
import Wire

/// Publishes a model: every file digested and signed for, the weights sealed under the owner's KMS key, what clients need
/// to count tokens in clear.
package struct ModelPublisher {
  private let store: any ObjectStore
  private let kms: any DataKeyService

  package init(store: any ObjectStore, kms: any DataKeyService) {
    self.store = store
    self.kms = kms
  }

  /// A model that is in the store now.
  package struct Published: Sendable {
    package let manifest: Signed<ModelManifestClaims>
    /// It was there before, file for file, and nothing was uploaded.
    package let wasThere: Bool
  }

  /// Checks a model folder and uploads it; the manifest comes last, so that a model is whole or not there.
  ///
  /// - Parameters:
  ///   - name: what people call it.
  ///   - keyARN: the owner's KMS key, as the policy lists it for this publisher.
  ///   - policy: where it is known, the model must be of a format and of types that it permits.
  ///   - calibration: texts to calibrate an encoder's int8 with beside the built-in ones; nil calibrates nothing.
  ///   - contextLength: tokens of one sequence of a decoder at most, where it is less than the model's own: workers need
  ///     memory for so long a one.
  ///   - progress: what is being done, for people.
  /// - Throws: ``ClientError`` of kind `input` for a folder that is no model, `rejected` for one that the policy does
  ///   not permit; what store and KMS throw.
  package func publish(
    folder path: String, name: String, key keyARN: KMSKeyARN, publisher: SigningKey, nowMs: UInt64,
    policy: PolicyClaims? = nil, calibration texts: [String]? = [], contextLength: Int? = nil,
    progress: (String) -> Void = { _ in }
  ) throws -> Published {
    let folder = ModelFolder(path: path)
    progress("checking \(path)")
    let description: ModelDescription
    do {
      description = try folder.describe()
    } catch {
      throw ClientError(.input, "\(path) is no model that can be computed: \(error)", remedy: "mend the folder")
    }
    if let policy { try Self.permit(description, policy) }
    let isDecoder = description.operations == [ModelOperation.generate.rawValue]
    let maximumTokens = try Self.maximumTokens(of: description, contextLength, isDecoder: isDecoder)
    let texts = !isDecoder && folder.hasInt8 ? texts : nil
    let calibration = try texts.map { texts in
      progress("calibrating int8")
      return try ModelCalibration(folder, description, texts: texts)
    }
    let files = try description.parts.map { try digested($0, folder) } + [calibration?.file].compactMap { $0 }
    let claims = ModelManifestClaims(
      name: name, architecture: description.architecture, format: description.format, dtypes: description.elementTypes,
      operations: description.operations, maximumTokens: UInt64(maximumTokens),
      dimensions: UInt64(description.dimensions), createdMs: nowMs, files: files,
      accuracy: calibration?.accuracy ?? [])
    if let same = try published(claims, by: publisher.verifyingKey) { return Published(manifest: same, wasThere: true) }

    let manifest = try Signed<ModelManifestClaims>.sign(claims, with: publisher)
    let context = KMSEncryptionContext.model(manifest: manifest.digest)
    for file in files {
      progress("uploading \(file.objectName)")
      let object = try ObjectKey(StoreLayout.model(manifest.digest, file.objectName))
      let writer = try store.openWriter(object)
      defer { writer.abort() }
      if file.isSealed {
        // One data key for one file: the KMS stanza's nonce is fixed.
        let dataKey = try kms.generateDataKey(keyARN, context: context)
        let recipient = try KMSStanzaRecipient(
          keyARN: keyARN.text, ciphertextBlob: dataKey.ciphertextBlob, dataKey: dataKey.plaintext)
        let encryptor = try AgeEncryptor(recipients: [recipient], to: writer)
        if file.name == ModelManifestClaims.int8Scales, let calibration {
          try encryptor.write(calibration.scales)
        } else {
          try copy(file, folder, to: encryptor)
        }
        try encryptor.finish()
      } else {
        try copy(file, folder, to: writer)
      }
      _ = try writer.commit(.always)
    }
    let key = try ObjectKey(StoreLayout.model(manifest.digest, StoreLayout.modelManifest))
    _ = try store.put(key, manifest.bytes, .ifAbsent)
    return Published(manifest: manifest, wasThere: false)
  }

  private static func maximumTokens(
    of description: ModelDescription, _ contextLength: Int?, isDecoder: Bool
  ) throws -> Int {
    guard let contextLength else { return description.maximumTokens }
    guard isDecoder else {
      throw ClientError(.usage, "only models that continue texts have a context", remedy: "leave --context out")
    }
    guard (8...description.maximumTokens).contains(contextLength) else {
      throw ClientError(
        .usage, "the model's context has at most \(description.maximumTokens) tokens",
        remedy: "choose from 8 to so many with --context")
    }
    return contextLength
  }

  /// No worker would load what the policy does not permit: so it is not published either.
  private static func permit(_ description: ModelDescription, _ policy: PolicyClaims) throws {
    let types = description.elementTypes.filter { !policy.dtypes.contains($0) }
    guard policy.formats.contains(description.format), types.isEmpty else {
      let wrong =
        types.isEmpty ? "the format \(description.format)" : "weights of type \(types.joined(separator: ", "))"
      throw ClientError(
        .rejected, "policy version \(policy.version) does not permit \(wrong)",
        remedy: "convert the weights, or have the policy permit them", by: .securityOfficer)
    }
  }

  /// A manifest of this publisher in the store that says the same but for its date.
  private func published(
    _ claims: ModelManifestClaims, by publisher: VerifyingKey
  ) throws -> Signed<ModelManifestClaims>? {
    var found: Signed<ModelManifestClaims>?
    try store.forEach(prefix: StoreLayout.models) { info in
      guard info.key.text.hasSuffix("/\(StoreLayout.modelManifest)") else { return true }
      guard
        let signed = try? UnverifiedStatement<ModelManifestClaims>(try store.getSmall(info.key)).verified(by: publisher)
      else { return true }
      var dated = signed.claims
      dated.createdMs = claims.createdMs
      let whole = try signed.claims.files.allSatisfy { file in
        try store.head(try ObjectKey(StoreLayout.model(signed.digest, file.objectName))) != nil
      }
      if dated == claims, whole { found = signed }
      return found == nil
    }
    return found
  }

  private func digested(_ part: ModelDescription.Part, _ folder: ModelFolder) throws -> ModelFile {
    let sink = DigestingSink(NullSink())
    try OpenedFile(reading: folder.path(of: part.name)).copy(to: sink)
    return ModelFile(name: part.name, size: sink.count, sha256: sink.digest, isSealed: part.role == .weights)
  }

  /// Copies a file and makes sure that it is still the one that was digested and signed for.
  private func copy(_ file: ModelFile, _ folder: ModelFolder, to sink: any ByteSink) throws {
    let digesting = DigestingSink(sink)
    try OpenedFile(reading: folder.path(of: file.name)).copy(to: digesting)
    guard digesting.count == file.size, digesting.digest == file.sha256 else {
      throw ClientError(
        .input, "\(file.name) changed while it was read", remedy: "publish again when nobody is writing to it")
    }
  }
}

/// Takes everything and keeps nothing.
final class NullSink: ByteSink {
  func write(_ bytes: [UInt8]) {}
}
