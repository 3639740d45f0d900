import Synchronization

/// Texts that are JSON of one kind, over one vocabulary. What was found for one sequence serves all: a job makes one of
/// these for each schema, and a ``constraint()`` for each item.
package final class JSONConstraintSource: Sendable {
  private let grammar: JSONGrammar
  let prefixes: TokenPrefixes
  private let current: Mutex<JSONArena>

  /// - Parameter schema: a JSON schema, of which a part is read (docs/generation.md); nil for any JSON object.
  ///
  /// Throws `SchemaError` for what is not held to, is too large, or allows nothing.
  package init(schema: JSONValue?, prefixes: TokenPrefixes) throws(SchemaError) {
    grammar = try SchemaCompiler.grammar(schema)
    self.prefixes = prefixes
    current = Mutex(JSONArena(grammar))
  }

  /// What constrains one sequence, from its beginning.
  package func constraint() -> JSONConstraint { JSONConstraint(self) }

  /// The arena that is filled now. A full one gives way to a new one; who stands in it yet keeps it for so long.
  func arena() -> JSONArena {
    current.withLock { arena in
      if arena.isFull { arena = JSONArena(grammar) }
      return arena
    }
  }
}

/// An automaton that several sequences fill together, and the masks that were made of it.
final class JSONArena: Sendable {
  struct Contents {
    var automaton: JSONAutomaton
    var masks: [Int32: TokenMask] = [:]
  }

  /// Masks that are kept. Each is an eighth of the vocabulary in bytes.
  static let masksLimit = 128
  private let contents: Mutex<Contents>

  init(_ grammar: JSONGrammar) { contents = Mutex(Contents(automaton: JSONAutomaton(grammar))) }

  /// Of the automaton, about.
  var bytes: Int { contents.withLock { $0.automaton.bytes } }
  var isFull: Bool { contents.withLock { $0.automaton.isFull } }
  func start() -> Int32 { contents.withLock { $0.automaton.start() } }
  func mayEnd(_ configuration: Int32) -> Bool { contents.withLock { $0.automaton.mayEnd(configuration) } }
  func copy() -> JSONAutomaton { contents.withLock { $0.automaton } }

  func adopt(_ configuration: Int32, of other: JSONAutomaton) -> Int32 {
    contents.withLock { $0.automaton.adopt(configuration, of: other) }
  }

  /// Goes over the bytes of a token. `name` has what was read since the last quote.
  func advance(_ configuration: Int32, _ bytes: ArraySlice<UInt8>, _ name: inout [UInt8]) -> Int32 {
    contents.withLock { contents in
      var configuration = configuration
      for byte in bytes {
        let endsName = byte == UInt8(ascii: "\"") && contents.automaton.readsOtherName(configuration)
        configuration =
          endsName
          ? contents.automaton.step(configuration, byte, name: name) : contents.automaton.step(configuration, byte)
        if byte == UInt8(ascii: "\"") {
          name = []
        } else if contents.automaton.readsOtherName(configuration) {
          name.append(byte)
        }
      }
      return configuration
    }
  }

  /// Adds the tokens that may come next.
  func allowed(_ configuration: Int32, _ prefixes: TokenPrefixes, into mask: inout TokenMask) {
    guard configuration >= 0 else { return }
    contents.withLock { contents in
      if let known = contents.masks[configuration] { return mask.formUnion(known) }
      var found = TokenMask(count: prefixes.count)
      Self.walk(&contents.automaton, configuration, prefixes, &found)
      if contents.masks.count >= Self.masksLimit { contents.masks = [:] }
      contents.masks[configuration] = found
      mask.formUnion(found)
    }
  }

  /// Every token whose bytes lead somewhere.
  private static func walk(
    _ automaton: inout JSONAutomaton, _ start: Int32, _ prefixes: TokenPrefixes, _ mask: inout TokenMask
  ) {
    var path = [Int32](repeating: start, count: TokenPrefixes.tokenBytesLimit + 1)
    path.withUnsafeMutableBufferPointer { path in
      prefixes.bytes.withUnsafeBufferPointer { bytes in
        var node = 0
        while node < bytes.count {
          let depth = Int(prefixes.depths[node])
          let reached = automaton.step(path[depth - 1], bytes[node])
          guard reached >= 0 else {
            node = Int(prefixes.next[node])
            continue
          }
          path[depth] = reached
          for place in prefixes.idStarts[node]..<prefixes.idStarts[node + 1] { mask.insert(prefixes.ids[Int(place)]) }
          node += 1
        }
      }
    }
  }
}

/// Holds one sequence to JSON of one kind: every text that it allows, once it may end, parses and is valid.
package struct JSONConstraint: TokenConstraint {
  private let source: JSONConstraintSource
  /// The same for all constraints of one source.
  var schema: ObjectIdentifier { ObjectIdentifier(source) }
  private var arena: JSONArena
  private var configuration: Int32
  /// What was read of a name that the schema does not have, since its quote.
  private var name: [UInt8] = []

  init(_ source: JSONConstraintSource) {
    self.source = source
    arena = source.arena()
    configuration = arena.start()
  }

  package mutating func allowed(into mask: inout TokenMask) {
    arena.allowed(configuration, source.prefixes, into: &mask)
  }

  package mutating func advance(_ token: Int32) {
    let bytes = source.prefixes.tokens[token]
    // A token that is not text was not allowed; nothing may follow it.
    configuration = bytes.isEmpty ? JSONAutomaton.dead : arena.advance(configuration, bytes, &name)
    guard arena.isFull else { return }
    let old = arena
    arena = source.arena()
    if arena !== old { configuration = arena.adopt(configuration, of: old.copy()) }
  }

  package var mayEnd: Bool { arena.mayEnd(configuration) }
}
