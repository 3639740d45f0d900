/// Takes one weight file as its bytes arrive, in pieces of any length, so that a file is never whole in memory.
///
/// What it makes of the bytes counts once the file has ended and its digest is the one that was signed; until then they
/// are anybody's.
package protocol WeightStream: AnyObject {
  /// - Throws: `ModelError` for a file that is refused; nothing may be appended then.
  func append(_ bytes: UnsafeRawBufferPointer) throws(ModelError)
  /// - Throws: `ModelError` when the file is not whole.
  func finish() throws(ModelError)
}

extension GGUFStream: WeightStream {}
