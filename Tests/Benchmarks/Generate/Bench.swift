import Foundation
import Inference

/// Our engine over the tokens of random texts: what a worker does with a decoder's job.
final class Bench {
  private let file: String
  private var model: GenerationModel?
  private var generators: [Int: BatchGenerator] = [:]
  private var bandwidth: Bandwidth?

  private static let cacheBytes = 1 << 30
  /// Bytes of the file that are read at once, as a worker takes them from a sealed object.
  private static let pieceBytes = 1 << 20

  init(file: String) { self.file = file }

  func answer(_ command: Command) throws -> Answer {
    let threads = max(1, command.threads ?? 1)
    switch command.do {
    case .load: return try load()
    case .prefill:
      let prompt = try prompts(1, command.tokens ?? 512, command.seed ?? 0)
      return try run(prompt, steps: 1, threads: threads, tokens: prompt[0].count)
    case .generate:
      let (sequences, steps) = (command.sequences ?? 1, command.steps ?? 32)
      // What stands before is computed here, and shared with the run that is measured but for its last token.
      let prompts = try prompts(sequences, (command.tokens ?? 128) + 1, command.seed ?? 0)
      _ = try run(prompts, steps: 1, threads: threads, tokens: 0, wipes: false)
      return try run(prompts, steps: steps, threads: threads, tokens: sequences * steps)
    case .memory: return Answer(peak_bytes: peakBytes())
    case .bandwidth:
      let reader = try bandwidth ?? Bandwidth()
      bandwidth = reader
      return Answer(bytes_per_second: reader.measure(threads: threads))
    }
  }

  private func load() throws -> Answer {
    let clock = ContinuousClock()
    let began = clock.now
    guard let input = FileHandle(forReadingAtPath: file) else { throw BenchError("\(file) cannot be read") }
    let size = try input.seekToEnd()
    try input.seek(toOffset: 0)
    let weights = GGUFWeights { header throws(ModelError) in try GenerationModel.check(header) }
    let stream = GGUFStream(file: URL(filePath: file).lastPathComponent, fileSize: Int(size), receiver: weights)
    while let piece = try input.read(upToCount: Self.pieceBytes), !piece.isEmpty {
      try piece.withUnsafeBytes { try stream.append($0) }
    }
    try stream.finish()
    model = try GenerationModel(weights)
    return Answer(kernel: EngineKernel.name, load_s: seconds(clock.now - began))
  }

  private func run(
    _ prompts: [[Int32]], steps: Int, threads: Int, tokens: Int, wipes: Bool = true
  ) throws -> Answer {
    let generator = try generator(threads)
    let requests = prompts.enumerated().map { index, prompt in
      GenerationRequest(
        prompt: prompt, item: "\(index)", sampling: SamplingSettings(temperature: 0, maximumTokens: steps))
    }
    let clock = ContinuousClock()
    let (began, cpu) = (clock.now, processSeconds())
    let results = generator.run(requests)
    let answer = Answer(wall_s: seconds(clock.now - began), cpu_s: processSeconds() - cpu, tokens: tokens)
    for result in results {
      guard try result.get().outputTokens == steps else { throw BenchError("an output ended early") }
    }
    // No prompt is known to the next run.
    if wipes { generator.wipe() }
    return answer
  }

  private func generator(_ threads: Int) throws -> BatchGenerator {
    if let generator = generators[threads] { return generator }
    guard let model else { throw BenchError("no model is loaded") }
    let generator = model.generator(.init(cacheBytes: Self.cacheBytes), threads: threads)
    generators[threads] = generator
    return generator
  }

  private func prompts(_ count: Int, _ tokens: Int, _ seed: UInt64) throws -> [[Int32]] {
    guard let model else { throw BenchError("no model is loaded") }
    var state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1
    return (0..<count).map { _ in
      (0..<tokens).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return 300 + Int32((state >> 33) % UInt64(model.config.vocabularySize - 300))
      }
    }
  }

  private func seconds(_ duration: Duration) -> Double { duration / .seconds(1) }

  /// Processor time of all threads so far.
  private func processSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private func peakBytes() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}
