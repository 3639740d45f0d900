import Foundation
import ObjectStore
import SealedCrypto
import Testing
import Wire

@testable import JobRunner

@Suite("Which policy the host goes on with")
struct PolicyKeeperTests {
  private let officer: SigningKey
  private let store: DirectoryStore
  private let now: UInt64 = 1_800_000_000_000

  init() throws {
    officer = try SigningKey.generate()
    store = try DirectoryStore(path: NSTemporaryDirectory() + "policies-\(UUID().uuidString)", create: true)
  }

  private func put(_ bytes: [UInt8]) throws { _ = try store.put(try ObjectKey(StoreLayout.policy), bytes, .always) }

  private func install(_ version: UInt64) throws {
    try put(try Signed.sign(Supply.policy(fips: false, version: version), with: officer).bytes)
  }

  @Test("a policy that was judged by a wrong clock is judged again when the clock is set, although it did not change")
  func clock() throws {
    try install(1)
    var keeper = PolicyKeeper(store: store, policyKey: officer.verifyingKey)
    let refusal = #expect(throws: WorkerNotReady.self) { try keeper.look(atMs: 4_000_000_000_001) }
    #expect(refusal?.description.contains("has ended") == true)
    #expect(try keeper.look(atMs: now).claims?.version == 1 && keeper.refusal == nil)
    // Also while an older one is held.
    try install(2)
    #expect(throws: WorkerNotReady.self) { try keeper.look(atMs: 4_000_000_000_001) }
    #expect(try keeper.look(atMs: now).claims?.version == 2 && keeper.refusal == nil)
  }

  @Test("what stands in the policy's place and cannot be read leaves the one that is held, and is named")
  func unreadable() throws {
    try install(2)
    var keeper = PolicyKeeper(store: store, policyKey: officer.verifyingKey)
    #expect(try keeper.look(atMs: now).claims?.version == 2)
    try put([UInt8](repeating: 0, count: Limits.smallObjectBytes + 1))
    #expect(try keeper.look(atMs: now).claims?.version == 2)
    #expect(keeper.refusal?.contains("cannot be read") == true)
    try install(1)
    #expect(try keeper.look(atMs: now).claims?.version == 2 && keeper.refusal?.contains("rolled back") == true)
    try install(3)
    #expect(try keeper.look(atMs: now).claims?.version == 3 && keeper.refusal == nil)
  }
}
