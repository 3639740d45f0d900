import CPlatform
import Inference
import SealedCrypto
import Wire

/// Texts: all lines of a job through one generator, so that no window's end leaves it without work.
///
/// A text takes many passes over the model, and a job hours. Between two passes the host is told that this worker lives,
/// and asked whether it is to go on: a cancel, or a host that is gone, ends the job there.
struct TextComputer: ItemComputer {
  /// Between two words of progress.
  private static let beatMilliseconds: Int64 = 1000

  /// Items that are told of together, as many as a window of other operations has.
  private static let toldItems: UInt64 = 64

  private let computer: GenerationComputer

  /// - Parameter limits: what the generator may take.
  /// - Throws: ``WorkerFault`` with `refused` for lines of another format, or settings of another operation.
  init(
    _ model: GenerationModel, name: String, claims: JobManifestClaims, limits: BatchGenerator.Limits
  ) throws {
    guard claims.inputFormat == .openAI else {
      throw WorkerFault.refused("generate takes OpenAI batch lines")
    }
    guard claims.prompt == nil else { throw WorkerFault.refused("the model has no prompt of that name") }
    let settings = GenerationComputer.Settings(
      seed: claims.seed, maximumTokens: claims.maximumOutputTokens.map { Int($0) }, createdMs: claims.createdMs,
      limits: limits)
    computer = try WorkerFault.failing("model") {
      try GenerationComputer(model: model, name: name, settings: settings)
    }
  }

  func compute(_ items: InputItems, into results: ResultFiles, telling link: JobLink) throws {
    var window: [InputLine] = []
    var place = 0
    /// Of the lines whose results are not there yet, the first one first.
    var inputs: [ContentDigest] = []
    var told = cplatform_monotonic_ms()
    func beat() throws {
      guard cplatform_monotonic_ms() - told >= Self.beatMilliseconds else { return }
      // In the steps of other operations: when each text ends would tell the host how long it is.
      try link.progress(done: results.count / Self.toldItems * Self.toldItems)
      told = cplatform_monotonic_ms()
    }
    defer {
      InputLine.wipe(&window)
      computer.wipe()
    }
    try computer.run(
      next: {
        // Templates and schemas of many lines may be read before the next pass.
        try beat()
        if place == window.count {
          InputLine.wipe(&window)
          guard let more = try items.next() else {
            (window, place) = ([], 0)
            return nil
          }
          (window, place) = (more, 0)
        }
        defer { place += 1 }
        inputs.append(window[place].digest)
        return (window[place].index, window[place].line)
      },
      finish: { result in
        var lines = [ItemResult(taking: &result, input: inputs.removeFirst())]
        try results.append(&lines)
        try beat()
      }, afterStep: beat)
    try link.progress(done: results.count)
  }
}
