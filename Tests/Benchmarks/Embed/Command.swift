/// One line of standard input. scripts/bench/peers.py has the same commands.
struct Command: Decodable {
  enum Verb: String, Decodable { case load, run, one, vectors, memory, products }

  let `do`: Verb
  /// A key of the documents' sets.
  var set: String?
  var first: Int?
  var step: Int?
  /// At most so many documents; 0 or absent: all.
  var count: Int?
  /// Documents that are handed to the model at once.
  var batch: Int?
  var path: String?
  /// Of `products`: the best of so many runs counts.
  var repeat_count: Int?
}

/// What a command answers; only the fields that it has are written.
struct Answer: Encodable {
  var kernel: String?
  var load_s: Double?
  var first_s: Double?
  var wall_s: Double?
  var cpu_s: Double?
  /// Of `wall_s`.
  var tokenizing_s: Double?
  var documents: Int?
  var tokens: Int?
  var seconds: [Double]?
  var peak_bytes: Int?
  var shapes: [ProductBench.Figure]?
  var error: String?
}

struct BenchError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
