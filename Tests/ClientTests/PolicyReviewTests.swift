import Foundation
import SealedCrypto
import Testing
import Wire

@testable import Client

/// What the security officer is told before he signs.
@Suite("Policies before they are signed")
struct PolicyReviewTests {
  private static let dayMs: UInt64 = 86_400_000
  private static let submitter = try? SigningKey.generate().verifyingKey
  private static let publisher = try? SigningKey.generate().verifyingKey
  private static let recipient = try? HybridIdentity.generate().recipient.publicKey

  private static func image(_ name: String, _ byte: UInt8) -> MeasurementTuple {
    let pcr = [UInt8](repeating: byte, count: 48)
    return MeasurementTuple(name: name, pcr0: pcr, pcr1: pcr, pcr2: pcr, pcr8: nil)
  }

  /// A policy that the linter has nothing to say about.
  private func good(_ change: (inout PolicyClaims) throws -> Void = { _ in }) throws -> PolicyClaims {
    let key = try #require(Self.submitter)
    var claims = PolicyClaims(
      version: 3, issuedMs: Desk.nowMs, notAfterMs: Desk.nowMs + 90 * Self.dayMs,
      measurements: [Self.image("one", 1)], epochKey: TestEnclave.epochKey, minimumEpoch: 4,
      epochValidityMs: 7 * Self.dayMs, epochGraceMs: 2 * Self.dayMs,
      submitters: [
        PolicySubmitter(name: "a", key: key, operations: ["embed"], models: [BundleDigest.of([1])])
      ],
      publishers: [
        PolicyPublisher(name: "p", key: try #require(Self.publisher), modelKey: TestEnclave.modelKey)
      ],
      formats: ["safetensors"], dtypes: ["F32"], maximumItems: 1000, maximumInputBytes: 1 << 20,
      recoveryRecipients: [try #require(Self.recipient)], requireHybridTLS: true, useFIPSEndpoint: false)
    try change(&claims)
    return claims
  }

  private func findings(_ change: (inout PolicyClaims) throws -> Void) throws -> [PolicyFinding] {
    PolicyLint.findings(try good(change), unexplained: ["one", "two"], previous: try previous(), nowMs: Desk.nowMs)
  }

  private func previous() throws -> PolicyClaims { try good { ($0.version, $0.minimumEpoch) = (2, 4) } }

  @Test("nothing is said of a policy that is in order")
  func clean() throws {
    #expect(try findings { _ in } == [])
  }

  @Test("each risk is named by its key of the file, and what nobody would accept is an error")
  func risks() throws {
    let cases: [(place: String, weight: PolicyFinding.Weight, change: (inout PolicyClaims) throws -> Void)] = [
      ("version", .error, { $0.version = 2 }),
      ("minimum_epoch", .warning, { $0.minimumEpoch = 3 }),
      ("epoch_key", .warning, { $0.epochKey = TestEnclave.modelKey }),
      ("not_after", .error, { $0.notAfterMs = Desk.nowMs }),
      ("not_after", .warning, { $0.notAfterMs = Desk.nowMs + 6 * Self.dayMs }),
      ("not_after", .warning, { $0.notAfterMs = Desk.nowMs + 500 * Self.dayMs }),
      ("measurements", .warning, { $0.measurements.append(Self.image("two", 2)) }),
      ("measurements", .warning, { $0.measurements.append(Self.image("again", 1)) }),
      ("measurements", .warning, { $0.measurements = [Self.image("x", 1), Self.image("x", 2)] }),
      ("submitters", .warning, { $0.submitters = [] }),
      (
        "submitters", .warning,
        { claims in
          claims.submitters = claims.submitters.map {
            PolicySubmitter(name: $0.name, key: $0.key, operations: $0.operations, models: [])
          }
        }
      ),
      (
        "submitters", .warning,
        { claims in
          claims.submitters = claims.submitters.map {
            PolicySubmitter(name: $0.name, key: $0.key, operations: ["embed", "translate"], models: $0.models)
          }
        }
      ),
      ("publishers", .warning, { $0.publishers = [] }),
      (
        "publishers", .warning,
        { claims in
          claims.publishers = [
            PolicyPublisher(name: "p", key: claims.submitters[0].key, modelKey: TestEnclave.modelKey)
          ]
        }
      ),
      ("recovery_recipients", .warning, { $0.recoveryRecipients = [] }),
      ("recovery_recipients", .error, { $0.recoveryRecipients = [[UInt8](repeating: 0xFF, count: 1216)] }),
      ("epoch_validity_hours", .warning, { $0.epochValidityMs = 60 * Self.dayMs }),
      ("epoch_validity_hours", .warning, { ($0.epochValidityMs, $0.epochGraceMs) = (60_000, 60_000) }),
      ("epoch_grace_hours", .warning, { $0.epochGraceMs = 8 * Self.dayMs }),
      ("formats", .error, { $0.formats = [] }), ("dtypes", .error, { $0.dtypes = [] }),
      ("maximum_items", .warning, { $0.maximumItems = 0 }),
      ("require_hybrid_tls", .warning, { $0.requireHybridTLS = false }),
    ]
    for (index, (place, weight, change)) in cases.enumerated() {
      let found = try findings(change)
      #expect(found.contains { $0.place == place && $0.weight == weight }, "case \(index): \(found)")
    }
  }

  @Test("a second image with a note is no risk")
  func explained() throws {
    let claims = try good { $0.measurements.append(Self.image("two", 2)) }
    #expect(PolicyLint.findings(claims, unexplained: [], nowMs: Desk.nowMs) == [])
  }

  @Test("a diff says what widens, what narrows and what merely changes; the same rules under a new version are none")
  func diff() throws {
    let old = try good()
    func change(_ change: (inout PolicyClaims) throws -> Void) throws -> [String] {
      var new = old
      new.version += 1
      try change(&new)
      return PolicyDiff(from: old, to: new).changes.map { "\($0.direction.rawValue): \($0.text)" }
    }
    #expect(try change { _ in } == [])
    #expect(try change { $0.version = 3 }.first?.hasPrefix("changes: version 3 is not above 3") == true)
    #expect(try change { $0.minimumEpoch = 9 } == ["narrows: minimum epoch 4 → 9: older ones are revoked"])
    #expect(try change { $0.minimumEpoch = 1 } == ["widens: minimum epoch 4 → 1: revoked ones are permitted again"])
    #expect(try change { $0.measurements = [Self.image("one", 1), Self.image("two", 2)] }.count == 1)
    let mixed = try change { claims in
      let one = claims.measurements[0]
      claims.measurements = [
        MeasurementTuple(name: "one", pcr0: one.pcr0, pcr1: one.pcr1, pcr2: Self.image("x", 7).pcr2, pcr8: nil)
      ]
    }
    #expect(mixed.map { $0.prefix(7) } == ["widens:", "narrows"], "an image is its whole tuple")
    #expect(try change { $0.submitters = [] }.first?.hasPrefix("narrows: submitter a") == true)
    let model = try change { claims in
      claims.submitters = claims.submitters.map {
        PolicySubmitter(name: $0.name, key: $0.key, operations: $0.operations, models: [BundleDigest.of([2])])
      }
    }
    #expect(model.map { $0.prefix(7) } == ["widens:", "narrows"])
    #expect(try change { $0.recoveryRecipients = [] }.first?.hasPrefix("narrows: recovery recipient") == true)
    #expect(try change { $0.requireHybridTLS = false }.first?.hasPrefix("widens") == true)
    #expect(try change { $0.epochKey = TestEnclave.modelKey }.first?.hasPrefix("changes: epoch key") == true)
    let later = try change { $0.notAfterMs += 1000 }
    #expect(later.first?.hasPrefix("widens: valid until") == true)
    #expect(PolicyDiff(from: old, to: try good { ($0.version, $0.maximumItems) = (4, 1) }).needsThought == false)
  }

  @Test("the template of `policy init` has every key that is known and no other, and is a policy once it is filled in")
  func template() throws {
    let key = Hex.encode(try #require(Self.submitter).bytes)
    let filled = PolicyTemplate.yaml.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
      let line = String(line)
      if line.contains("pcr") { return line.replacing("…", with: String(repeating: "a1", count: 48)) }
      return line.contains("models:")
        ? line.replacing("…", with: String(repeating: "0b", count: 32)) : line.replacing("\"…\"", with: "\"\(key)\"")
    }
    let (claims, unexplained) = try PolicySource.read(
      Array(filled.joined(separator: "\n").utf8), file: "policy.yaml", nowMs: Desk.nowMs)
    #expect(claims.version == 1 && unexplained.isEmpty)
    #expect(claims.maximumItems == UInt64(Limits.itemsPerJob) && claims.maximumInputBytes == Limits.inputBytes)
    let found = PolicyLint.findings(claims, unexplained: unexplained, nowMs: Desk.nowMs)
    #expect(Set(found.map(\.place)) == ["publishers", "recovery_recipients"], "the one key stands in for two here")
    let unfilled = clientError {
      _ = try PolicySource.read(Array(PolicyTemplate.yaml.utf8), file: "policy.yaml", nowMs: Desk.nowMs)
    }
    #expect(unfilled?.reason.contains("pcr0") == true, "what is … is asked for")
  }

  @Test("unknown keys come first, all of a mapping at once, in lists too")
  func unknownKeys() {
    func refusal(_ text: String) -> String? {
      clientError { _ = try PolicySource.read(Array(text.utf8), file: "p.yaml", nowMs: Desk.nowMs) }?.reason
    }
    #expect(refusal("version: x\ncolour: red\nminimum_epochs: 3")?.contains("`colour` and `minimum_epochs`") == true)
    let nested = "version: x\nsubmitters:\n  - {name: a, model: []}"
    #expect(refusal(nested)?.contains("`model` is not known here") == true, "\(refusal(nested) ?? "")")
  }
}
