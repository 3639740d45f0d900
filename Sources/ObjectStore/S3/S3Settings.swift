/// How an S3 store moves bytes. Memory of a store is at most `lanes` parts, and for each open writer one part, for each
/// open reader four windows.
package struct S3Settings: Sendable {
  /// Of an upload in parts; S3 takes 5 MiB to 5 GiB, the last may be smaller.
  package var partBytes = 8 << 20
  /// S3's limit; with it an object has at most 80 GiB.
  package var partLimit = 10_000
  /// Of one ranged request.
  package var windowBytes: UInt64 = 8 << 20
  /// Transfers beside their callers' own, over all readers and writers of the store.
  package var lanes = 4
  /// A transfer of less than a kilobyte a second for so long is given up.
  package var stalledSeconds = 60
  /// Whether a server that is not AWS is asked, before the first conditional write, if it holds to conditions at all.
  package var testsConditions = true

  package init() {}
}
