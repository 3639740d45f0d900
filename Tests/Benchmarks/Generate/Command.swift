/// One line of standard input. scripts/bench/generate_peer.py has the same commands.
struct Command: Decodable {
  enum Verb: String, Decodable { case load, prefill, generate, memory, bandwidth }

  let `do`: Verb
  var threads: Int?
  /// Tokens of a prompt: those that are read, or that stand before what is generated (a multiple of 32).
  var tokens: Int?
  /// Sequences that are continued together.
  var sequences: Int?
  /// Tokens that each of them is continued by.
  var steps: Int?
  /// Decides the prompts' tokens.
  var seed: UInt64?
}

/// What a command answers; only the fields that it has are written.
struct Answer: Encodable {
  var kernel: String?
  var load_s: Double?
  var wall_s: Double?
  var cpu_s: Double?
  var tokens: Int?
  var bytes_per_second: Double?
  var peak_bytes: Int?
  var error: String?
}

struct BenchError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
