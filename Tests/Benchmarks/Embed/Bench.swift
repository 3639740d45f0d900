import Foundation
import Inference

/// Our engine, from text to embedding: what a worker does with a window of documents.
final class Bench {
  private struct Documents: Decodable { let texts: [String] }

  private let folder: String
  private let precision: Precision
  private let threads: Int
  /// The file of the scales that `calibrate` made: int8 is measured as a published model computes it.
  private let scales: String?
  /// A folder with a file for each set of documents; a set is read when it is first asked for.
  private let documents: String
  private var sets: [String: [String]] = [:]
  private var model: EmbeddingModel?

  init(model folder: String, documents: String, precision: Precision, threads: Int, scales: String?) {
    (self.folder, self.documents, self.precision, self.threads) = (folder, documents, precision, threads)
    self.scales = scales
  }

  /// Writes the scales that publishing this model would make. In a process of its own: it takes memory that a worker
  /// does not.
  static func calibrate(model folder: String, scales: String) throws {
    let files = ModelFolder(path: folder)
    let weights = try Data(contentsOf: URL(filePath: files.path(of: "model.safetensors")), options: .alwaysMapped)
    let bytes = try weights.withUnsafeBytes {
      try Calibrator(files: try files.clearFiles(), weights: [WeightsFile(bytes: $0)])
        .scales(CalibrationTexts.calibration).encoded()
    }
    try Data(bytes).write(to: URL(filePath: scales))
  }

  func answer(_ command: Command) throws -> Answer {
    switch command.do {
    case .load: try load()
    case .run: try run(command)
    case .one: try one(command)
    case .vectors: try writeVectors(command)
    case .memory: Answer(peak_bytes: peakBytes())
    case .products:
      Answer(shapes: ProductBench(precision: precision, repetitions: command.repeat_count ?? 20).run())
    }
  }

  private func load() throws -> Answer {
    let clock = ContinuousClock()
    let started = clock.now
    model = nil
    let folder = ModelFolder(path: folder)
    let files = try clearFiles(folder)
    let weights = try Data(contentsOf: URL(filePath: folder.path(of: "model.safetensors")), options: .alwaysMapped)
    let loaded = try weights.withUnsafeBytes {
      try EmbeddingModel(files: files, weights: $0, precision: precision, threads: threads)
    }
    let ready = clock.now
    _ = try loaded.embed([loaded.tokenize("The first document.")])
    model = loaded
    return Answer(
      kernel: EngineKernel.name, load_s: seconds(ready - started), first_s: seconds(clock.now - started))
  }

  /// With the scales among them, as a worker has them.
  private func clearFiles(_ folder: ModelFolder) throws -> ModelFiles {
    let files = try folder.clearFiles()
    guard precision == .int8, let scales else { return files }
    var contents = [Int8Scales.file: Array(try Data(contentsOf: URL(filePath: scales)))]
    for name in files.names { contents[name] = files[name] }
    return ModelFiles(contents)
  }

  private func run(_ command: Command) throws -> Answer {
    let (model, texts) = (try loadedModel(), try texts(command))
    let clock = ContinuousClock()
    var (tokens, tokenizing) = (0, Duration.zero)
    let (began, cpu) = (clock.now, processSeconds())
    for window in windows(texts, command.batch) {
      let start = clock.now
      let inputs = texts[window].map { model.tokenize($0) }
      tokenizing += clock.now - start
      tokens += inputs.reduce(0) { $0 + $1.ids.count }
      _ = try model.embed(inputs)
    }
    return Answer(
      wall_s: seconds(clock.now - began), cpu_s: processSeconds() - cpu, tokenizing_s: seconds(tokenizing),
      documents: texts.count, tokens: tokens)
  }

  private func one(_ command: Command) throws -> Answer {
    let model = try loadedModel()
    let clock = ContinuousClock()
    return Answer(
      seconds: try texts(command).map { text in
        let started = clock.now
        _ = try model.embed([model.tokenize(text)])
        return seconds(clock.now - started)
      })
  }

  private func writeVectors(_ command: Command) throws -> Answer {
    let (model, texts) = (try loadedModel(), try texts(command))
    var bytes = Data(capacity: texts.count * model.dimensions * 4)
    for window in windows(texts, command.batch) {
      for embedding in try model.embed(texts[window].map { model.tokenize($0) }) {
        embedding.withUnsafeBytes { bytes.append(contentsOf: $0) }
      }
    }
    guard let path = command.path else { throw BenchError("`vectors` takes a path") }
    try bytes.write(to: URL(filePath: path))
    return Answer()
  }

  private func loadedModel() throws -> EmbeddingModel {
    if model == nil { _ = try load() }
    guard let model else { throw BenchError("no model is loaded") }
    return model
  }

  private func texts(_ command: Command) throws -> [String] {
    guard let name = command.set else { throw BenchError("which documents?") }
    let all = try sets[name] ?? readSet(name)
    sets[name] = all
    let taken = stride(from: max(0, command.first ?? 0), to: all.count, by: max(1, command.step ?? 1)).map { all[$0] }
    return if let count = command.count, count > 0 { Array(taken.prefix(count)) } else { taken }
  }

  private func readSet(_ name: String) throws -> [String] {
    let data = try Data(contentsOf: URL(filePath: documents + "/\(name).json"))
    return try JSONDecoder().decode(Documents.self, from: data).texts
  }

  private func windows(_ texts: [String], _ batch: Int?) -> [Range<Int>] {
    let size = max(1, batch ?? texts.count)
    return stride(from: 0, to: texts.count, by: size).map { $0..<min(texts.count, $0 + size) }
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
