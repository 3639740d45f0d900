import Client
import SealedCrypto
import Wire

/// What the first pass found, as people and programs read it.
struct InputReport {
  /// Problems that are shown one by one.
  private static let shown = 20
  let screen: Screen
  let name: String

  func show(_ survey: InputSurvey) {
    screen.line(
      .object([
        ("event", .text("input")), ("format", .text(survey.format.rawValue)), ("items", .unsigned(survey.items)),
        ("bytes", .unsigned(survey.bytes)), ("tokens", .optional(survey.tokens)),
        ("too_long", .unsigned(survey.truncated)), ("invalid", .unsigned(survey.problemCount)),
        (
          "skipped",
          .object(survey.skipped.reasons.sorted { $0.key < $1.key }.map { ($0.key, .unsigned(UInt64($0.value))) })
        ),
      ]))
    let tokens = survey.tokens.map { ", \(Shown.count($0, "token"))" } ?? ", tokenizer not public: lengths not checked"
    screen.stage(
      "input", "\(Shown.printable(name)): \(Shown.count(survey.items, "item"))\(tokens), \(Shown.bytes(survey.bytes))")
    if survey.skipped.count > 0 {
      let reasons = survey.skipped.reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        .map { "\(Shown.number(UInt64($0.value))) \($0.key)" }
      screen.stage(
        "left out", "\(Shown.count(UInt64(survey.skipped.count), "file")): \(reasons.joined(separator: ", "))")
    }
    if survey.truncated > 0 {
      let places = survey.truncatedPlaces.prefix(3).map { Shown.printable($0.description) }.joined(separator: ", ")
      let more = survey.truncated > 3 ? ", …" : ""
      screen.stage("too long", "\(Shown.count(survey.truncated, "item")) whose end will be cut off: \(places)\(more)")
    }
    for problem in survey.problems {
      screen.line(
        .object([
          ("event", .text("invalid")), ("place", .text(problem.place.description)), ("code", .text(problem.code)),
          ("param", .optional(problem.param)), ("message", .text(problem.message)),
        ]))
    }
    for problem in survey.problems.prefix(Self.shown) {
      screen.stage("invalid", Shown.printable(problem.description, limit: 400))
    }
    if survey.problemCount > UInt64(Self.shown) {
      screen.stage(
        "invalid", "and \(Shown.number(survey.problemCount - UInt64(Self.shown))) more; --json lists up to 1,000")
    }
  }
}

/// What was verified before sealing.
struct PreparedReport {
  let screen: Screen

  func show(_ prepared: PreparedSubmission) {
    let policy = prepared.policy
    let announcement = prepared.announcement
    let image = announcement.attested.attestation.image?.name ?? "?"
    screen.stage(
      "policy",
      "version \(policy.claims.version), until \(Timestamps.text(policy.claims.notAfterMs)), lists you as \(Shown.printable(prepared.submitter.name))"
    )
    screen.stage(
      "sealing key",
      "epoch \(announcement.claims.epoch), made in image \(Shown.printable(image)) and announced \(Timestamps.text(announcement.timeMs)), until \(Timestamps.text(announcement.claims.notAfterMs))"
    )
    screen.stage(
      "model",
      "\(Shown.printable(prepared.model.claims.name)) by \(Shown.printable(prepared.model.publisher)), \(prepared.model.digest.hex.prefix(16))…"
    )
    let (asked, model) = (prepared.requestedPrecision, prepared.model.claims)
    screen.stage("precision", prepared.precision + (asked == prepared.precision ? "" : ", by \(asked)"))
    if prepared.precision == "int8", !model.isInt8Accurate {
      screen.note(
        model.isCalibrated
          ? "the model's int8 did not pass its accuracy check: results may be further from fp32 than 0.999 · 0.997"
          : "the model was published without a calibration of int8: results are further from fp32")
    }
    screen.line(
      .object([
        ("event", .text("verified")), ("policy_version", .unsigned(policy.claims.version)),
        ("policy_digest", .text(policy.digest.hex)), ("epoch", .unsigned(announcement.claims.epoch)),
        ("image", .text(image)), ("model", .text(prepared.model.digest.hex)),
        ("precision", .text(prepared.precision)), ("precision_requested", .text(asked)),
        ("evidence_class", .text(announcement.evidenceClass.rawValue)),
      ]))
  }
}
