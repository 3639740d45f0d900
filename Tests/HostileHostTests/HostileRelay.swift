import Foundation
import Synchronization
import Wire

/// A relay between worker and KMS that keeps and changes what passes. It ends with the test process.
final class HostileRelay: Sendable {
  /// What the relay does with a connection.
  enum Play: Sendable {
    /// Passes everything on.
    case honest
    /// Closes at once.
    case hangUp
    /// Says nothing.
    case stall
    /// Answers with these bytes, whatever it is asked.
    case answer([UInt8])
    /// Flips one bit of the byte at this place of what KMS sends.
    case flipFromKMS(Int)
    /// Flips one bit of the byte at this place of what the worker sends.
    case flipFromWorker(Int)
    /// Ends the connection behind so many bytes of what KMS sends.
    case cutFromKMS(Int)
    /// Closes the worker's connection behind its last byte, but before KMS answers.
    case swallowReply
  }

  let endpoint: Endpoint
  private let target: Endpoint
  private let listener: Listener
  private let play = Mutex(Play.honest)
  private let seen = Mutex((fromWorker: [UInt8](), fromKMS: [UInt8]()))

  init(at path: String, to target: Endpoint) throws {
    endpoint = try Endpoint("unix:\(path)")
    self.target = target
    listener = try Listener(endpoint)
    Thread.detachNewThread { [self] in
      while let channel = try? listener.accept() { Thread.detachNewThread { self.serve(channel) } }
    }
  }

  /// Changes what it does with connections from now on, and forgets what it has seen.
  func set(_ play: Play) {
    self.play.withLock { $0 = play }
    seen.withLock { $0 = ([], []) }
  }

  /// Everything that passed since the last change, in both directions.
  var recorded: (fromWorker: [UInt8], fromKMS: [UInt8]) { seen.withLock { $0 } }

  func close() { listener.close() }

  private func serve(_ worker: Channel) {
    let play = self.play.withLock { $0 }
    switch play {
    case .hangUp: return
    case .stall:
      while let piece = try? worker.read(upTo: 4096), !piece.isEmpty {}
      return
    case .answer(let bytes):
      _ = try? worker.read(upTo: 4096)
      try? worker.write(bytes)
      while let piece = try? worker.read(upTo: 4096), !piece.isEmpty {}
      return
    default: break
    }
    guard let kms = try? Channel.connect(to: target) else { return }
    Thread.detachNewThread { [self] in
      pump(from: worker, to: kms) { bytes, offset in
        seen.withLock { $0.fromWorker += bytes }
        if case .flipFromWorker(let place) = play { return Self.flip(bytes, offset, place) }
        return bytes
      }
      kms.close()
    }
    pump(from: kms, to: worker) { bytes, offset in
      seen.withLock { $0.fromKMS += bytes }
      switch play {
      case .flipFromKMS(let place): return Self.flip(bytes, offset, place)
      case .cutFromKMS(let place): return offset + bytes.count <= place ? bytes : nil
      // A handshake's first flight is under 4 KB here; what comes later is the session and the reply.
      case .swallowReply: return offset < 1000 ? bytes : nil
      default: return bytes
      }
    }
    worker.close()
    kms.close()
  }

  private func pump(from source: Channel, to sink: Channel, _ change: ([UInt8], Int) -> [UInt8]?) {
    var offset = 0
    while let bytes = try? source.read(upTo: 4096), !bytes.isEmpty {
      guard let changed = change(bytes, offset), (try? sink.write(changed)) != nil else { return }
      offset += bytes.count
    }
  }

  private static func flip(_ bytes: [UInt8], _ offset: Int, _ place: Int) -> [UInt8] {
    bytes.indices.contains(place - offset) ? bytes.flipped(at: place - offset) : bytes
  }
}
