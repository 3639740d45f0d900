import ObjectStore
import SealedCrypto
import Wire

/// One epoch as it stands in the store.
struct ShelvedEpoch: Sendable, Equatable {
  let number: UInt64
  var hasSeed = false
  /// The version of its announcement; nil where clients see none.
  var announced: String?
  /// The host has taken it out of service.
  var isRetired = false
}

/// The epochs' objects in the store:
///
///     epochs/<n>/seed.age              the sealing key, sealed by the worker that made it
///     epochs/<n>/announcement.cose     what clients choose from
///     epochs/<n>/retired.cose          the announcement of an epoch that the host has retired
///
/// Retiring writes the second name's bytes to the third and removes the second; whoever finds both finishes that. It
/// takes back nothing that a key holder could do: the host can put the object back, and a copy of the seed opens bundles
/// as long as KMS and the policy's minimum permit it.
final class EpochShelf {
  private let store: any ObjectStore
  /// Announcements by epoch and version; they are small, and a store has a few dozen.
  private var cache: [UInt64: (version: String, claims: AnnouncementClaims, document: [UInt8])] = [:]

  init(store: any ObjectStore) { self.store = store }

  /// All epochs, in order of their numbers.
  func all() throws -> [ShelvedEpoch] {
    var epochs: [UInt64: ShelvedEpoch] = [:]
    try store.forEach(prefix: StoreLayout.epochs) { info in
      let parts = info.key.text.split(separator: "/")
      guard parts.count == 3, let number = UInt64(parts[1]), "\(number)" == parts[1] else { return true }
      var epoch = epochs[number] ?? ShelvedEpoch(number: number)
      switch parts[2] {
      case "seed.age": epoch.hasSeed = true
      case "announcement.cose": epoch.announced = info.version
      case "retired.cose": epoch.isRetired = true
      default: return true
      }
      epochs[number] = epoch
      return true
    }
    cache = cache.filter { epochs[$0.key] != nil }
    return epochs.values.sorted { $0.number < $1.number }
  }

  /// What an epoch's announcement says, by its own word: nothing of it is proven to the host, and need not be.
  ///
  /// - Returns: nil where there is none that can be read.
  func claims(of epoch: ShelvedEpoch) throws -> AnnouncementClaims? { try read(epoch)?.claims }

  /// The attestation document beside the announcement.
  func document(of epoch: ShelvedEpoch) throws -> [UInt8]? { try read(epoch)?.document }

  /// The announcement's bytes; nil where it is gone.
  func announcement(of number: UInt64) throws -> [UInt8]? { try object(StoreLayout.announcement(number)) }

  /// The seed's age file; nil where it is gone.
  func seed(of number: UInt64) throws -> [UInt8]? { try object(StoreLayout.seed(number)) }

  /// Puts a new epoch up; false where another daemon took the number first.
  func add(_ number: UInt64, seed: [UInt8], announcement: [UInt8]) throws -> Bool {
    // The seed first: an announcement without it would be a key that nobody can ever open.
    guard try store.put(try ObjectKey(StoreLayout.seed(number)), seed, .ifAbsent) == .written else { return false }
    _ = try store.put(try ObjectKey(StoreLayout.announcement(number)), announcement, .ifAbsent)
    return true
  }

  /// Takes an epoch out of service; a second time changes nothing.
  func retire(_ number: UInt64, deletingSeed: Bool) throws {
    let announcement = try announcement(of: number)
    // First the durable record, so that a crash in between cannot leave an epoch that merely looks unannounced.
    _ = try store.put(try ObjectKey(StoreLayout.retired(number)), announcement ?? [], .ifAbsent)
    try store.delete(try ObjectKey(StoreLayout.announcement(number)))
    if deletingSeed { try store.delete(try ObjectKey(StoreLayout.seed(number))) }
  }

  private func read(
    _ epoch: ShelvedEpoch
  ) throws -> (version: String, claims: AnnouncementClaims, document: [UInt8])? {
    let version = epoch.announced ?? "retired"
    if let cached = cache[epoch.number], cached.version == version { return cached }
    let name = epoch.announced == nil ? StoreLayout.retired(epoch.number) : StoreLayout.announcement(epoch.number)
    guard let bytes = try object(name),
      let unattested = try? UnverifiedStatement<AnnouncementClaims>(bytes).signedByItsOwnKey()
    else { return nil }
    let entry = (version: version, claims: unattested.signed.claims, document: unattested.document)
    cache[epoch.number] = entry
    return entry
  }

  private func object(_ name: String) throws -> [UInt8]? {
    do {
      return try store.getSmall(try ObjectKey(name))
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return nil
    }
  }
}
