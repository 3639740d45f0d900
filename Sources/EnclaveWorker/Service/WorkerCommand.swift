import CPlatform
import Glibc
import Inference
import Wire

/// `enclave-worker --image DIR --listen ENDPOINT [--model-memory SIZE]`
struct WorkerCommand {
  let image: String
  let endpoint: Endpoint
  let memory: ModelMemory

  /// Connections served at once.
  private static let connections = 64

  static let usage = "usage: enclave-worker --image DIR --listen unix:/path|vsock::PORT [--model-memory 24G]"

  /// - Throws: ``WireError/malformed(_:)`` with what is wrong.
  init(arguments: [String]) throws {
    var values: [String: String] = [:]
    var rest = arguments[...]
    while let name = rest.popFirst() {
      guard ["--image", "--listen", "--model-memory"].contains(name), let value = rest.popFirst(),
        values.updateValue(value, forKey: name) == nil
      else { throw WireError.malformed("arguments") }
    }
    guard let image = values["--image"], let listen = values["--listen"] else { throw WireError.malformed("arguments") }
    let limit = try values["--model-memory"].map { text throws(WireError) in
      guard let bytes = ByteSize.bytes(parsing: text) else { throw WireError.malformed("arguments") }
      return bytes
    }
    memory = ModelMemory(limitBytes: limit)
    self.image = image
    endpoint = try Endpoint(listen)
  }

  /// Starts the worker and serves until the process is told to end.
  func run() throws {
    try EngineKernel.checkEnvironment()
    Termination.block()
    cplatform_tune_allocator()
    cplatform_overwrite_freed_memory()
    signal(SIGPIPE, SIG_IGN)
    let image = try Image(directory: image)
    let worker = Worker(enclave: try Enclave(image: image, module: try image.openModule()), memory: memory)
    let listener = try Listener(endpoint)
    Termination.exit(removing: listener)
    print("enclave-worker ready \(image.evidenceClass.rawValue.uppercased())")
    fflush(nil)
    let places = Places(count: Self.connections)
    while let channel = try listener.accept() {
      // One over the limit is closed by being let go: a host that opens more harms itself alone.
      guard places.take() else { continue }
      let isServed = Thread.start {
        worker.serve(channel)
        places.give()
      }
      if !isServed { places.give() }
    }
  }
}
