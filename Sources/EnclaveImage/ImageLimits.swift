/// Every bound on the bytes of an image file. They stand apart from `Wire/Limits.swift` because no enclave reads images.
package enum ImageLimits {
  /// Sections of an EIF: the size of the header's two tables.
  package static let sections = 32
  /// A kernel command line (x86: COMMAND_LINE_SIZE is 2,048).
  package static let commandLineBytes = 4 << 10
  /// The metadata section; it is shown whole.
  package static let metadataBytes = 1 << 20
  /// The signature section: a certificate and a COSE_Sign1, each as an array of small numbers.
  package static let signatureBytes = 128 << 10
  /// One file that goes into an image: kernel, init, worker, roots.
  package static let inputBytes = 256 << 20
  /// Certificates of KMS; the worker's own bound on a file of its image directory.
  package static let rootsBytes = 1 << 20
  /// A name in a ramdisk, without its NUL; Linux's PATH_MAX.
  package static let nameBytes = 4096
  /// Entries that are listed of one image, over all ramdisks.
  package static let entries = 1 << 18
  /// Bytes of all names that are listed of one image.
  package static let allNamesBytes = 32 << 20
  /// What one compressed ramdisk may hold.
  package static let inflatedBytes: UInt64 = 4 << 30
  /// Read from a file at a time.
  package static let chunkBytes = 1 << 20
}
