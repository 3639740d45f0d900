/// How hard a world is: each seed draws its own, so that some worlds are nearly calm and others are one long trouble.
/// Rates are in ten thousandths, per passage of an edge.
struct Profile {
  let steps: Int
  let workers: Int
  let kill: Int64
  let fault: Int64
  let disk: Int64
  let slow: Int64
  let late: Int64
  let hasClockSteps: Bool
  let hasRestores: Bool
  let hasJanitor: Bool

  init(_ random: SimulatedRandom) {
    func draw(_ choices: [Int64]) -> Int64 { random.pick(choices) ?? 0 }
    steps = Int(150 + random.upTo(250))
    workers = Int(1 + random.upTo(2))
    kill = draw([0, 10, 40, 120])
    fault = draw([0, 100, 300, 1_000])
    disk = draw([0, 0, 60, 250])
    slow = draw([0, 100, 400])
    late = draw([0, 3_000, 6_000])
    hasClockSteps = random.chance(3_000)
    hasRestores = random.chance(3_000)
    hasJanitor = random.chance(5_000)
  }
}
