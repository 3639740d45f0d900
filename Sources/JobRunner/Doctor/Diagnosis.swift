import Client

/// One line of the doctor's: what was looked at, what was seen, what it means and what to do.
struct Diagnosis: Sendable, Equatable {
  enum Level: String, Sendable {
    case ok
    /// It works, and somebody should know.
    case warning = "warn"
    /// It does not work, or will not.
    case failure = "fail"
  }

  /// A few words that stay, for programs: `store conditions`.
  let check: String
  let level: Level
  /// What was seen; no secret in it.
  let finding: String
  /// What follows from it; nil where that is plain.
  let meaning: String?
  /// What to do, a command where there is one; nil where nothing is to do.
  let remedy: String?

  static func ok(_ check: String, _ finding: String, meaning: String? = nil) -> Diagnosis {
    Diagnosis(check: check, level: .ok, finding: finding, meaning: meaning, remedy: nil)
  }
  static func warn(_ check: String, _ finding: String, meaning: String? = nil, remedy: String) -> Diagnosis {
    Diagnosis(check: check, level: .warning, finding: finding, meaning: meaning, remedy: remedy)
  }
  static func fail(_ check: String, _ finding: String, meaning: String? = nil, remedy: String) -> Diagnosis {
    Diagnosis(check: check, level: .failure, finding: finding, meaning: meaning, remedy: remedy)
  }

  var json: JSONLine {
    .object([
      ("check", .text(check)), ("level", .text(level.rawValue)), ("finding", .text(finding)),
      ("meaning", .optional(meaning)), ("remedy", .optional(remedy)),
    ])
  }
}

extension [Diagnosis] {
  /// 0 all well, 1 something fails, 3 warnings only.
  var status: ExitStatus {
    if contains(where: { $0.level == .failure }) { return .other }
    return contains { $0.level == .warning } ? .partial : .done
  }
}
