/// An element of an S3 answer.
struct XMLElement {
  let name: String
  fileprivate(set) var children: [XMLElement] = []
  /// The characters directly inside, entities resolved, blanks kept.
  fileprivate(set) var text = ""

  /// The first child called `name`.
  func child(_ name: String) -> XMLElement? { children.first { $0.name == name } }
  /// All children called `name`, in their order.
  func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }
}

/// Reads the XML that S3 answers with: elements, text, the five entities and character references. Attributes are
/// skipped; document types (and with them all entity tricks) and CDATA are refused. Bounded in depth and elements, and
/// by the length of its input, which the caller has bounded.
struct XMLReader {
  static let depthLimit = 16
  static let elementLimit = 50_000

  /// What is wrong, and at which byte.
  struct Fault: Error, CustomStringConvertible {
    let description: String
  }

  private let bytes: [UInt8]
  private var position = 0
  private var elements = 0

  /// The root element of `document`.
  static func read(_ document: [UInt8]) throws(Fault) -> XMLElement {
    var reader = XMLReader(bytes: document)
    return try reader.document()
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private mutating func document() throws(Fault) -> XMLElement {
    _ = take("\u{feff}")
    var open: [XMLElement] = []
    while position < bytes.count {
      if take("<?") {
        _ = try upTo("?>")
      } else if take("<!--") {
        _ = try upTo("-->")
      } else if take("<!") {
        throw fault("a document type or CDATA section, which S3 never sends")
      } else if take("</") {
        let name = try name()
        skipBlanks()
        guard take(">"), let last = open.popLast(), last.name == name else { throw fault("</\(name)> closes nothing") }
        if open.isEmpty { return try end(last) }
        open[open.count - 1].children.append(last)
      } else if take("<") {
        let (element, isEmpty) = try startTag()
        guard open.count < Self.depthLimit else { throw fault("deeper than \(Self.depthLimit) elements") }
        if !isEmpty {
          open.append(element)
        } else if open.isEmpty {
          return try end(element)
        } else {
          open[open.count - 1].children.append(element)
        }
      } else {
        let text = try text()
        if open.isEmpty {
          guard text.allSatisfy(Self.isBlank) else { throw fault("text outside of any element") }
        } else {
          guard let decoded = String(validating: text, as: UTF8.self) else { throw fault("text is not UTF-8") }
          open[open.count - 1].text += decoded
        }
      }
    }
    throw fault("ended too early")
  }

  private mutating func end(_ root: XMLElement) throws(Fault) -> XMLElement {
    skipBlanks()
    guard position == bytes.count else { throw fault("something after the end") }
    return root
  }

  /// After the `<`: a name, skipped attributes, and `>` or `/>`.
  private mutating func startTag() throws(Fault) -> (XMLElement, isEmpty: Bool) {
    elements += 1
    guard elements <= Self.elementLimit else { throw fault("more than \(Self.elementLimit) elements") }
    let element = XMLElement(name: try name())
    while true {
      skipBlanks()
      if take("/>") { return (element, true) }
      if take(">") { return (element, false) }
      _ = try name()
      skipBlanks()
      guard take("=") else { throw fault("an attribute without a value") }
      skipBlanks()
      if take("\"") { _ = try upTo("\"") } else if take("'") { _ = try upTo("'") } else { throw fault("no quotes") }
    }
  }

  private mutating func name() throws(Fault) -> String {
    let start = position
    while position < bytes.count, Self.isNameByte(bytes[position]) { position += 1 }
    guard position > start else { throw fault("a name is missing") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func text() throws(Fault) -> [UInt8] {
    var text: [UInt8] = []
    while position < bytes.count, bytes[position] != UInt8(ascii: "<") {
      if take("&") {
        text += try entity()
      } else {
        text.append(bytes[position])
        position += 1
      }
    }
    return text
  }

  /// After the `&`.
  private mutating func entity() throws(Fault) -> [UInt8] {
    let name = String(decoding: try upTo(";"), as: UTF8.self)
    switch name {
    case "lt": return [UInt8(ascii: "<")]
    case "gt": return [UInt8(ascii: ">")]
    case "amp": return [UInt8(ascii: "&")]
    case "quot": return [UInt8(ascii: "\"")]
    case "apos": return [UInt8(ascii: "'")]
    default: break
    }
    let value = name.hasPrefix("#x") ? UInt32(name.dropFirst(2), radix: 16) : UInt32(name.dropFirst())
    guard name.hasPrefix("#"), let scalar = value.flatMap(Unicode.Scalar.init) else { throw fault("an unknown entity") }
    return Array(String(scalar).utf8)
  }

  private mutating func upTo(_ end: StaticString) throws(Fault) -> ArraySlice<UInt8> {
    let start = position
    while position < bytes.count {
      let here = position
      if take(end) { return bytes[start..<here] }
      position += 1
    }
    throw fault("\(end) is missing")
  }

  private mutating func take(_ token: StaticString) -> Bool {
    guard token.withUTF8Buffer({ bytes[position...].starts(with: $0) }) else { return false }
    position += token.utf8CodeUnitCount
    return true
  }

  private mutating func skipBlanks() {
    while position < bytes.count, Self.isBlank(bytes[position]) { position += 1 }
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0a).contains(byte) || byte == 0x0d }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "-"), UInt8(ascii: "_"),
      UInt8(ascii: "."):
      true
    default: byte >= 0x80
    }
  }

  private func fault(_ reason: String) -> Fault { Fault(description: "XML at byte \(position): \(reason)") }
}
