import Attestation

/// Who can put an error right: shown with every refusal.
package enum Mender: String, Sendable, CaseIterable {
  /// The person at this keyboard.
  case you
  /// Whoever runs the daemon and the store.
  case operator_ = "the host's operator"
  /// Whoever signs the policy and hands out trust profiles.
  case securityOfficer = "the security officer"
}

extension Mender {
  /// Who can mend what attestation refused, and what he does.
  package static func of(_ refusal: AttestationRefusal) -> (who: Mender, remedy: String) {
    switch refusal.reason {
    case .measurements:
      (.securityOfficer, "list the running image if it is the right one; else the host must run the right one")
    case .policy: (.securityOfficer, "sign a policy that covers it")
    case .wrongRoot, .evidenceClass:
      (
        .you,
        "use the trust profile for this host's class of evidence; if it is the right one, trust nothing from there"
      )
    case .stale, .epoch, .validity, .notValidAtTime: (.operator_, "announce a new epoch, and check the clocks")
    case .debugMode: (.operator_, "run the enclave without debug mode")
    default: (.operator_, "run a genuine enclave; nothing that came with this should be trusted")
    }
  }
}

/// A refusal or failure of the client, typed by what its caller decides: the exit code of a command.
///
/// `reason` and `remedy` are for people; they name places and keys' public halves, never content and no secret.
package struct ClientError: Error, Equatable, CustomStringConvertible, Sendable {
  /// What a caller can decide. `JobRunner` maps each to one exit code.
  package enum Kind: String, Sendable, CaseIterable {
    /// The command was asked in a way that cannot be done.
    case usage
    /// The documents are not what they should be; nothing was uploaded.
    case input
    /// No such job, key, profile, model or file.
    case notFound
    /// The same command may succeed later, unchanged.
    case retryable
    /// Attestation or policy says no.
    case rejected
    /// A receipt or a sealed file is not what it should be.
    case invalid
    /// A wait ended before the job did.
    case timedOut
    /// The job ended, without results.
    case jobFailed
    /// Anything else: files, permissions.
    case other
  }

  package let kind: Kind
  /// What went wrong, and where.
  package let reason: String
  /// What to do next.
  package let remedy: String
  /// Who does it.
  package let mender: Mender

  package init(_ kind: Kind, _ reason: String, remedy: String, by mender: Mender = .you) {
    self.kind = kind
    self.reason = reason
    self.remedy = remedy
    self.mender = mender
  }

  package var description: String { "\(reason) (\(mender.rawValue): \(remedy))" }
}
