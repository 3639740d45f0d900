/// Runs a ``JSONGrammar`` over bytes.
///
/// What may come is told by a stack: the frame on top takes the next byte, those below say what follows. Where a grammar
/// leaves several ways open there are several stacks, and together they are a configuration. Stacks and configurations
/// are numbered as they first occur, and each step from one to the next is found once: a text inside a string, of which
/// most bytes are, costs one look into a table for each byte.
struct JSONAutomaton {
  /// What a frame waits for.
  enum Kind: UInt8 {
    /// Blanks: none, one space, or a newline and an indentation.
    case gap
    /// A value of `node`; never takes a byte itself.
    case value
    /// One of the texts `a..<b` of `node`, of which `c` bytes were taken.
    case literal
    /// The name of property `a` of `node`, of which `c` bytes were taken.
    case name
    /// A name that is none of list `a`; `b` is where its string is. Zero means that it is like none of them any more.
    case otherName
    /// A string of `a` code points so far, as far as they are counted; `b` is where it is.
    case string
    case number
    /// Before the bracket.
    case arrayStart, objectStart
    /// Behind the bracket, and behind item or member `a`. `b` is the list of names that were taken; `c` is 1 where one
    /// of them is not known yet.
    case arrayFirst, arrayNext, objectFirst, objectNext
    /// Behind a name of the text's own.
    case colon
    /// Before a member's name; never takes a byte itself.
    case member
  }

  struct Frame: Hashable {
    let kind: Kind
    let node: Int32
    var a: Int32 = 0
    var b: Int32 = 0
    var c: Int32 = 0
    var number = NumberRange.State()
  }

  struct Stack: Hashable {
    let frame: Frame
    let below: Int32
  }

  /// The stack of a whole text.
  static let empty: Int32 = -1
  /// The configuration from which no text is valid.
  static let dead: Int32 = -1
  /// Stacks of one configuration at most. More are left out: that forbids some texts, and never allows a wrong one.
  static let stacksLimit = 200
  /// Bytes of what is numbered, about, with which an automaton is full.
  static let bytesLimit = 4 << 20
  /// Blanks of an indentation.
  private static let indentation: Int32 = 32
  /// Members with names that the schema does not have, of one object.
  private static let otherNamesLimit = 1000

  let grammar: JSONGrammar
  private var stacks: [Stack] = []
  private var depths: [Int32] = []
  private var stackNumbers: [Stack: Int32] = [:]
  private(set) var configurations: [[Int32]] = []
  private var configurationNumbers: [[Int32]: Int32] = [:]
  /// Configuration × 256 + byte → configuration; -2 where it was not asked yet.
  private var steps: [Int32] = []
  /// Names, or what is left of them. Number 0 is the empty list.
  private(set) var lists: [[[UInt8]]] = [[]]
  private var listNumbers: [[[UInt8]]: Int32] = [[]: 0]
  /// For each object its own names.
  private var ownNames: [Int32: Int32] = [:]
  /// Bytes of what is numbered, about: arrays, and the tables that find their items.
  private(set) var bytes = 0

  init(_ grammar: JSONGrammar) { self.grammar = grammar }

  /// Whether so much was numbered that it is time to begin anew. Asked between tokens: one token adds little.
  var isFull: Bool { bytes > Self.bytesLimit }

  /// Before the first byte.
  mutating func start() -> Int32 {
    var reached = Reached()
    settle(push(Frame(kind: .value, node: Int32(grammar.root)), on: Self.empty), &reached)
    return configuration(reached.stacks)
  }

  /// Whether the text may end here.
  func mayEnd(_ configuration: Int32) -> Bool {
    configuration >= 0 && configurations[Int(configuration)].contains(Self.empty)
  }

  /// Whether a name is being read that the schema does not have.
  func readsOtherName(_ configuration: Int32) -> Bool {
    configuration >= 0
      && configurations[Int(configuration)].contains { $0 >= 0 && stacks[Int($0)].frame.kind == .otherName }
  }

  /// The configuration behind a byte. Where a name of the text's own ends, it is known afterwards that there was one,
  /// and not which: nothing that depends on it may follow until ``step(_:_:name:)`` is told.
  mutating func step(_ configuration: Int32, _ byte: UInt8) -> Int32 {
    guard configuration >= 0 else { return Self.dead }
    let place = Int(configuration) << 8 | Int(byte)
    if steps[place] != -2 { return steps[place] }
    let next = step(configuration, byte, name: nil)
    steps[place] = next
    return next
  }

  /// The same, where a name that ends is known.
  mutating func step(_ configuration: Int32, _ byte: UInt8, name: [UInt8]?) -> Int32 {
    guard configuration >= 0 else { return Self.dead }
    var reached = Reached()
    for stack in configurations[Int(configuration)] where stack >= 0 { take(byte, stack, name, &reached) }
    return self.configuration(reached.stacks)
  }

  // MARK: numbering

  /// Stacks in the order in which they were found, which does not depend on their numbers.
  struct Reached {
    var stacks: [Int32] = []
    mutating func add(_ stack: Int32) {
      if stacks.count < stacksLimit, !stacks.contains(stack) { stacks.append(stack) }
    }
  }

  private mutating func configuration(_ stacks: [Int32]) -> Int32 {
    guard !stacks.isEmpty else { return Self.dead }
    if let number = configurationNumbers[stacks] { return number }
    let number = Int32(configurations.count)
    configurations.append(stacks)
    configurationNumbers[stacks] = number
    steps.append(contentsOf: repeatElement(-2, count: 256))
    bytes += 1024 + 4 * stacks.count + 96
    return number
  }

  mutating func push(_ frame: Frame, on below: Int32) -> Int32 {
    let stack = Stack(frame: frame, below: below)
    if let number = stackNumbers[stack] { return number }
    let number = Int32(stacks.count)
    stacks.append(stack)
    stackNumbers[stack] = number
    bytes += 3 * MemoryLayout<Stack>.stride + 16
    let isContainer: Bool =
      switch frame.kind {
      case .arrayFirst, .arrayNext, .objectFirst, .objectNext: true
      default: false
      }
    depths.append((below >= 0 ? depths[Int(below)] : 0) + (isContainer ? 1 : 0))
    return number
  }

  /// - Parameter isShared: whether the names themselves, but for the last, are those of another list.
  private mutating func list(_ names: [[UInt8]], isShared: Bool = false) -> Int32 {
    if let number = listNumbers[names] { return number }
    let number = Int32(lists.count)
    lists.append(names)
    listNumbers[names] = number
    bytes +=
      names.reduce(96) { $0 + 8 + (isShared ? 0 : 32 + $1.count) } + (isShared ? 32 + (names.last?.count ?? 0) : 0)
    return number
  }

  /// A configuration of another automaton of the same grammar, by the frames of its stacks.
  mutating func adopt(_ configuration: Int32, of other: JSONAutomaton) -> Int32 {
    guard configuration >= 0 else { return Self.dead }
    var copies: [Int32] = []
    for stack in other.configurations[Int(configuration)] {
      var frames: [Frame] = []
      var place = stack
      while place >= 0 {
        frames.append(other.stacks[Int(place)].frame)
        place = other.stacks[Int(place)].below
      }
      var copy = Self.empty
      for var frame in frames.reversed() {
        switch frame.kind {
        case .otherName: frame.a = list(other.lists[Int(frame.a)])
        case .objectFirst, .objectNext, .member: frame.b = list(other.lists[Int(frame.b)])
        default: break
        }
        copy = push(frame, on: copy)
      }
      copies.append(copy)
    }
    return self.configuration(copies)
  }

  // MARK: what may come

  private func fits(_ node: Int, below stack: Int32) -> Bool {
    let height = grammar.heights[node]
    return height != JSONGrammar.unreachable
      && height + Int(stack >= 0 ? depths[Int(stack)] : 0) <= SchemaLimits.depth
  }

  /// Adds the stacks that take a byte, where this one stands.
  private mutating func settle(_ stack: Int32, _ reached: inout Reached) {
    guard stack >= 0 else { return reached.add(stack) }
    let (frame, below) = (stacks[Int(stack)].frame, stacks[Int(stack)].below)
    let node = Int(frame.node)
    switch frame.kind {
    case .gap:
      reached.add(stack)
      settle(below, &reached)
    case .value: expand(node, below, &reached)
    case .member: expandMember(frame, below, &reached)
    case .arrayFirst:
      guard case .array(let item, let least, let most) = grammar.nodes[node] else { return }
      if least == 0 { reached.add(stack) }
      if most != 0, fits(item, below: stack) {
        expand(item, pushGap(on: push(Frame(kind: .arrayNext, node: frame.node, a: 1), on: below)), &reached)
      }
    case .objectFirst:
      guard case .object(let object) = grammar.nodes[node] else { return }
      if object.nextRequired[0] == object.properties.count { reached.add(stack) }
      expandMember(frame, below, &reached)
    default: reached.add(stack)
    }
  }

  /// The ways in which a value may begin; choices among choices are followed once each.
  private mutating func expand(_ root: Int, _ below: Int32, _ reached: inout Reached) {
    var (waiting, seen): ([Int], Set<Int>) = ([root], [root])
    while let node = waiting.popLast() {
      guard fits(node, below: below) else { continue }
      let kind: Kind
      switch grammar.nodes[node] {
      case .never: continue
      case .any(let choices):
        for choice in choices.reversed() where seen.insert(choice).inserted { waiting.append(choice) }
        continue
      case .literals(let texts):
        reached.add(push(Frame(kind: .literal, node: Int32(node), b: Int32(texts.count)), on: below))
        continue
      case .string: kind = .string
      case .number: kind = .number
      case .array: kind = .arrayStart
      case .object: kind = .objectStart
      }
      reached.add(push(Frame(kind: kind, node: Int32(node)), on: below))
    }
  }

  /// The names that may come behind place `a` of an object.
  private mutating func expandMember(_ frame: Frame, _ below: Int32, _ reached: inout Reached) {
    guard case .object(let object) = grammar.nodes[Int(frame.node)] else { return }
    let (place, required) = (Int(frame.a), object.nextRequired[Int(frame.a)])
    for index in place..<min(required + 1, object.properties.count) {
      let next = push(Frame(kind: .objectNext, node: frame.node, a: Int32(index + 1), b: frame.b), on: below)
      guard fits(object.properties[index].value, below: next) else { continue }
      let value = push(Frame(kind: .value, node: Int32(object.properties[index].value)), on: pushGap(on: next))
      reached.add(push(Frame(kind: .name, node: frame.node, a: Int32(index)), on: pushGap(on: value)))
    }
    guard required == object.properties.count, let others = object.others, frame.c == 0,
      lists[Int(frame.b)].count < object.properties.count + Self.otherNamesLimit
    else { return }
    let next = push(
      Frame(kind: .objectNext, node: frame.node, a: Int32(object.properties.count), b: frame.b), on: below)
    guard fits(others, below: next) else { return }
    let value = push(Frame(kind: .value, node: Int32(others)), on: pushGap(on: next))
    reached.add(push(Frame(kind: .otherName, node: frame.node, a: frame.b), on: pushGap(on: value)))
  }

  // MARK: taking a byte

  private mutating func take(_ byte: UInt8, _ stack: Int32, _ name: [UInt8]?, _ reached: inout Reached) {
    let (frame, below) = (stacks[Int(stack)].frame, stacks[Int(stack)].below)
    let node = Int(frame.node)
    var next = frame
    switch (frame.kind, grammar.nodes[node]) {
    case (.gap, _):
      if frame.a == 0, byte == UInt8(ascii: " ") { return settle(below, &reached) }
      let isBlank = frame.a > 0 && (byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t"))
      guard frame.a == 0 ? byte == UInt8(ascii: "\n") : isBlank && frame.a <= Self.indentation else { return }
      next.a += 1
      settle(push(next, on: below), &reached)
    case (.literal, .literals(let texts)):
      let range = Int(frame.a)..<Int(frame.b)
      let place = Int(frame.c)
      let same = range.filter { texts[$0].count > place && texts[$0][place] == byte }
      guard var first = same.first, let last = same.last else { return }
      if texts[first].count == place + 1 {
        settle(below, &reached)
        first += 1
      }
      guard first <= last else { return }
      reached.add(
        push(
          Frame(kind: .literal, node: frame.node, a: Int32(first), b: Int32(last + 1), c: frame.c + 1), on: below))
    case (.name, .object(let object)):
      let text = object.properties[Int(frame.a)].literal
      guard text[Int(frame.c)] == byte else { return }
      next.c += 1
      if Int(next.c) == text.count { settle(below, &reached) } else { reached.add(push(next, on: below)) }
    case (.colon, _) where byte == UInt8(ascii: ":"): settle(below, &reached)
    case (.otherName, .object): takeOtherName(byte, frame, below, name, &reached)
    case (.string, .string(let least, let most)):
      var scanner = StringScanner(phase: StringScanner.Phase(rawValue: frame.b) ?? .end)
      if scanner.beginsCharacter(byte) {
        if let most, Int(frame.a) >= most { return }
        next.a = most == nil ? min(frame.a + 1, Int32(least)) : frame.a + 1
      } else if scanner.phase == .inside, Int(frame.a) < least {
        return
      }
      guard scanner.step(byte) else { return }
      next.b = scanner.phase.rawValue
      if scanner.phase == .end { settle(below, &reached) } else { reached.add(push(next, on: below)) }
    case (.number, .number(let range)):
      guard let state = range.step(frame.number, byte) else { return }
      next.number = state
      reached.add(push(next, on: below))
      if range.isWhole(state) { settle(below, &reached) }
    case (.arrayStart, _) where byte == UInt8(ascii: "["), (.objectStart, _) where byte == UInt8(ascii: "{"):
      let isArray = frame.kind == .arrayStart
      let first = Frame(kind: isArray ? .arrayFirst : .objectFirst, node: frame.node, b: isArray ? 0 : names(of: node))
      settle(pushGap(on: push(first, on: below)), &reached)
    case (.arrayFirst, _) where byte == UInt8(ascii: "]"): settle(below, &reached)
    case (.objectFirst, _) where byte == UInt8(ascii: "}"): settle(below, &reached)
    case (.arrayNext, .array(let item, let least, let most)):
      if byte == UInt8(ascii: "]"), Int(frame.a) >= least { settle(below, &reached) }
      guard byte == UInt8(ascii: ","), Int(frame.a) < most ?? .max, fits(item, below: stack) else { return }
      next.a = most == nil ? min(frame.a + 1, Int32(max(least, 1))) : frame.a + 1
      let value = push(Frame(kind: .value, node: Int32(item)), on: pushGap(on: push(next, on: below)))
      settle(pushGap(on: value), &reached)
    case (.objectNext, .object(let object)):
      if byte == UInt8(ascii: "}"), object.nextRequired[Int(frame.a)] == object.properties.count {
        settle(below, &reached)
      }
      guard byte == UInt8(ascii: ",") else { return }
      let member = Frame(kind: .member, node: frame.node, a: frame.a, b: frame.b, c: frame.c)
      // A comma that no member could follow would lead nowhere.
      var members = Reached()
      expandMember(member, below, &members)
      guard !members.stacks.isEmpty else { return }
      settle(pushGap(on: push(member, on: below)), &reached)
    default: return
    }
  }

  private mutating func names(of node: Int) -> Int32 {
    guard case .object(let object) = grammar.nodes[node], object.others != nil else { return 0 }
    if let known = ownNames[Int32(node)] { return known }
    let number = list(object.properties.map(\.name))
    ownNames[Int32(node)] = number
    return number
  }

  /// A name of the text's own: neither empty, nor with escapes (it could spell another so), nor one of the list.
  private mutating func takeOtherName(
    _ byte: UInt8, _ frame: Frame, _ below: Int32, _ name: [UInt8]?, _ reached: inout Reached
  ) {
    var scanner = StringScanner(phase: StringScanner.Phase(rawValue: frame.b) ?? .end)
    var next = frame
    let phase = scanner.phase
    // `c` is 1 once the name has a character.
    if phase == .inside, byte == UInt8(ascii: "\""), frame.c == 0 || lists[Int(frame.a)].contains([]) { return }
    guard scanner.step(byte, allowsEscapes: false) else { return }
    next.b = scanner.phase.rawValue
    guard scanner.phase == .end else {
      if phase != .start {
        next.a = list(lists[Int(frame.a)].filter { $0.first == byte }.map { Array($0.dropFirst()) })
        next.c = 1
      }
      return reached.add(push(next, on: below))
    }
    // Below are a gap, the value, another gap, and the object, which learns the name.
    let value = stacks[Int(stacks[Int(below)].below)]
    let rest = stacks[Int(stacks[Int(value.below)].below)]
    var object = rest.frame
    if let name { object.b = list(lists[Int(object.b)] + [name], isShared: true) } else { object.c = 1 }
    let behind = push(value.frame, on: pushGap(on: push(object, on: rest.below)))
    reached.add(push(Frame(kind: .colon, node: 0), on: pushGap(on: behind)))
  }

  private mutating func pushGap(on below: Int32) -> Int32 { push(Frame(kind: .gap, node: 0), on: below) }
}
