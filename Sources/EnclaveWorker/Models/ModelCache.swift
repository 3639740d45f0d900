import Inference
import SealedCrypto
import Synchronization
import Wire

/// A model whose every file was what its manifest says.
final class LoadedModel: Sendable {
  let manifest: Signed<ModelManifestClaims>
  let model: JobModel
  /// What a person calls it; stands in every output line.
  var name: String { manifest.claims.name }

  init(manifest: Signed<ModelManifestClaims>, model: JobModel) {
    self.manifest = manifest
    self.model = model
  }
}

/// The models in memory, newest use first; at most ``Limits/cachedModels``. One model in two precisions is two. A cached model saves the loading, never the
/// authorisation: that is done anew, under the policy of the day, for each job (protocol §5).
final class ModelCache: Sendable {
  private let cached = Mutex<[LoadedModel]>([])

  /// The model that `order` names.
  ///
  /// - Throws: ``WorkerFault``, ``HostLost``.
  func load(for order: JobOrder, under settings: Settings, in enclave: Enclave, from link: JobLink) throws
    -> LoadedModel
  {
    let digest = order.manifest.claims.model
    let sameModel = cached.withLock { $0.filter { $0.manifest.digest == digest } }
    if let any = sameModel.first {
      let permit = try ModelPermit(manifest: any.manifest.bytes, for: order, under: settings.policy.claims)
      if let model = sameModel.first(where: { $0.model.precision == permit.precision }) {
        touch(model)
        return model
      }
    }
    makeRoom()
    let model = try ModelLoader(settings: settings, enclave: enclave, link: link).load(for: order)
    touch(model)
    return model
  }

  private func touch(_ model: LoadedModel) {
    cached.withLock { models in
      models.removeAll { $0 === model }
      models.insert(model, at: 0)
    }
  }

  /// Frees before it loads: two models and the file of a third would not fit where two just do.
  private func makeRoom() {
    cached.withLock { models in models = Array(models.prefix(Limits.cachedModels - 1)) }
  }
}

/// A model manifest that a publisher of the policy signed, and that the policy lets this order use.
struct ModelPermit {
  let manifest: Signed<ModelManifestClaims>
  let publisher: PolicyPublisher
  /// What is computed for the order: `auto` is resolved here.
  let precision: Precision

  /// - Throws: ``WorkerFault``: `failed` when the bytes are not the named manifest, `refused` when it is not permitted.
  init(manifest bytes: [UInt8], for order: JobOrder, under policy: PolicyClaims) throws {
    (manifest, publisher, precision) = try WorkerFault.refusing("model") {
      let manifest = try UnverifiedStatement<ModelManifestClaims>(bytes).verified(byOneOf: policy.publishers.map(\.key))
      guard manifest.digest == order.manifest.claims.model else {
        throw WorkerFault.failed("the host gave another model manifest than the one asked for")
      }
      guard let publisher = policy.publisher(manifest.signer) else { throw WorkerFault.refused("unknown publisher") }
      let claims = manifest.claims
      guard policy.formats.contains(claims.format), !claims.dtypes.isEmpty,
        Set(claims.dtypes).isSubset(of: policy.dtypes)
      else { throw WorkerFault.refused("the policy does not allow the model's format or weight types") }
      guard claims.operations.contains(order.manifest.claims.operation) else {
        throw WorkerFault.refused("the model does not compute the operation")
      }
      let name = try JobPrecision.resolve(
        order.manifest.claims.precision, model: claims, digest: manifest.digest, under: policy)
      guard let precision = Precision(rawValue: name) else {
        throw WorkerFault.refused("this worker does not compute in \(name)")
      }
      return (manifest, publisher, precision)
    }
  }
}
