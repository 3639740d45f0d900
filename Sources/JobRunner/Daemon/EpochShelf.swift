import ObjectStore
import SealedCrypto
import Synchronization
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
///
/// All workers of the daemon share one shelf: one of them makes an epoch, and the others see it at their next look.
final class EpochShelf: Sendable {
  private typealias Entry = (version: String, claims: AnnouncementClaims, document: [UInt8])

  private struct State {
    /// Announcements by epoch and version; they are small, and a store has a few dozen.
    var cache: [UInt64: Entry] = [:]
    var listing: (epochs: [ShelvedEpoch], at: ContinuousClock.Instant)?
    /// Counts what makes a listing old, so that one that was under way meanwhile is not kept.
    var changes = 0
    var isBeingAdded = false
    /// Epochs that were made through this shelf.
    var made: Set<UInt64> = []
    var standings: [String: Standing] = [:]
  }

  /// What one worker holds, as its last look found it.
  struct Standing: Sendable {
    let held: Set<UInt64>
    let refusals: [UInt64: String]
    fileprivate let at: ContinuousClock.Instant
    fileprivate var isRecent: Bool { ContinuousClock.now - at < EpochShelf.standingAge }
  }

  private let store: any ObjectStore
  private let state = Mutex(State())
  /// A worker that was not heard of for longer serves nobody.
  private static let standingAge = Duration.seconds(60)

  init(store: any ObjectStore) { self.store = store }

  /// All epochs, in order of their numbers.
  ///
  /// - Parameter maximumAge: a listing of so short a time ago is enough; what this shelf itself changed is always seen.
  func all(maximumAge: Duration = .zero) throws -> [ShelvedEpoch] {
    let (known, changes) = state.withLock { ($0.listing, $0.changes) }
    if let known, ContinuousClock.now - known.at < maximumAge { return known.epochs }
    let begin = ContinuousClock.now
    let epochs = try list()
    state.withLock { state in
      if state.changes == changes { state.listing = (epochs, begin) }
      state.cache = state.cache.filter { entry in epochs.contains { $0.number == entry.key } }
    }
    return epochs
  }

  /// The next ``all(maximumAge:)`` asks the store.
  func forget() {
    state.withLock { state in
      state.listing = nil
      state.changes += 1
    }
  }

  private func list() throws -> [ShelvedEpoch] {
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

  /// Puts a new epoch up, which `worker` made and holds; false where another daemon took the number first.
  func add(_ number: UInt64, seed: [UInt8], announcement: [UInt8], by worker: String) throws -> Bool {
    // The seed first: an announcement without it would be a key that nobody can ever open.
    guard try store.put(try ObjectKey(StoreLayout.seed(number)), seed, .ifAbsent) == .written else { return false }
    defer { forget() }
    _ = try store.put(try ObjectKey(StoreLayout.announcement(number)), announcement, .ifAbsent)
    state.withLock { state in
      state.made.insert(number)
      let known = state.standings[worker]
      state.standings[worker] = Standing(
        held: (known?.held ?? []).union([number]), refusals: known?.refusals ?? [:], at: .now)
    }
    return true
  }

  /// Whether the epoch was made through this shelf.
  func hasMade(_ number: UInt64) -> Bool { state.withLock { $0.made.contains(number) } }

  /// Runs `body`, which makes an epoch, unless another worker is at it: then there is nothing to do, and no reason to
  /// wait, since that one may be silent for a minute.
  func inTurn(_ body: () throws -> Void) rethrows {
    let isMine = state.withLock { state in
      defer { state.isBeingAdded = true }
      return !state.isBeingAdded
    }
    guard isMine else { return }
    defer { state.withLock { $0.isBeingAdded = false } }
    try body()
  }

  /// What a worker holds now.
  func note(_ worker: String, holds held: Set<UInt64>, refusals: [UInt64: String]) {
    state.withLock { $0.standings[worker] = Standing(held: held, refusals: refusals, at: .now) }
  }

  /// What each worker held a moment ago; one that was not heard of lately is not here.
  var standings: [String: Standing] { state.withLock { $0.standings.filter(\.value.isRecent) } }

  /// Takes an epoch out of service; a second time changes nothing.
  func retire(_ number: UInt64, deletingSeed: Bool) throws {
    defer { forget() }
    let announcement = try announcement(of: number)
    // First the durable record, so that a crash in between cannot leave an epoch that merely looks unannounced.
    _ = try store.put(try ObjectKey(StoreLayout.retired(number)), announcement ?? [], .ifAbsent)
    try store.delete(try ObjectKey(StoreLayout.announcement(number)))
    if deletingSeed { try store.delete(try ObjectKey(StoreLayout.seed(number))) }
  }

  private func read(_ epoch: ShelvedEpoch) throws -> Entry? {
    let version = epoch.announced ?? "retired"
    if let cached = state.withLock({ $0.cache[epoch.number] }), cached.version == version { return cached }
    let name = epoch.announced == nil ? StoreLayout.retired(epoch.number) : StoreLayout.announcement(epoch.number)
    guard let bytes = try object(name),
      let unattested = try? UnverifiedStatement<AnnouncementClaims>(bytes).signedByItsOwnKey()
    else { return nil }
    let entry = (version: version, claims: unattested.signed.claims, document: unattested.document)
    state.withLock { $0.cache[epoch.number] = entry }
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
