import Inference
import TestSupport
import Testing

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

/// Models that continue texts on their way into the enclave. What becomes of the lines, other suites say.
@Suite("A decoder's files are packed as they arrive, and judged once they are the publisher's", .serialized)
struct DecoderLoadingTests {
  private static let input =
    Array(
      #"{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"model":"tiny","prompt":"ab","max_tokens":4}}"#
        .utf8) + [UInt8(ascii: "\n")]

  private static func world(
    _ decoder: TestDecoder, memory: ModelMemory = ModelMemory(), _ change: (TestWorld) throws -> Void = { _ in }
  ) throws -> TestWorld {
    let world = try TestWorld(decoder: decoder, memory: memory)
    world.policyClaims.formats = ["safetensors", "gguf"]
    world.policyClaims.dtypes = ["F32", "BF16", "Q8_0"]
    try change(world)
    try world.start()
    return world
  }

  private static func run(
    _ world: TestWorld, _ precision: String = "bf16", _ objects: [JobStream: [UInt8]] = [:]
  ) throws -> SeenJob {
    var claims = try world.manifest(for: input, items: 1)
    (claims.precision, claims.inputFormat, claims.encoding) = (precision, .openAI, "float")
    var host = world.host(try world.bundle(claims, input))
    host.objects.merge(objects) { $1 }
    return try host.runJob()
  }

  private static func stream(_ world: TestWorld) -> JobStream {
    .model(world.modelDigest, name: "\(world.decoder?.weights ?? "").age")
  }

  private static func fault(_ world: TestWorld, _ seen: SeenJob) throws -> String {
    try world.items(of: seen).trailer.fault ?? ""
  }

  /// Whether the model was taken: the job went on to its lines.
  private static func isLoaded(_ world: TestWorld, _ seen: SeenJob) throws -> Bool {
    guard seen.code != .retry, seen.code != nil else { return false }
    let fault = try fault(world, seen)
    return !fault.contains("model:") && !fault.contains("manifest") && !fault.contains("policy")
  }

  @Test("from safetensors and from GGUF, once for several jobs", arguments: ["safetensors", "gguf"])
  func loads(format: String) throws {
    let world = try Self.world(format == "gguf" ? .gguf() : .safetensors())
    let first = try Self.run(world)
    #expect(try Self.isLoaded(world, first) && first.pulled.contains(Self.stream(world)))
    #expect(try first.claims().job?.precision == "bf16")
    let second = try Self.run(world, "auto")
    #expect(try Self.isLoaded(world, second) && !second.pulled.contains(Self.stream(world)))
    #expect(try second.claims().job?.precision == "bf16")
  }

  @Test("a precision that is not computed is refused before the weights are asked for")
  func precisions() throws {
    for (decoder, precision) in [
      (try TestDecoder.gguf(), "fp32"), (try .gguf(), "int8"), (.safetensors(), "int8"),
    ] {
      let world = try Self.world(decoder)
      let seen = try Self.run(world, precision)
      #expect(seen.code == .refused && !seen.pulled.contains(Self.stream(world)))
      #expect(try Self.fault(world, seen).contains("not computed in \(precision)"))
    }
  }

  @Test("formats and types that the policy does not name are refused")
  func policy() throws {
    for change: (inout PolicyClaims) -> Void in [
      { $0.formats = ["safetensors"] }, { $0.dtypes = ["F32"] }, { $0.dtypes = ["Q8_0"] },
    ] {
      let world = try Self.world(.gguf()) { change(&$0.policyClaims) }
      #expect(try Self.run(world).code == .refused)
    }
  }

  @Test(
    "bytes that are not the publisher's decide nothing, whatever they hold: they are read to their end, and the job waits"
  )
  func unverified() throws {
    for decoder in [try TestDecoder.gguf(), .safetensors()] {
      let world = try Self.world(decoder)
      let whole = try #require(decoder.files.first { $0.isSealed }?.bytes)
      var (headless, poisoned) = (whole, whole)
      headless.replaceSubrange(0..<8, with: [UInt8](repeating: 0xff, count: 8))
      poisoned.replaceSubrange(whole.count - 4..<whole.count, with: [0, 0, 0xc0, 0x7f])
      for bytes in [headless, poisoned, Array(whole.dropLast()), whole + [0], []] {
        let seen = try Self.run(world, "bf16", [Self.stream(world): try world.sealWeights(bytes)])
        #expect(seen.code == .retry && seen.receipt == nil)
      }
      // What is refused at its first bytes is asked for to the last.
      let sealed = try world.sealWeights(headless)
      let seen = try Self.run(world, "bf16", [Self.stream(world): sealed])
      #expect(seen.pulled.count { $0 == Self.stream(world) } == sealed.count / Limits.chunkBytes + 2)
      #expect(try Self.isLoaded(world, try Self.run(world)))
    }
  }

  @Test("the publisher's own bytes end the job where they are no model, with the reason for the recipients")
  func publishersFault() throws {
    for var decoder in [try TestDecoder.gguf(), .safetensors()] {
      let place = try #require(decoder.files.firstIndex { $0.isSealed })
      let count = decoder.files[place].bytes.count
      // Rounded to BF16, or a block's scale: no number in any case.
      decoder.files[place].bytes.replaceSubrange(count - 68..<count, with: [UInt8](repeating: 0xff, count: 68))
      let world = try Self.world(decoder)
      let seen = try Self.run(world)
      #expect(seen.code == .failed)
      #expect(try Self.fault(world, seen).contains("holds an infinity or a NaN"))
    }
  }

  @Test("claims that the files do not bear out are refused")
  func claims() throws {
    for change: (inout ModelManifestClaims) -> Void in [
      { $0.format = "safetensors" }, { $0.maximumTokens = 257 }, { $0.maximumTokens = 7 }, { $0.dtypes = ["Q8_0"] },
      { $0.architecture = "qwen2" }, { $0.operations = ["generate", "embed"] }, { $0.dimensions = 64 },
    ] {
      let world = try Self.world(.gguf()) { try $0.republish(change) }
      #expect(try Self.run(world).code == .failed)
    }
    let shorter = try Self.world(.gguf()) { try $0.republish { $0.maximumTokens = 100 } }
    #expect(try Self.isLoaded(shorter, try Self.run(shorter)))
  }

  @Test("a model that has no room waits for a worker that has it; a configuration says so before the weights")
  func budget() throws {
    for decoder in [try TestDecoder.gguf(), .safetensors()] {
      for memory in [ModelMemory(limitBytes: 100_000), ModelMemory { 200_000 }] {
        let world = try Self.world(decoder, memory: memory)
        let seen = try Self.run(world)
        #expect(seen.code == .retry && seen.receipt == nil)
        if decoder.format == "safetensors" { #expect(!seen.pulled.contains(Self.stream(world))) }
      }
      let world = try Self.world(decoder, memory: ModelMemory(limitBytes: 256 << 20))
      #expect(try Self.isLoaded(world, try Self.run(world)))
    }
    #expect("\(MemoryShortage(neededBytes: 5 << 30, availableBytes: 3 << 30))".contains("5121 MiB"))
  }

  @Test("a model goes when another needs its room, and not before")
  func eviction() throws {
    let config = try DecoderConfig(files: ModelFiles(TinyDecoder().clearFiles))
    let least = DecoderRoom.leastBytes(DecoderFootprint(config, precision: .fp32))
    for (limit, staysForGood) in [(least + 10_000, false), (256 << 20, true)] {
      let world = try Self.world(.safetensors(), memory: ModelMemory(limitBytes: limit))
      for (precision, isNew) in [("fp32", true), ("fp32", false), ("bf16", true), ("fp32", !staysForGood)] {
        let seen = try Self.run(world, precision)
        #expect(seen.code != .retry, "\(limit) bytes, \(precision)")
        #expect(try Self.isLoaded(world, seen))
        #expect(seen.pulled.contains(Self.stream(world)) == isNew, "\(limit) bytes, \(precision)")
      }
    }
  }

  @Test("the budget is the smaller of the command line's and a share of what is free")
  func shares() throws {
    #expect(try ModelMemory { 800 }.bytes(held: 0) == 700)
    #expect(try ModelMemory(limitBytes: 500) { 800 }.bytes(held: 100) == 400)
    #expect(try ModelMemory(limitBytes: 500) { 800 }.bytes(held: 600) == 0)
    #expect(throws: WorkerFault.self) { try ModelMemory { throw WorkerFault.retry("") }.bytes(held: 0) }
    let command = try WorkerCommand(
      arguments: ["--image", "/i", "--listen", "unix:/s", "--model-memory", "24G"])
    #expect(command.memory.limitBytes == 24 << 30)
    for wrong in ["", "0", "-1G", "24T", "G", "99999999999G"] {
      #expect(throws: WireError.self) {
        try WorkerCommand(arguments: ["--image", "/i", "--listen", "unix:/s", "--model-memory", wrong])
      }
    }
  }
}
