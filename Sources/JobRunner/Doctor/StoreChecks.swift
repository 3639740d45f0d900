import Foundation
import ObjectStore
import Queue
import Wire

/// The object store as the daemon uses it: reached, written under a condition that one writer wins, its clock.
struct StoreChecks {
  let store: any ObjectStore
  private static let writers = 4
  private static let slightSeconds = 5
  /// S3 refuses a signature that is fifteen minutes off.
  private static let severeSeconds = 300

  func examine() -> [Diagnosis] {
    do {
      _ = try store.list(prefix: StoreLayout.inbox, after: nil, limit: 1)
    } catch {
      return [Self.failure("store", error)]
    }
    return [.ok("store", "\(store.location) answers")] + conditions() + server()
  }

  /// What else an S3 server does of what is needed or liked; nothing for a directory.
  private func server() -> [Diagnosis] {
    guard let server = store as? S3Store else { return [] }
    do {
      return try server.examine().map { finding in
        let (name, remedy) = ("store: \(finding.name)", "docs/operations/stores.md lists servers that do it")
        if finding.isMet { return .ok(name, finding.detail) }
        return finding.isNeeded
          ? .fail(name, finding.detail, meaning: "jobs cannot be kept here safely", remedy: remedy)
          : .warn(name, finding.detail, meaning: "worth having, not needed", remedy: remedy)
      }
    } catch {
      return [Self.failure("store server", error)]
    }
  }

  /// Several writers race for one object; then it is looked at, and removed.
  private func conditions() -> [Diagnosis] {
    let name = "\(StoreLayout.doctor)\(UInt64.random(in: 0 ... .max)).probe"
    do {
      let key = try ObjectKey(name)
      let outcomes = try Lanes.map(Array(0..<Self.writers)) { number in
        try store.put(key, Array("probe \(number)".utf8), .ifAbsent)
      }
      let winners = outcomes.filter { $0 == .written }.count
      var found = [winners == 1 ? oneWinner : noWinner(winners)]
      if let info = try store.head(key) { found.append(clock(info.modified)) }
      do { try store.delete(key) } catch {
        found.append(
          .warn(
            "store probe", "\(name) stays: \(error)", meaning: "a few bytes; nothing reads them",
            remedy: "allow s3:DeleteObject on \(StoreLayout.doctor)*, or remove it yourself"))
      }
      return found
    } catch {
      return [Self.failure("store conditions", error)]
    }
  }

  private var oneWinner: Diagnosis {
    .ok("store conditions", "of \(Self.writers) writers at once one won", meaning: "a job is committed once")
  }

  private func noWinner(_ winners: Int) -> Diagnosis {
    .fail(
      "store conditions", "of \(Self.writers) writers at once \(winners) were told that they won",
      meaning: "the store does not hold to If-None-Match: a job could be committed twice",
      remedy: "use a store that does (AWS S3, or a server that docs/operations/stores.md lists)")
  }

  private func clock(_ modified: Int64) -> Diagnosis {
    let seconds = Int(modified) - Int(Date().timeIntervalSince1970)
    return ClockJudgement.judge("store clock", seconds: seconds, of: "the store", slight: Self.slightSeconds)
  }

  /// What a store's error means, and its own words for what to do.
  static func failure(_ check: String, _ error: any Error) -> Diagnosis {
    guard let error = error as? ObjectStoreError else {
      return .fail(check, "\(error)", remedy: "look at the store's address and at its server")
    }
    let meaning =
      switch error.kind {
      case .denied: "the credentials are taken, but not for this; or they are not taken"
      case .notFound: "there is no such bucket or folder"
      case .retryable, .conflict: "it does not answer as a store, after several tries"
      case .invalid: "it was asked for what it does not have or allow"
      }
    return .fail(check, "\(error.action): \(error.reason)", meaning: meaning, remedy: error.mend)
  }
}

/// How far two clocks may be apart.
enum ClockJudgement {
  private static let severeSeconds = 300

  /// - Parameter seconds: how far the other one is ahead.
  static func judge(_ check: String, seconds: Int, of whose: String, slight: Int) -> Diagnosis {
    let distance = abs(seconds)
    let words =
      distance <= slight ? "within \(slight) s" : "\(distance) s \(seconds > 0 ? "ahead of" : "behind") this host's"
    let remedy = "set this machine's clock (timedatectl set-ntp true; chronyc makestep), and look at the other's"
    if distance > severeSeconds {
      return .fail(
        check, "\(whose)'s clock is \(words)", meaning: "signatures and attestation are refused at such a distance",
        remedy: remedy)
    }
    if distance > slight {
      return .warn(check, "\(whose)'s clock is \(words)", meaning: "one of the two is not kept", remedy: remedy)
    }
    return .ok(check, "\(whose)'s clock is \(words)")
  }
}
