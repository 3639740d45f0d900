import Inference
import SealedCrypto
import Wire

/// What one line of a job asks for.
enum LineItem {
  case input(InputItem)
  /// A text to be made.
  case generation(GenerationItem)

  var id: String {
    switch self {
    case .input(let item): item.id
    case .generation(let item): item.id
    }
  }

  /// The line's number, from 1.
  var line: Int {
    switch self {
    case .input(let item): item.line
    case .generation(let item): item.line
    }
  }
}

/// The job's lines of an input's pieces, the same in both passes.
struct CanonicalLines {
  private let kind: InputKind
  private let plan: LinePlan
  /// Of the input's lines; known after the first piece that tells.
  private var read: LineFormat?

  init(_ kind: InputKind, _ plan: LinePlan = LinePlan()) {
    (self.kind, self.plan) = (kind, plan)
    read = kind == .textFiles ? .idText : nil
  }

  /// Of the job's lines.
  var format: InputFormat? {
    guard plan.operation != .generate else { return .openAI }
    return read.map { $0 == .openAI ? .openAI : .idText }
  }

  /// Which member of the input holds the id.
  var idParameter: String? { kind == .textFiles ? nil : read == .openAI ? "custom_id" : "id" }

  /// The line that a piece becomes, and what it says.
  mutating func line(_ piece: InputPiece, position: UInt64) throws(InputLineError) -> (bytes: [UInt8], item: LineItem) {
    let number = Int(clamping: position + 1)
    guard let bytes = piece.bytes else { throw Self.tooLong(number) }
    switch piece.place {
    case .file(let path):
      return try line(id: path, text: String(decoding: bytes, as: UTF8.self), number)
    case .line(let lineNumber):
      let format: LineFormat
      if let read { format = read } else { format = try LineFormat.detect(firstLine: bytes) }
      read = format
      guard plan.operation == .generate else {
        return (bytes, .input(try InputItem(parsing: bytes, line: lineNumber, format: format)))
      }
      if format == .openAI {
        guard plan.task == nil else {
          throw InputLineError(
            code: .unsupportedInput, message: "says by itself what is asked: an instruction is for documents",
            line: lineNumber)
        }
        return (bytes, .generation(try GenerationItem(parsing: bytes, line: lineNumber)))
      }
      let item = try InputItem(parsing: bytes, line: lineNumber, format: format)
      guard item.pair == nil else {
        throw InputLineError(
          code: .unsupportedInput, message: "an instruction is for one text", param: "text_pair", line: lineNumber,
          id: item.id)
      }
      return try line(id: item.id, text: item.text, lineNumber)
    }
  }

  /// The line of a document.
  private func line(
    id: String, text: String, _ number: Int
  ) throws(InputLineError) -> (bytes: [UInt8], item: LineItem) {
    guard plan.operation != .generate || plan.task != nil else {
      throw InputLineError(
        code: .unsupportedInput, message: "a document says nothing of what is asked: give an instruction",
        line: number, id: id)
    }
    let line = plan.line(id: id, text: text)
    guard line.count <= LineLimits.lineBytes else { throw Self.tooLong(number) }
    guard plan.operation == .generate else {
      return (line, .input(try InputItem(parsing: line, line: number, format: .idText)))
    }
    return (line, .generation(try GenerationItem(parsing: line, line: number)))
  }

  private static func tooLong(_ number: Int) -> InputLineError {
    InputLineError(code: .lineTooLong, message: "longer than \(LineLimits.lineBytes) bytes", line: number)
  }
}
