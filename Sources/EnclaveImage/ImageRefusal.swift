/// What is wrong with an image, or with what should become one: where, and why. Names places, never content.
package struct ImageRefusal: Error, Equatable, CustomStringConvertible, Sendable {
  /// The part of the file: `header`, `section 2`, `ramdisk 1, byte 512`.
  package let place: String
  /// What is wrong there.
  package let reason: String

  package init(_ place: String, _ reason: String) {
    self.place = place
    self.reason = reason
  }

  package var description: String { "\(place): \(reason)" }
}
