/// Reads a GGUF file as its bytes arrive, in pieces of any length: header first, then each tensor's bytes in their order.
///
/// Of the file itself there is never more in memory than its header and one piece.
package final class GGUFStream {
  /// Takes what a stream reads. An error ends the reading, and is the stream's.
  package protocol Receiver: AnyObject {
    /// Once, before any tensor: the place to check what the model is, and that it fits.
    func begin(_ header: GGUFHeader) throws(ModelError)
    /// The next bytes of a tensor; they are gone after the call.
    func append(_ bytes: UnsafeRawBufferPointer, of tensor: GGUFTensor) throws(ModelError)
    /// The tensor is complete.
    func end(of tensor: GGUFTensor) throws(ModelError)
  }

  private let file: String
  private let fileSize: Int
  private let receiver: any Receiver
  /// The file's beginning, until the header is whole.
  private var beginning: [UInt8] = []
  /// Bytes of it that are worth another look.
  private var nextLook = 4096
  private var header: GGUFHeader?
  /// Bytes of the file that were read.
  private var position = 0
  /// Of the header, the tensor that is due.
  private var tensor = 0

  /// - Parameters:
  ///   - file: the name in its model folder.
  ///   - fileSize: in bytes, as a signed manifest says, or the file system.
  package init(file: String, fileSize: Int, receiver: any Receiver) {
    (self.file, self.fileSize, self.receiver) = (file, fileSize, receiver)
  }

  /// - Throws: `ModelError` for a file that is refused, by the header, by its receiver, or for its length.
  package func append(_ bytes: UnsafeRawBufferPointer) throws(ModelError) {
    guard bytes.count <= fileSize - position - beginning.count else {
      throw ModelError(file, "is longer than \(fileSize) bytes")
    }
    guard header == nil else { return try take(bytes) }
    beginning.append(contentsOf: bytes)
    guard beginning.count >= min(nextLook, fileSize) else { return }
    nextLook = 2 * beginning.count
    try look()
  }

  private func look() throws(ModelError) {
    let (size, name) = (fileSize, file)
    let parsed = beginning.withUnsafeBytes { bytes in
      Result { () throws(ModelError) in try GGUFHeader.parse(bytes, fileSize: size, file: name) }
    }
    guard let header = try parsed.get() else { return }
    try receiver.begin(header)
    self.header = header
    let read = beginning
    beginning = []
    try read.withUnsafeBytes { bytes in Result { () throws(ModelError) in try take(bytes) } }.get()
  }

  /// Bytes from `position` on, some of which may be the header's or padding.
  private func take(_ bytes: UnsafeRawBufferPointer) throws(ModelError) {
    guard let header else { return }
    var rest = bytes[...]
    while !rest.isEmpty, tensor < header.tensors.count {
      let current = header.tensors[tensor]
      let start = header.dataStart + current.offset
      if position < start {
        let skipped = min(rest.count, start - position)
        rest = rest.dropFirst(skipped)
        position += skipped
        continue
      }
      let piece = rest.prefix(start + current.byteCount - position)
      try receiver.append(UnsafeRawBufferPointer(rebasing: piece), of: current)
      rest = rest.dropFirst(piece.count)
      position += piece.count
      if position == start + current.byteCount {
        tensor += 1
        try receiver.end(of: current)
      }
    }
    position += rest.count
  }

  /// - Throws: `ModelError` when the file is not whole.
  package func finish() throws(ModelError) {
    if header == nil { try look() }
    guard let header, position == fileSize, tensor == header.tensors.count else {
      throw ModelError(file, "ends at \(position + beginning.count) of \(fileSize) bytes")
    }
  }
}
