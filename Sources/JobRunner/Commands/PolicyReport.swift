import Client
import Crypto
import SealedCrypto
import Wire

/// A policy on the screen.
struct PolicyReport {
  let screen: Screen

  func show(_ signed: Signed<PolicyClaims>) {
    let claims = signed.claims
    screen.line(
      .object([
        ("version", .unsigned(claims.version)), ("digest", .text(signed.digest.hex)), ("pcr16", .text(pcr16(signed))),
        ("signer", .text(Hex.encode(signed.signer.bytes))), ("issued", .text(Timestamps.text(claims.issuedMs))),
        ("not_after", .text(Timestamps.text(claims.notAfterMs))), ("epoch_key", .text(claims.epochKey)),
        ("minimum_epoch", .unsigned(claims.minimumEpoch)),
        ("epoch_validity_hours", .unsigned(claims.epochValidityMs / 3_600_000)),
        ("epoch_grace_hours", .unsigned(claims.epochGraceMs / 3_600_000)),
        ("measurements", .array(claims.measurements.map(measurement))),
        ("formats", .array(claims.formats.map { .text($0) })), ("dtypes", .array(claims.dtypes.map { .text($0) })),
        ("precisions", .array((claims.precisions ?? JobPrecision.computed).map { .text($0) })),
        (
          "model_precisions",
          .array(
            claims.modelPrecisions.map {
              .object([("model", .text($0.model.hex)), ("precisions", .array($0.precisions.map { .text($0) }))])
            })
        ),
        ("maximum_items", .unsigned(claims.maximumItems)),
        ("maximum_input_bytes", .unsigned(claims.maximumInputBytes)),
        ("recovery_recipients", .array(claims.recoveryRecipients.map { .text(recipient($0)) })),
        ("require_hybrid_tls", .bool(claims.requireHybridTLS)), ("fips_endpoint", .bool(claims.useFIPSEndpoint)),
        (
          "submitters",
          .array(
            claims.submitters.map {
              .object([
                ("name", .text($0.name)), ("key", .text(Hex.encode($0.key.bytes))),
                ("operations", .array($0.operations.map { .text($0) })),
                ("models", .array($0.models.map { .text($0.hex) })),
              ])
            })
        ),
        (
          "publishers",
          .array(
            claims.publishers.map {
              .object([
                ("name", .text($0.name)), ("key", .text(Hex.encode($0.key.bytes))), ("model_key", .text($0.modelKey)),
              ])
            })
        ),
      ]))
    screen.out(
      "version      \(claims.version), \(Timestamps.text(claims.issuedMs)) to \(Timestamps.text(claims.notAfterMs))")
    screen.out("digest       \(signed.digest.hex)")
    screen.out("PCR16        \(pcr16(signed)) where an image pins it")
    screen.out("signed by    \(Hex.encode(signed.signer.bytes))")
    for image in claims.measurements {
      screen.out("image        \(Shown.printable(image.name)), PCR0 \(Hex.encode(image.pcr0.prefix(12)))…")
    }
    screen.out("epoch key    \(claims.epochKey)")
    screen.out(
      "epochs       from \(claims.minimumEpoch), valid \(claims.epochValidityMs / 3_600_000) h, opened \(claims.epochGraceMs / 3_600_000) h longer"
    )
    for submitter in claims.submitters {
      screen.out(
        "submitter    \(Shown.printable(submitter.name)), key \(Hex.encode(submitter.key.bytes.prefix(8)))…: \(submitter.operations.joined(separator: ", ")) with \(Shown.count(UInt64(submitter.models.count), "model"))"
      )
    }
    for publisher in claims.publishers {
      screen.out(
        "publisher    \(Shown.printable(publisher.name)), key \(Hex.encode(publisher.key.bytes.prefix(8)))…, \(publisher.modelKey)"
      )
    }
    for recipient in claims.recoveryRecipients {
      screen.out("recovery     \(self.recipient(recipient))")
    }
    screen.out(
      "models       \(claims.formats.joined(separator: ", ")) of \(claims.dtypes.joined(separator: ", "))")
    screen.out("precisions   \((claims.precisions ?? JobPrecision.computed).joined(separator: ", "))")
    for entry in claims.modelPrecisions {
      screen.out("             \(entry.model.hex.prefix(16))…: \(entry.precisions.joined(separator: ", "))")
    }
    screen.out(
      "job          at most \(Shown.count(claims.maximumItems, "item")), \(Shown.bytes(claims.maximumInputBytes))")
    screen.out(
      "KMS          \(claims.requireHybridTLS ? "hybrid key exchange required" : "any TLS 1.3 key exchange")\(claims.useFIPSEndpoint ? ", FIPS endpoint" : "")"
    )
  }

  private func measurement(_ image: MeasurementTuple) -> JSONLine {
    .object([
      ("name", .text(image.name)), ("pcr0", .text(Hex.encode(image.pcr0))), ("pcr1", .text(Hex.encode(image.pcr1))),
      ("pcr2", .text(Hex.encode(image.pcr2))), ("pcr8", .optional(image.pcr8.map { Hex.encode($0) })),
    ])
  }

  private func recipient(_ key: [UInt8]) -> String {
    (try? HybridRecipient(publicKey: key))?.description ?? "unusable recipient"
  }

  /// What PCR16 holds in an enclave whose image pins this policy: for the condition of a KMS key policy.
  private func pcr16(_ signed: Signed<PolicyClaims>) -> String {
    Hex.encode(Array(SHA384.hash(data: [UInt8](repeating: 0, count: 48) + signed.digest.bytes)))
  }
}
