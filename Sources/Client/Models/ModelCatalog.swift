import Crypto
import Inference
import ObjectStore
import SealedCrypto
import Wire

/// A model whose manifest verified under a publisher of the policy.
package struct PublishedModel: Sendable {
  package let manifest: Signed<ModelManifestClaims>
  /// The publisher's name in the policy.
  package let publisher: String

  /// The model's name: digest of the manifest.
  package var digest: ContentDigest { manifest.digest }
  package var claims: ModelManifestClaims { manifest.claims }
}

/// The models of a store that the policy lets be used.
package struct ModelCatalog {
  private let store: any ObjectStore
  private let policy: TrustedPolicy

  package init(store: any ObjectStore, policy: TrustedPolicy) {
    self.store = store
    self.policy = policy
  }

  /// The model that a submitter means.
  ///
  /// - Parameter name: a name, or at least eight digits of the manifest's digest; nil takes the only one allowed.
  /// - Throws: ``ClientError`` of kind `rejected`, `notFound` or `usage`; what the store throws.
  package func model(_ name: String?, for submitter: PolicySubmitter) throws -> PublishedModel {
    guard !submitter.models.isEmpty else {
      throw ClientError(
        .rejected, "policy version \(policy.claims.version) allows \(submitter.name) no model",
        remedy: "allow one in the policy", by: .securityOfficer)
    }
    if let name, let digest = submitter.models.first(where: { Self.matches($0, name) }) { return try published(digest) }
    if name == nil, submitter.models.count == 1, let only = submitter.models.first { return try published(only) }
    var missing: [ContentDigest] = []
    let models = try submitter.models.compactMap { digest in
      do {
        return try published(digest)
      } catch let error as ObjectStoreError where error.kind == .notFound {
        missing.append(digest)
        return nil
      }
    }
    guard let name else {
      let names = models.map(\.claims.name).joined(separator: ", ")
      throw ClientError(.usage, "you may use several models: \(names)", remedy: "choose one with --model")
    }
    // A name is judged over all manifests that are allowed: a store that hides one would choose which model it means.
    if let hidden = missing.first {
      throw ClientError(
        .rejected,
        "the store does not show \(missing.count) of the models that you may use (\(hidden.hex.prefix(16))…), "
          + "so it is open which one is called \(name.prefix(80))",
        remedy: "name the model by its digest with --model, or have the missing one published")
    }
    let found = models.filter { $0.claims.name == name }
    guard let model = found.first else {
      let names = models.map(\.claims.name).joined(separator: ", ")
      throw ClientError(
        .notFound, "no model that you may use is called \(name.prefix(80)) (there is: \(names))",
        remedy: "`ephemeral models list` shows them; what is missing there the security officer must allow")
    }
    guard found.count == 1 else {
      throw ClientError(
        .usage, "\(found.count) models are called \(name.prefix(80))",
        remedy: "choose one by its digest, see `ephemeral models list`")
    }
    return model
  }

  private static func matches(_ digest: ContentDigest, _ name: String) -> Bool {
    name.utf8.count >= 8 && digest.hex.hasPrefix(name.lowercased())
  }

  /// A model by its manifest's digest.
  package func published(_ digest: ContentDigest) throws -> PublishedModel {
    let bytes = try store.getSmall(try ObjectKey(StoreLayout.model(digest, StoreLayout.modelManifest)))
    guard SHA256.digest(of: bytes) == digest else {
      throw ClientError(
        .rejected, "the manifest of model \(digest.hex.prefix(16))… was changed in the store",
        remedy: "publish the model again", by: .operator_)
    }
    do {
      let manifest = try UnverifiedStatement<ModelManifestClaims>(bytes).verified(
        byOneOf: policy.claims.publishers.map(\.key))
      return PublishedModel(manifest: manifest, publisher: policy.claims.publisher(manifest.signer)?.name ?? "")
    } catch {
      throw ClientError(
        .rejected, "the manifest of model \(digest.hex.prefix(16))… is of no publisher of the policy: \(error)",
        remedy: "list its publisher in the policy, or remove the model", by: .securityOfficer)
    }
  }

  /// The digests of all models in the store, whoever published them.
  package func digests() throws -> [ContentDigest] {
    var digests: [ContentDigest] = []
    try store.forEach(prefix: StoreLayout.models) { info in
      let parts = info.key.text.split(separator: "/")
      if parts.count == 3, parts[2] == StoreLayout.modelManifest, let digest = ContentDigest(hex: parts[1]) {
        digests.append(digest)
      }
      return digests.count < 1000
    }
    return digests
  }

  /// The public tokenizer of a model that reads texts alone; nil where its files are sealed too, or the model goes on
  /// with texts.
  ///
  /// - Throws: ``ClientError`` of kind `rejected` when a file is not the one that the manifest names.
  package func tokenizer(of model: PublishedModel) throws -> ItemTokenizer? {
    guard !model.claims.operations.contains(ModelOperation.generate.rawValue) else { return nil }
    return try read(model, needing: [["tokenizer.json", "vocab.txt"]]) { try ItemTokenizer(files: $0) }
  }

  /// What judges the prompts of a model that makes texts; nil where its files are sealed.
  ///
  /// - Throws: as ``tokenizer(of:)``.
  package func prompts(of model: PublishedModel) throws -> PromptEncoder? {
    try read(model, needing: [["tokenizer.json"]]) {
      try PromptEncoder(files: $0, contextLength: Int(clamping: model.claims.maximumTokens))
    }
  }

  /// Reads something of the model's clear files; nil where config.json is not among them, or none of a group.
  private func read<Reader>(
    _ model: PublishedModel, needing groups: [[String]], _ reader: (ModelFiles) throws -> Reader
  ) throws -> Reader? {
    let clear = model.claims.files.filter { !$0.isSealed }
    let names = Set(clear.map(\.name))
    guard (groups + [["config.json"]]).allSatisfy({ !names.isDisjoint(with: $0) }) else { return nil }
    var contents: [String: [UInt8]] = [:]
    for file in clear {
      let bytes = try store.getSmall(
        try ObjectKey(StoreLayout.model(model.digest, file.name)), limit: Limits.clearModelFileBytes)
      guard UInt64(bytes.count) == file.size, SHA256.digest(of: bytes) == file.sha256 else {
        throw ClientError(
          .rejected, "\(file.name) of model \(model.claims.name) was changed in the store",
          remedy: "publish the model again", by: .operator_)
      }
      contents[file.name] = bytes
    }
    do {
      return try reader(ModelFiles(contents))
    } catch {
      throw ClientError(
        .rejected, "the tokenizer of model \(model.claims.name) cannot be read: \(error)",
        remedy: "publish the model again", by: .operator_)
    }
  }
}
