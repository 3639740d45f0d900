/// `tojson` as `transformers` has it: Python's `json.dumps`, with blanks behind commas and colons, other letters than
/// ASCII as they are, and nothing escaped for HTML.
struct TemplateJSON {
  private let interpreter: TemplateInterpreter
  private let ascii: Bool
  private let indent: String?
  private let item: String
  private let colon: String
  private let sorts: Bool
  private var text = ""

  static func text(
    _ value: TemplateValue, _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws(TemplateError) -> String {
    var writer = try TemplateJSON(arguments, interpreter)
    try writer.write(value, margin: "\n")
    try interpreter.meter.make(writer.text.utf8.count)
    return writer.text
  }

  private init(_ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter) throws(TemplateError) {
    try arguments.allow("ensure_ascii", "indent", "separators", "sort_keys")
    self.interpreter = interpreter
    ascii = arguments.value(0, "ensure_ascii")?.isTrue ?? false
    sorts = arguments.value(3, "sort_keys")?.isTrue ?? false
    switch arguments.value(1, "indent") {
    case nil, TemplateValue.none?: indent = nil
    case .string(let text)? where text.utf8.count <= 32: indent = text
    case let value?:
      guard let width = value.integer, width <= 32 else {
        throw TemplateError(.evaluation, "`tojson` indents by 32 at most")
      }
      indent = String(repeating: " ", count: max(0, width))
    }
    switch arguments.value(2, "separators") {
    case nil, TemplateValue.none?: (item, colon) = (indent == nil ? ", " : ",", ": ")
    case .list(let list)?, .tuple(let list)?:
      guard list.items.count == 2, let first = list.items[0].string, let second = list.items[1].string,
        first.utf8.count <= 32, second.utf8.count <= 32
      else { throw TemplateError(.evaluation, "`tojson` takes two short texts as separators") }
      (item, colon) = (first, second)
    default: throw TemplateError(.evaluation, "`tojson` takes two short texts as separators")
    }
  }

  private mutating func write(_ value: TemplateValue, margin: String) throws(TemplateError) {
    try interpreter.meter.step()
    switch value {
    case .none: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .float(let value):
      text += value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : TemplateText.text(value)
    case .string(let string): try write(string)
    case .list(let list), .tuple(let list):
      try write(list.items, "[", "]", margin) { writer, item, margin throws(TemplateError) in
        try writer.write(item, margin: margin)
      }
    case .dictionary(let dictionary):
      if sorts {
        // Names are compared as often as there are doublings in their number.
        let bytes = dictionary.members.reduce(0) { $0 + $1.name.utf8.count }
        try interpreter.meter.read(bytes * (Int.bitWidth - dictionary.members.count.leadingZeroBitCount))
      }
      let members =
        sorts ? dictionary.members.sorted { TemplateText.less($0.name, $1.name) } : dictionary.members
      try write(members, "{", "}", margin) { writer, member, margin throws(TemplateError) in
        try writer.write(member.name)
        writer.text += writer.colon
        try writer.write(member.value, margin: margin)
      }
    case .undefined(let why): throw TemplateError(.evaluation, why)
    case .namespace, .loop, .macro, .function, .method:
      throw TemplateError(.evaluation, "\(value.kind) has no JSON")
    }
    try interpreter.checkLength(text)
  }

  private mutating func write<Item>(
    _ items: [Item], _ open: String, _ close: String, _ margin: String,
    _ each: (inout Self, Item, String) throws(TemplateError) -> Void
  ) throws(TemplateError) {
    text += open
    let inner = indent.map { margin + $0 } ?? margin
    for (index, element) in items.enumerated() {
      if index > 0 { text += item }
      if indent != nil { text += inner }
      try each(&self, element, inner)
    }
    if indent != nil, !items.isEmpty { text += margin }
    text += close
  }

  private mutating func write(_ string: String) throws(TemplateError) {
    try interpreter.meter.make(2 * string.utf8.count)
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{8}": text += "\\b"
      case "\u{c}": text += "\\f"
      default:
        if scalar.value < 0x20 || ascii && scalar.value >= 0x7f {
          for unit in String(scalar).utf16 where scalar.value != 0x7f {
            text += "\\u" + TemplateText.hex(UInt32(unit), 4)
          }
          if scalar.value == 0x7f { text.unicodeScalars.append(scalar) }
        } else {
          text.unicodeScalars.append(scalar)
        }
      }
    }
    text += "\""
  }
}
