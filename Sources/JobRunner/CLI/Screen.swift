import Attestation
import Client
import Glibc
import Wire

/// What a person or a program sees. Results go to standard output; everything about them goes to standard error.
///
/// With `--json` standard output carries one JSON object a line and nothing else. Progress is shown on a terminal only;
/// colour too, and never with NO_COLOR.
final class Screen {
  let json: Bool
  /// Where everything goes that is no message: standard error where a command's results take standard output.
  private let output: Int32
  private let isTerminal: Bool
  private let hasColour: Bool
  private var progressShown = false

  init(json: Bool, resultsOnOutput: Bool = false) {
    self.json = json
    output = resultsOnOutput ? STDERR_FILENO : STDOUT_FILENO
    isTerminal = isatty(STDERR_FILENO) == 1
    hasColour = isTerminal && (getenv("NO_COLOR").map { $0.pointee == 0 } ?? true)
  }

  /// Standard output for people; nothing with `--json`.
  func out(_ text: String) {
    guard !json else { return }
    clearProgress()
    Self.put(text + "\n", output)
  }

  /// Standard output for programs; nothing without `--json`.
  func line(_ value: JSONLine) {
    guard json else { return }
    Self.put(value.encoded + "\n", output)
  }

  /// Standard error.
  func note(_ text: String) {
    clearProgress()
    Self.put(text + "\n", STDERR_FILENO)
  }

  /// A bundle that an earlier command sealed and that cannot be uploaded: the rest goes on.
  func refusedPending(_ entry: LedgerEntry, _ error: ClientError) {
    note("job \(entry.record.job.hex.prefix(12)), sealed by an earlier command, is not uploaded: \(error)")
  }

  /// A named stage, aligned, on standard error; nothing with `--json`.
  func stage(_ name: String, _ text: String) {
    guard !json else { return }
    note("\(bold(Self.padded(name, 15)))\(text)")
  }

  /// A line that the next one replaces, on a terminal only.
  func progress(_ text: String) {
    guard isTerminal, !json else { return }
    progressShown = true
    Self.put("\r\u{1B}[K\(text)", STDERR_FILENO)
  }

  /// What every screen of another class than production says.
  func banner(_ evidenceClass: EvidenceClass) {
    guard let text = evidenceClass.banner, !json else { return }
    note(hasColour ? "\u{1B}[1;33m\(text)\u{1B}[0m" : text)
  }

  func bold(_ text: String) -> String { hasColour ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
  func red(_ text: String) -> String { hasColour ? "\u{1B}[1;31m\(text)\u{1B}[0m" : text }
  func green(_ text: String) -> String { hasColour ? "\u{1B}[32m\(text)\u{1B}[0m" : text }

  /// Text of at least `width` characters.
  static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }

  private func clearProgress() {
    guard progressShown else { return }
    progressShown = false
    Self.put("\r\u{1B}[K", STDERR_FILENO)
  }

  private static func put(_ text: String, _ descriptor: Int32) {
    // A closed pipe or a full disk under a message is no reason to end otherwise than the command does.
    try? StandardStream(descriptor).write(Array(text.utf8))
  }
}

/// Standard output or standard error as a sink.
final class StandardStream: ByteSink {
  private let descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  func write(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0 {
        guard errno == EINTR else {
          throw ClientError(
            .other, "cannot write: \(String(cString: strerror(errno)))", remedy: "look where the output goes")
        }
      } else {
        rest = rest.dropFirst(written)
      }
    }
  }
}

/// Numbers as people read them.
enum Shown {
  /// `1,234,567`.
  static func number(_ value: UInt64) -> String {
    var text = ""
    for (index, digit) in String(value).reversed().enumerated() {
      if index > 0, index.isMultiple(of: 3) { text.append(",") }
      text.append(digit)
    }
    return String(text.reversed())
  }

  /// Millionths of a cosine: `0.999079`.
  static func cosine(_ millionths: UInt64) -> String {
    let digits = String(millionths % 1_000_000)
    return "\(millionths / 1_000_000).\(String(repeating: "0", count: 6 - digits.count))\(digits)"
  }

  /// `512 bytes`, `48 KB`, `1.5 MB`, in powers of ten.
  static func bytes(_ value: UInt64) -> String {
    switch value {
    case 0..<1000: "\(value) bytes"
    case 1000..<1_000_000: "\(value / 1000) KB"
    case 1_000_000..<1_000_000_000: "\(value / 1_000_000).\(value / 100_000 % 10) MB"
    default: "\(value / 1_000_000_000).\(value / 100_000_000 % 10) GB"
    }
  }

  /// Text from outside: bounded, and without control characters that a terminal would obey.
  static func printable(_ text: String, limit: Int = 200) -> String {
    String(
      text.unicodeScalars.prefix(limit).map { scalar in
        scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
          ? "?" : Character(scalar)
      })
  }

  /// `1 item`, `2 items`.
  static func count(_ value: UInt64, _ noun: String) -> String { "\(number(value)) \(noun)\(value == 1 ? "" : "s")" }
}
