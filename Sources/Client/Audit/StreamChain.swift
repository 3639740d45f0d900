import SealedCrypto
import Wire

/// Whether an audit knows a stream's last number.
package enum StreamTail: Sendable, Equatable {
  /// By the submitter's own ledger.
  case ledger
  /// By a head that the submitter signed then, milliseconds since 1970.
  case head(issuedMs: UInt64)
  /// By nothing: what came after the last receipt may have been left out.
  case notProven
}

/// What an audit says of one stream.
package struct StreamSummary: Sendable {
  package let key: StreamKey
  /// Where the ledger or an opened manifest tells it.
  package let name: String?
  package let receipts: Int
  /// The highest number that is known.
  package let last: UInt64
  package let missing: UInt64
  package let voided: Int
  package let tail: StreamTail
}

/// The chain of one stream (protocol §7): numbers from 1 without gaps, each naming the manifest before it.
struct StreamChain {
  let key: StreamKey
  let records: [AuditRecord]
  let ledger: LedgerStream?
  /// The stream's heads by their numbers.
  let heads: [StreamHeadClaims]
  /// Voided by manifests that were opened.
  let voidedByManifests: Set<UInt64>
  let name: String?
  /// Jobs with a receipt that binds no manifest.
  let unbound: Set<JobName>
  let asOfMs: UInt64

  private var voided: Set<UInt64> {
    voidedByManifests.union(ledger?.voided ?? []).union(heads.flatMap(\.voided))
  }

  /// The head that says most.
  private var head: StreamHeadClaims? { heads.last }

  /// Judges the stream.
  func examine(_ findings: inout AuditFindings) -> StreamSummary {
    let voided = voided
    let places = records.compactMap { record in record.stream.map { (record, $0) } }
      .sorted { ($0.1.sequence, $0.0.receipt, $0.0.place) < ($1.1.sequence, $1.0.receipt, $1.0.place) }
    let expected = Dictionary(
      (ledger?.entries ?? []).map { ($0.record.stream.sequence, $0) }, uniquingKeysWith: { first, _ in first })
    var missing: UInt64 = 0
    var last: UInt64 = 0
    var before: Set<ContentDigest> = []
    var start = places.startIndex
    while start < places.endIndex {
      let number = places[start].1.sequence
      let end = places[start...].firstIndex { $0.1.sequence != number } ?? places.endIndex
      let group = places[start..<end]
      if number > last + 1 { missing += gap(last + 1...number - 1, expected, voided, &findings) }
      examine(number, group.map(\.0), expected[number], voided, &findings)
      if number > last + 1 { before = manifests(of: number - 1, expected) }
      for (record, place) in group where number > 1 && !before.isEmpty {
        guard place.previous.map({ !before.contains($0) }) ?? true else { continue }
        add(
          .order, "it names another manifest as number \(number - 1) than the one that is there", number, record.place,
          &findings)
      }
      before = Set(group.map(\.1.manifest))
      last = number
      start = end
    }
    let known = max(last, ledger?.entries.last?.record.stream.sequence ?? 0, head?.sequence ?? 0)
    if known > last { missing += gap(last + 1...known, expected, voided, &findings) }
    for (index, head) in heads.enumerated() {
      let others = heads[..<index].filter { $0.sequence == head.sequence }.map(\.manifest)
      let known = others + (expected[head.sequence].map { [$0.record.manifest] } ?? [])
      guard known.contains(where: { $0 != head.manifest }) else { continue }
      add(
        .fork, "a head names another manifest of this number than the ledger or another head", head.sequence, nil,
        &findings)
    }
    let isBeyond = ledger == nil && head.map { last > $0.sequence } ?? false
    if isBeyond, let head {
      let detail = "newer than the head, which was signed at number \(head.sequence); the tail behind it is not proven"
      findings.add(AuditFinding(.beyondHead, detail, stream: key, numbers: head.sequence + 1...last))
    }
    let tail: StreamTail =
      ledger != nil ? .ledger : isBeyond ? .notProven : head.map { .head(issuedMs: $0.issuedMs) } ?? .notProven
    return StreamSummary(
      key: key, name: ledger?.name ?? name, receipts: places.count, last: known, missing: missing,
      voided: voided.count, tail: tail)
  }

  /// The manifest of a number without a receipt, where something signed tells it.
  private func manifests(of number: UInt64, _ expected: [UInt64: LedgerEntry]) -> Set<ContentDigest> {
    if let entry = expected[number] { return [entry.record.manifest] }
    return Set(heads.filter { $0.sequence == number }.map(\.manifest))
  }

  /// One number's receipts.
  private func examine(
    _ number: UInt64, _ group: [AuditRecord], _ entry: LedgerEntry?, _ voided: Set<UInt64>,
    _ findings: inout AuditFindings
  ) {
    let manifests = Set(group.compactMap(\.stream?.manifest))
    let places = group.map(\.place).prefix(4).joined(separator: ", ")
    if manifests.count > 1 {
      add(.fork, "\(manifests.count) manifests have this number: \(places)", number, nil, &findings)
    }
    for manifest in manifests.sorted() {
      if let entry, entry.record.manifest != manifest {
        add(.fork, "the ledger has another manifest of this number: \(places)", number, nil, &findings)
      } else if entry == nil, ledger != nil {
        add(.fork, "the ledger has no such number: another machine went on with it: \(places)", number, nil, &findings)
      } else if heads.contains(where: { $0.sequence == number && $0.manifest != manifest }) {
        add(.fork, "the head names another manifest of this number: \(places)", number, nil, &findings)
      }
      let same = group.filter { $0.stream?.manifest == manifest }
      if Set(same.map(\.job)).count > 1 {
        add(.duplicate, "one manifest in \(Set(same.map(\.job)).count) bundles: \(places)", number, nil, &findings)
      }
      if same.count > 1 { add(.retry, "run \(same.count) times: \(places)", number, nil, &findings) }
    }
    if voided.contains(number) {
      add(.voided, "its submitter had voided it: \(places)", number, group.first?.place, &findings)
    } else if let reason = Self.incompleteness(group) {
      add(.outcome, "\(reason): \(places)", number, nil, &findings)
    }
  }

  /// Why a number's receipts do not say that all its documents have results; nil when one says so.
  private static func incompleteness(_ group: [AuditRecord]) -> String? {
    let committed = group.filter { $0.isCommitted != false }
    if committed.isEmpty { return "none of its attempts was committed" }
    if committed.contains(where: { $0.outcome == .completed && $0.failedItems == 0 }) { return nil }
    guard let best = committed.first(where: { $0.outcome == .completed || $0.outcome == .partial }) else {
      return "\(committed[0].outcome.rawValue), without results"
    }
    return "\(best.failedItems) of \(best.items) items have no result"
  }

  /// Numbers without a receipt; returns how many are missing and not void.
  private func gap(
    _ range: ClosedRange<UInt64>, _ expected: [UInt64: LedgerEntry], _ voided: Set<UInt64>,
    _ findings: inout AuditFindings
  ) -> UInt64 {
    var missing: UInt64 = 0
    var start = range.lowerBound
    // The void numbers, and those of which the ledger tells something else, cut the gap into pieces.
    let special = Set(voided.filter { range.contains($0) }).union(expected.keys.filter { range.contains($0) }).sorted()
    func close(_ end: UInt64) {
      guard start <= end else { return }
      let detail = start == end ? "no receipt" : "no receipts of \(end - start + 1) numbers"
      findings.add(AuditFinding(.gap, detail, stream: key, numbers: start...end))
      missing += end - start + 1
    }
    for number in special {
      if !voided.contains(number), let entry = expected[number], isMissing(entry) { continue }
      if number > range.lowerBound { close(number - 1) }
      start = number + 1
      guard !voided.contains(number), let entry = expected[number] else { continue }
      if unbound.contains(entry.record.job) {
        add(.outcome, "its job ended before its manifest verified, without results", number, nil, &findings)
      } else {
        let until = Timestamps.text(entry.record.notAfterMs)
        add(.pending, "no receipt yet; it may begin to run until \(until)", number, nil, &findings)
      }
    }
    close(range.upperBound)
    return missing
  }

  private func isMissing(_ entry: LedgerEntry) -> Bool {
    !unbound.contains(entry.record.job) && entry.record.notAfterMs <= asOfMs
  }

  private func add(
    _ kind: AuditFinding.Kind, _ detail: String, _ number: UInt64, _ place: String?, _ findings: inout AuditFindings
  ) { findings.add(AuditFinding(kind, detail, stream: key, numbers: number...number, place: place)) }
}
