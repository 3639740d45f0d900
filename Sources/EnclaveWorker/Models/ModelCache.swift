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
  /// Memory that its weights take.
  var heldBytes: UInt64 {
    switch model {
    case .encoder(let model): ModelFootprint(model.config, precision: model.precision).weightBytes
    case .decoder(let model): model.footprint.weightBytes + model.footprint.otherBytes
    }
  }

  init(manifest: Signed<ModelManifestClaims>, model: JobModel) {
    self.manifest = manifest
    self.model = model
  }
}

/// The models in memory, newest use first; at most ``Limits/cachedModels``. One model in two precisions is two. A cached model saves the loading, never the
/// authorisation: that is done anew, under the policy of the day, for each job (protocol §5).
final class ModelCache: Sendable {
  private let cached = Mutex<[LoadedModel]>([])
  private let memory: ModelMemory

  init(memory: ModelMemory) { self.memory = memory }

  /// The model that `order` names.
  ///
  /// - Throws: ``WorkerFault``, with `retry` where there is no memory for it; ``HostLost``.
  func load(for order: JobOrder, under settings: Settings, in enclave: Enclave, from link: JobLink) throws
    -> LoadedModel
  {
    if let model = try held(for: order, under: settings) {
      touch(model)
      return model
    }
    // Frees before it loads: two models and the file of a third would not fit where two just do.
    keep(Limits.cachedModels - 1)
    let loader = ModelLoader(settings: settings, enclave: enclave, link: link) { try self.room($0, beside: nil) }
    let model = try noting { try loader.load(for: order) }
    touch(model)
    return model
  }

  /// What a generator of a loaded model may take, with what is left of the memory.
  ///
  /// - Throws: ``WorkerFault`` with `retry` where one sequence of the model's whole context does not fit.
  func generatorLimits(for loaded: LoadedModel, _ model: GenerationModel) throws -> BatchGenerator.Limits {
    let needed = DecoderRoom.leastBytes(model.footprint, holdsWeights: true)
    return try noting {
      let bytes = try room(needed, beside: loaded)
      guard let room = DecoderRoom(model.footprint, bytes: bytes, holdsWeights: true) else {
        throw MemoryShortage(neededBytes: needed, availableBytes: bytes)
      }
      return room.limits
    }
  }

  /// The order's model, where it is in memory in the order's precision.
  private func held(for order: JobOrder, under settings: Settings) throws -> LoadedModel? {
    let digest = order.manifest.claims.model
    let models = cached.withLock { $0.filter { $0.manifest.digest == digest } }
    guard let any = models.first else { return nil }
    let permit = try ModelPermit(manifest: any.manifest.bytes, for: order, under: settings.policy.claims)
    return models.first { $0.model.precision == permit.precision }
  }

  /// Bytes that can be taken. Where they are less than what is needed, other models than this one are let go: an object
  /// of the host's is read once in a job, so a load cannot be begun again without them.
  private func room(_ neededBytes: UInt64, beside loaded: LoadedModel?) throws -> UInt64 {
    func bytes() throws -> UInt64 { try memory.bytes(held: cached.withLock { $0.reduce(0) { $0 + $1.heldBytes } }) }
    let found = try bytes()
    guard found < neededBytes, cached.withLock({ $0.contains { $0 !== loaded } }) else { return found }
    cached.withLock { models in models.removeAll { $0 !== loaded } }
    return try bytes()
  }

  private func noting<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let shortage as MemoryShortage {
      Log.note(shortage)
      throw WorkerFault.retry("\(shortage)")
    }
  }

  private func touch(_ model: LoadedModel) {
    cached.withLock { models in
      models.removeAll { $0 === model }
      models.insert(model, at: 0)
    }
  }

  private func keep(_ count: Int) {
    cached.withLock { models in models = Array(models.prefix(count)) }
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
