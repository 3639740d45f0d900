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

  package let kind: Kind
  /// What was attempted, with the object's name: `PUT s3://bucket/key`.
  package let action: String
  /// What went wrong.
  package let reason: String
  /// What to do about it, and whose move it is.
  package let mend: String

  package init(_ kind: Kind, _ action: String, _ reason: String, mend: String) {
    self.kind = kind
    self.action = action
    self.reason = reason
    self.mend = mend
  }

  package var description: String { "\(action): \(reason) (\(mend))" }
}
