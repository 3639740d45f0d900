import Testing

@testable import Queue

@Suite("Retry policy and time")
struct RetryPolicyTests {
  @Test("Waits double up to the cap and are spread over their whole length")
  func waits() {
    let policy = RetryPolicy(base: .seconds(2), cap: .seconds(60))
    let ceilings = (1...8).map { policy.ceiling(afterFaults: $0) }
    #expect(ceilings == [2, 4, 8, 16, 32, 60, 60, 60].map { Duration.seconds($0) })
    #expect(policy.ceiling(afterFaults: .max) == .seconds(60))
    let random = SeededRandom(seed: 1)
    let waits = (0..<1_000).map { _ in policy.wait(afterFaults: 4, random: random) }
    #expect(waits.allSatisfy { $0 >= .zero && $0 <= .seconds(16) })
    #expect(waits.contains { $0 < .seconds(2) } && waits.contains { $0 > .seconds(14) })
  }

  @Test("Impossible durations saturate instead of trapping")
  func saturation() {
    let policy = RetryPolicy(strikeLimit: -4, base: .seconds(Int64.max), cap: .seconds(Int64.max))
    #expect(policy.strikeLimit == 1)
    #expect(policy.ceiling(afterFaults: 60).wholeMilliseconds == .max)
    #expect(Timestamp(milliseconds: .max) + .seconds(1) == Timestamp(milliseconds: .max))
    #expect(Timestamp(milliseconds: .min) + .seconds(-1) == Timestamp(milliseconds: .min))
    #expect(Timestamp(milliseconds: .max) - Timestamp(milliseconds: -1) == .milliseconds(Int64.max))
  }

  @Test("A seed repeats its numbers")
  func seeds() {
    let (one, two) = (SeededRandom(seed: 9), SeededRandom(seed: 9))
    #expect((0..<10).map { _ in one.next() } == (0..<10).map { _ in two.next() })
    #expect(one.upTo(0) == 0 && one.upTo(-5) == 0 && one.upTo(.max) >= 0)
  }

  @Test("The clock of the tests moves only when told, the system's is of this century")
  func clocks() {
    let clock = ManualClock(.start)
    clock.advance(by: .seconds(5))
    #expect(clock.now() == .start + .seconds(5))
    #expect(SystemClock().now() > .start)
  }
}
