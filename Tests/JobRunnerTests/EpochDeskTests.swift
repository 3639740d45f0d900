import Logging
import ObjectStore
import SealedCrypto
import Testing
import Wire

@testable import JobRunner

/// What the daemon says of epochs, and what it does about them.
@Suite("the operator's epochs")
struct EpochDeskTests {
  private func states(_ supply: Supply) throws -> [String] {
    try EpochDesk(supervisor: supply.supervisor).list().table?.rows.compactMap { row in
      if case .text(let state) = row["state"] { state } else { nil }
    } ?? []
  }

  @Test("rotating overlaps, retiring the newest makes a successor first, and a number is never used twice")
  func rotateAndRetire() throws {
    let supply = try Supply()
    let desk = EpochDesk(supervisor: supply.supervisor)
    try supply.supervisor.makeReady()
    #expect(try states(supply) == ["current"])
    _ = try desk.rotate()
    #expect(try states(supply) == ["overlap", "current"])
    #expect(try supply.supervisor.retire(2, deletingSeed: true) == Retirement(successor: 3))
    #expect(try supply.supervisor.retire(1, deletingSeed: false) == Retirement(successor: nil))
    #expect(try states(supply) == ["retired", "retired", "current"])
    #expect(try supply.supervisor.retire(9, deletingSeed: false) == nil)
    let stored = try supply.supervisor.shelf.all()
    #expect(stored.map(\.hasSeed) == [true, false, true])
    #expect(stored.map { $0.announced != nil } == [false, false, true])
    let image = try EpochDesk(supervisor: supply.supervisor).list().table?.rows.first?["image"]
    guard case .text(let name) = image else { return #expect(Bool(false), "no image") }
    #expect(name.hasSuffix("(scripted)"))
  }

  @Test("the newest is not retired where no successor can be made: clients would have nothing to seal to")
  func noSuccessor() throws {
    let supply = try Supply()
    try supply.supervisor.makeReady()
    supply.worker.refuse(.retry, .relayUnreachable)
    #expect(throws: WorkerNotReady.self) { try supply.supervisor.retire(1, deletingSeed: true) }
    #expect(try states(supply) == ["current"])
    #expect(try supply.supervisor.shelf.all().first?.hasSeed == true)
  }
}
