/// Reads a header line by line and refuses whatever the grammar of age.md does not allow.
///
/// The input comes one byte at a time and is counted against ``AgeFormat/headerBytes`` before it is kept, so a header
/// without an end costs 64 KiB and no more.
struct AgeHeaderParser {
  /// The next byte, or nil at the end of the source.
  private let nextByte: () throws -> UInt8?
  /// Everything read so far, newlines included.
  private var consumed: [UInt8] = []

  /// Parses one header; `nextByte` has then given the newline after the MAC and nothing beyond.
  static func parse(nextByte: @escaping () throws -> UInt8?) throws -> AgeHeader {
    var parser = AgeHeaderParser(nextByte: nextByte)
    return try parser.header()
  }

  private init(nextByte: @escaping () throws -> UInt8?) { self.nextByte = nextByte }

  private mutating func header() throws -> AgeHeader {
    let version = try line("version line")
    guard version.elementsEqual(AgeFormat.versionLine.utf8) else {
      let isAge = version.starts(with: "age-encryption.org/".utf8)
      throw refusal(isAge ? "a version other than v1" : "not an age file", "version line")
    }
    var stanzas: [AgeStanza] = []
    while true {
      let place = "stanza \(stanzas.count + 1)"
      let start = consumed.count
      let opening = try line(place)
      if opening.starts(with: "---".utf8) {
        guard !stanzas.isEmpty else { throw refusal("no stanza before the MAC", "MAC line") }
        let mac = try mac(opening)
        return AgeHeader(stanzas: stanzas, mac: mac, authenticated: Array(consumed[..<(start + 3)]))
      }
      guard stanzas.count < AgeFormat.stanzas else { throw refusal("more than \(AgeFormat.stanzas) stanzas", place) }
      stanzas.append(try stanza(opening, place))
    }
  }

  /// `-> argument *(SP argument)`, then full lines of 64 columns, then one shorter line.
  private mutating func stanza(_ opening: [UInt8], _ place: String) throws -> AgeStanza {
    guard opening.starts(with: "-> ".utf8) else { throw refusal("a line that is neither stanza nor MAC", place) }
    let words = opening.dropFirst(3).split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard words.allSatisfy({ AgeStanza.isArgument($0) }) else {
      throw refusal("an argument that is empty or not visible ASCII", place)
    }
    let arguments = words.map { String(decoding: $0, as: UTF8.self) }
    guard let type = arguments.first else { throw refusal("no arguments", place) }

    var body: [UInt8] = []
    while true {
      let columns = try line("\(place), body")
      guard columns.count <= AgeFormat.bodyColumns else { throw refusal("a line over 64 columns", "\(place), body") }
      guard let bytes = AgeBase64.decode(columns) else { throw refusal("not canonical base64", "\(place), body") }
      body += bytes
      if columns.count < AgeFormat.bodyColumns { break }
    }
    return AgeStanza(type: type, arguments: Array(arguments.dropFirst()), body: body)
  }

  /// `--- ` and 43 characters of base64.
  private func mac(_ line: [UInt8]) throws -> [UInt8] {
    guard line.starts(with: "--- ".utf8) else { throw refusal("no space after the mark", "MAC line") }
    guard let mac = AgeBase64.decode(line.dropFirst(4)), mac.count == AgeFormat.macBytes else {
      throw refusal("not the canonical base64 of 32 bytes", "MAC line")
    }
    return mac
  }

  /// The next line without its newline.
  private mutating func line(_ place: String) throws -> [UInt8] {
    let start = consumed.count
    while let byte = try nextByte() {
      guard consumed.count < AgeFormat.headerBytes else {
        throw refusal("over the limit of \(AgeFormat.headerBytes) bytes", place)
      }
      consumed.append(byte)
      if byte == UInt8(ascii: "\n") { return Array(consumed[start..<(consumed.count - 1)]) }
    }
    throw refusal("the file ends inside its header", place)
  }

  private func refusal(_ reason: String, _ place: String) -> AgeError { AgeError(.header, reason, at: place) }
}
