/// Reads a safetensors file as its bytes arrive, in pieces of any length: header first, then each tensor's bytes in their
/// order.
///
/// Of the file itself there is never more in memory than its header and one piece.
package final class SafetensorsStream: WeightStream {
  /// Takes what a stream reads. An error ends the reading, and is the stream's.
  package protocol Receiver: AnyObject {
    /// Once, before any tensor of the file: the place to check what it holds.
    func begin(_ header: SafetensorsHeader) throws(ModelError)
    /// The next bytes of a tensor; they are gone after the call.
    func append(_ bytes: UnsafeRawBufferPointer, of tensor: TensorInfo) throws(ModelError)
    /// The tensor is complete.
    func end(of tensor: TensorInfo) throws(ModelError)
  }

  private let file: String
  private let fileSize: Int
  private let receiver: any Receiver
  /// The file's beginning, until the header is whole.
  private var beginning: [UInt8] = []
  private var header: SafetensorsHeader?
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

  package func append(_ bytes: UnsafeRawBufferPointer) throws(ModelError) {
    guard bytes.count <= fileSize - position - beginning.count else {
      throw ModelError(file, "is longer than \(fileSize) bytes")
    }
    guard header == nil else { return try take(bytes) }
    beginning.append(contentsOf: bytes)
    guard beginning.count >= SafetensorsHeader.prefixLength else { return }
    let total = try SafetensorsHeader.totalLength(prefix: beginning.prefix(SafetensorsHeader.prefixLength), file: file)
    guard beginning.count >= total else {
      guard total <= fileSize else { throw ModelError(file, "ends inside its header") }
      return
    }
    let header = try SafetensorsHeader(parsing: beginning, fileSize: fileSize, file: file)
    try receiver.begin(header)
    self.header = header
    position = total
    try endEmpty()
    let rest = Array(beginning[total...])
    beginning = []
    try rest.withUnsafeBytes { bytes in Result { () throws(ModelError) in try take(bytes) } }.get()
  }

  private func take(_ bytes: UnsafeRawBufferPointer) throws(ModelError) {
    guard let header else { return }
    var rest = bytes[...]
    while !rest.isEmpty, tensor < header.tensors.count {
      let current = header.tensors[tensor]
      let end = header.dataStart + current.offset + current.byteCount
      let piece = rest.prefix(end - position)
      try receiver.append(UnsafeRawBufferPointer(rebasing: piece), of: current)
      rest = rest.dropFirst(piece.count)
      position += piece.count
      if position == end {
        tensor += 1
        try receiver.end(of: current)
        try endEmpty()
      }
    }
  }

  /// Tensors without elements have no bytes to wait for.
  private func endEmpty() throws(ModelError) {
    guard let header else { return }
    while tensor < header.tensors.count, header.tensors[tensor].byteCount == 0 {
      tensor += 1
      try receiver.end(of: header.tensors[tensor - 1])
    }
  }

  package func finish() throws(ModelError) {
    guard let header, position == fileSize, tensor == header.tensors.count else {
      throw ModelError(file, "ends at \(position + beginning.count) of \(fileSize) bytes")
    }
  }
}
