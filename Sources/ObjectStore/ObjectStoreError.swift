/// A refusal or failure of a store, typed by what its caller can decide; the text says which action failed, why, and who
/// can do what about it.
package struct ObjectStoreError: Error, Sendable, CustomStringConvertible {
  /// What a caller can decide.
  package enum Kind: String, Sendable {
    /// There is no such object (or bucket, or directory).
    case notFound
    /// A condition does not hold: the object changed under a reader, or concurrent writers kept colliding.
    case conflict
    /// May succeed later, unchanged: the store's own retries are used up.
    case retryable
    /// The store does not let these credentials or this user do it.
    case denied
    /// Wrong as it was asked, now and later.
    case invalid
  }

  /// Whose move it is.
  package enum Mender: String, Sendable {
    /// The person at this keyboard.
    case you
    /// Whoever runs the store, or decides who may use it.
    case operator_ = "the host's operator"
  }

  package let kind: Kind
  /// What was attempted, with the object's name: `PUT s3://bucket/key`.
  package let action: String
  /// What went wrong.
  package let reason: String
  /// What to do about it.
  package let mend: String
  /// Who does it.
  package let mender: Mender

  /// Whether every request would fail so, whichever object it names: wrong credentials, a wrong region, no bucket.
  package let isOfStore: Bool

  /// - Parameter mender: nil for what goes with the kind: a wrong name or question is yours, a store that refuses or
  ///   fails is its operator's.
  package init(
    _ kind: Kind, _ action: String, _ reason: String, mend: String, by mender: Mender? = nil, isOfStore: Bool = false
  ) {
    self.isOfStore = isOfStore
    self.kind = kind
    self.action = action
    self.reason = reason
    self.mend = mend
    self.mender = mender ?? Self.mender(of: kind)
  }

  private static func mender(of kind: Kind) -> Mender {
    switch kind {
    case .notFound, .invalid: .you
    case .conflict, .retryable, .denied: .operator_
    }
  }

  package var description: String { "\(action): \(reason) (\(mender.rawValue): \(mend))" }
}
