/// What a JSON text may look like, as nodes that refer to one another by number. Made by ``SchemaCompiler``; run by
/// ``JSONAutomaton``.
///
/// Every node can be completed within `heights[node]` arrays and objects inside one another. That is what keeps a
/// generation from dead ends: a value is begun only where there is room to end it.
struct JSONGrammar: Sendable {
  enum Node: Sendable, Equatable {
    /// One of several texts that stand as they are.
    case literals([[UInt8]])
    /// A string of so many code points.
    case string(least: Int, most: Int?)
    case number(NumberRange)
    case array(item: Int, least: Int, most: Int?)
    case object(Object)
    /// Any of these.
    case any([Int])
    /// Nothing at all: what a schema of `false` allows.
    case never
  }

  /// Members come in the order of the schema, then others as far as there may be any.
  struct Object: Sendable, Equatable {
    struct Property: Sendable, Equatable {
      /// The name's own bytes.
      let name: [UInt8]
      /// `"name":`, escaped.
      let literal: [UInt8]
      let value: Int
      let isRequired: Bool
    }

    let properties: [Property]
    /// What a member of any other name holds; nil where there is none.
    let others: Int?
    /// For each place in `properties`: the first required one at or behind it, or their count.
    let nextRequired: [Int]

    init(properties: [Property], others: Int?) {
      self.properties = properties
      self.others = others
      var next = properties.count
      var places = [Int](repeating: next, count: properties.count + 1)
      for place in properties.indices.reversed() {
        if properties[place].isRequired { next = place }
        places[place] = next
      }
      nextRequired = places
    }
  }

  /// The nodes; `root` is the whole text.
  let nodes: [Node]
  let root: Int
  /// For each node the least number of arrays and objects inside one another that a text of it has.
  let heights: [Int]

  /// Throws when no text at all is allowed, naming the root.
  init(nodes: [Node], root: Int) throws(SchemaError) {
    self.nodes = nodes
    self.root = root
    heights = Self.heights(nodes)
    guard heights[root] <= SchemaLimits.depth else {
      throw SchemaError("#", "no value that is nested \(SchemaLimits.depth) deep or less is valid")
    }
  }

  /// Of a node that cannot be completed.
  static let unreachable = Int.max

  /// The least fixed point, from below: a node is completed by nodes that are.
  private static func heights(_ nodes: [Node]) -> [Int] {
    var heights = [Int](repeating: unreachable, count: nodes.count)
    var changes = true
    while changes {
      changes = false
      for index in nodes.indices.reversed() {
        let height = height(nodes[index], heights)
        if height < heights[index] {
          heights[index] = height
          changes = true
        }
      }
    }
    return heights
  }

  private static func height(_ node: Node, _ heights: [Int]) -> Int {
    switch node {
    case .literals(let texts): return texts.isEmpty ? unreachable : texts.map(depth).min() ?? unreachable
    case .string(let least, let most): return most.map { $0 < least } ?? false ? unreachable : 0
    case .number(let range): return range.isEmpty ? unreachable : 0
    case .any(let choices): return choices.map { heights[$0] }.min() ?? unreachable
    case .never: return unreachable
    case .array(let item, let least, let most):
      if let most, most < least { return unreachable }
      return least == 0 ? 1 : heights[item] == unreachable ? unreachable : heights[item] + 1
    case .object(let object):
      var height = 0
      for property in object.properties where property.isRequired { height = max(height, heights[property.value]) }
      return height == unreachable ? unreachable : height + 1
    }
  }

  /// Brackets inside one another in a JSON text.
  private static func depth(_ text: [UInt8]) -> Int {
    var (depth, deepest, quoted, escaped) = (0, 0, false, false)
    for byte in text {
      if escaped {
        escaped = false
      } else if quoted {
        if byte == UInt8(ascii: "\\") { escaped = true } else if byte == UInt8(ascii: "\"") { quoted = false }
      } else {
        switch byte {
        case UInt8(ascii: "\""): quoted = true
        case UInt8(ascii: "["), UInt8(ascii: "{"): (depth, deepest) = (depth + 1, max(deepest, depth + 1))
        case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
        default: break
        }
      }
    }
    return deepest
  }
}
