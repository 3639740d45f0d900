import SealedCrypto
import Wire

/// One difference between two policies, by what it does to the trust that is given.
package struct PolicyChange: Sendable, Equatable {
  package enum Direction: String, Sendable {
    /// Somebody or something may more than before.
    case widens
    /// Somebody or something may less.
    case narrows
    /// Neither, or it cannot be said.
    case changes
  }

  package let direction: Direction
  /// A sentence for a reviewer.
  package let text: String
}

/// Says in words what a new policy changes.
package struct PolicyDiff {
  /// In the order of the policy's fields.
  package private(set) var changes: [PolicyChange] = []

  /// Whether any change has to be thought about before signing: all but those that narrow.
  package var needsThought: Bool { changes.contains { $0.direction != .narrows } }

  package init(from old: PolicyClaims, to new: PolicyClaims) {
    if new.version <= old.version {
      add(.changes, "version \(new.version) is not above \(old.version): clients and workers would refuse it")
    }
    limit("valid until", old.notAfterMs, new.notAfterMs, Timestamps.text)
    images(old.measurements, new.measurements)
    if new.epochKey != old.epochKey { add(.changes, "epoch key \(old.epochKey) is replaced by \(new.epochKey)") }
    if new.minimumEpoch != old.minimumEpoch {
      let revokes = new.minimumEpoch > old.minimumEpoch
      add(
        revokes ? .narrows : .widens,
        "minimum epoch \(old.minimumEpoch) → \(new.minimumEpoch): "
          + (revokes ? "older ones are revoked" : "revoked ones are permitted again"))
    }
    limit("epochs are valid for", old.epochValidityMs, new.epochValidityMs, Self.hours)
    limit("ended epochs open for", old.epochGraceMs, new.epochGraceMs, Self.hours)
    submitters(old.submitters, new.submitters)
    publishers(old.publishers, new.publishers)
    set("weight format", old.formats, new.formats) { $0 }
    set("weight type", old.dtypes, new.dtypes) { $0 }
    precisions(old, new)
    limit("items of a job", old.maximumItems, new.maximumItems) { "\($0)" }
    limit("bytes of a job's input", old.maximumInputBytes, new.maximumInputBytes) { "\($0)" }
    set("recovery recipient, who reads every result:", old.recoveryRecipients, new.recoveryRecipients) { key in
      ((try? HybridRecipient(publicKey: key))?.description).map { String($0.prefix(24)) + "…" } ?? "unusable"
    }
    if new.requireHybridTLS != old.requireHybridTLS {
      add(
        new.requireHybridTLS ? .narrows : .widens,
        "the hybrid key exchange with KMS is \(new.requireHybridTLS ? "required" : "no longer required")")
    }
    if new.useFIPSEndpoint != old.useFIPSEndpoint {
      add(.changes, "KMS is reached at its \(new.useFIPSEndpoint ? "FIPS" : "standard") endpoint")
    }
  }

  private mutating func add(_ direction: PolicyChange.Direction, _ text: String) {
    changes.append(PolicyChange(direction: direction, text: text))
  }

  private mutating func limit(_ what: String, _ old: UInt64, _ new: UInt64, _ shown: (UInt64) -> String) {
    guard old != new else { return }
    add(new > old ? .widens : .narrows, "\(what) \(shown(old)) → \(shown(new))")
  }

  private mutating func set<Value: Hashable>(
    _ what: String, _ old: [Value], _ new: [Value], _ shown: (Value) -> String
  ) {
    for value in new where !old.contains(value) { add(.widens, "\(what) \(shown(value)) is added") }
    for value in old where !new.contains(value) { add(.narrows, "\(what) \(shown(value)) is removed") }
  }

  /// Without a list all are permitted.
  private mutating func precisions(_ old: PolicyClaims, _ new: PolicyClaims) {
    set("precision", old.precisions ?? JobPrecision.computed, new.precisions ?? JobPrecision.computed) { $0 }
    for model in Set(old.modelPrecisions.map(\.model) + new.modelPrecisions.map(\.model)).sorted(by: { $0.hex < $1.hex }
    ) {
      set(
        "model \(model.hex.prefix(16))…: precision", old.permittedPrecisions(of: model),
        new.permittedPrecisions(of: model)
      ) { $0 }
    }
  }

  /// Images are compared as whole tuples: one with another PCR is another image.
  private mutating func images(_ old: [MeasurementTuple], _ new: [MeasurementTuple]) {
    func registers(_ image: MeasurementTuple) -> [[UInt8]?] { [image.pcr0, image.pcr1, image.pcr2, image.pcr8] }
    func shown(_ image: MeasurementTuple) -> String { "\(image.name) (PCR0 \(Hex.encode(image.pcr0.prefix(8)))…)" }
    for image in new {
      guard let before = old.first(where: { registers($0) == registers(image) }) else {
        add(.widens, "image \(shown(image)) is trusted")
        continue
      }
      if before.name != image.name { add(.changes, "image \(shown(before)) is now called \(image.name)") }
    }
    for image in old where !new.contains(where: { registers($0) == registers(image) }) {
      add(.narrows, "image \(shown(image)) is no longer trusted")
    }
  }

  private mutating func submitters(_ old: [PolicySubmitter], _ new: [PolicySubmitter]) {
    func shown(_ submitter: PolicySubmitter) -> String {
      "\(submitter.name) (key \(Hex.encode(submitter.key.bytes.prefix(8)))…)"
    }
    for submitter in new {
      guard let before = old.first(where: { $0.key == submitter.key }) else {
        add(
          .widens,
          "submitter \(shown(submitter)) may \(submitter.operations.joined(separator: ", ")) with "
            + "\(submitter.models.count) models")
        continue
      }
      if before.name != submitter.name { add(.changes, "submitter \(shown(before)) is now called \(submitter.name)") }
      set("submitter \(submitter.name): operation", before.operations, submitter.operations) { $0 }
      set("submitter \(submitter.name): model", before.models, submitter.models) { $0.hex.prefix(16) + "…" }
    }
    for submitter in old where !new.contains(where: { $0.key == submitter.key }) {
      add(.narrows, "submitter \(shown(submitter)) may nothing any more")
    }
  }

  private mutating func publishers(_ old: [PolicyPublisher], _ new: [PolicyPublisher]) {
    func shown(_ publisher: PolicyPublisher) -> String {
      "\(publisher.name) (key \(Hex.encode(publisher.key.bytes.prefix(8)))…)"
    }
    for publisher in new {
      guard let before = old.first(where: { $0.key == publisher.key }) else {
        add(.widens, "publisher \(shown(publisher)) is trusted with \(publisher.modelKey)")
        continue
      }
      if before.name != publisher.name { add(.changes, "publisher \(shown(before)) is now called \(publisher.name)") }
      if before.modelKey != publisher.modelKey {
        add(.changes, "publisher \(publisher.name): model key \(before.modelKey) → \(publisher.modelKey)")
      }
    }
    for publisher in old where !new.contains(where: { $0.key == publisher.key }) {
      add(.narrows, "publisher \(shown(publisher)) is no longer trusted")
    }
  }

  private static func hours(_ milliseconds: UInt64) -> String { "\(milliseconds / 3_600_000) h" }
}
