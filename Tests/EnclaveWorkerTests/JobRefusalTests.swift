import Crypto
import Inference
import Testing

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

/// What a worker does not do, each with a receipt, and with the reason in sealed files at most.
@Suite(.serialized)
struct JobRefusalTests {
  static let input = TestWorld.lines(3)

  @Test("An altered or foreign bundle is refused with its digest and nothing else")
  func unreadable() throws {
    let world = try TestWorld()
    try world.start()
    let claims = try world.manifest(for: Self.input, items: 3)
    let good = try world.bundle(claims, Self.input)
    let other = try HybridIdentity.generate().recipient
    let sealingKey = try #require(world.sealingKey)
    var bundles = [
      [], Array("hello".utf8),
      try world.bundle(claims, Self.input, to: [sealingKey, other]),
      try world.bundle(claims, Self.input, signedBy: try .generate()),
    ]
    for offset in [0, 30, 1650, 1700] {
      var flipped = good
      flipped[offset] ^= 1
      bundles.append(flipped)
    }
    for bundle in bundles {
      let seen = try world.host(bundle).runJob()
      #expect(seen.code == .refused)
      let receipt = try seen.claims()
      #expect(receipt.outcome == .refused)
      #expect(receipt.job == nil)
      #expect(receipt.bundle == SHA256.digest(of: bundle))
      #expect(seen.files.isEmpty)
    }
  }

  @Test("A bundle that no loaded epoch opens is undecided: which epochs are loaded is the host's doing")
  func foreign() throws {
    let world = try TestWorld()
    try world.start()
    let claims = try world.manifest(for: Self.input, items: 3)
    var altered = try world.bundle(claims, Self.input)
    altered[1000] = altered[1000] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
    let other = try HybridIdentity.generate().recipient
    for bundle in [try world.bundle(claims, Self.input, to: [other]), altered] {
      let seen = try world.host(bundle).runJob()
      #expect(seen.code == .retry && seen.receipt == nil && seen.files.isEmpty)
    }
  }

  @Test("A job sealed under a newer policy than the loaded one is undecided: the host chooses which is loaded")
  func olderPolicy() throws {
    let world = try TestWorld()
    try world.start()
    var claims = try world.manifest(for: Self.input, items: 3)
    claims.policyVersion = 6
    // What the newer policy would allow and the older one does not must not show either.
    claims.operation = "generate"
    let bundle = try world.bundle(claims, Self.input)
    let seen = try world.host(bundle).runJob()
    #expect(seen.code == .retry && seen.receipt == nil && seen.files.isEmpty)
    world.policyClaims.version = 6
    #expect(try world.configure() == .ok)
    #expect(try world.host(bundle).runJob().code == .refused, "decided by the policy that the submitter knew")
  }

  @Test("No flipped bit and no truncation of a bundle completes")
  func altered() throws {
    let world = try TestWorld()
    try world.start()
    let good = try world.bundle(try world.manifest(for: Self.input, items: 3), Self.input)
    for offset in stride(from: 0, to: good.count, by: 97) {
      var flipped = good
      flipped[offset] ^= 0x10
      #expect(try world.host(flipped).runJob().code != .ok, "flipped at \(offset)")
      #expect(try world.host(Array(good[..<offset])).runJob().code != .ok, "cut at \(offset)")
    }
    #expect(try world.host(good + [0]).runJob().code != .ok)
    #expect(try world.host(good).runJob().code == .ok)
  }

  @Test(
    "Each rule of the manifest and the policy refuses by itself, and only the recipients learn which",
    arguments: [
      "sealing key", "not_after", "operation", "model", "precision", "items", "bytes", "length",
      "recovery",
    ])
  func rules(rule: String) throws {
    let world = try TestWorld()
    if rule == "items" { world.policyClaims.maximumItems = 2 }
    if rule == "bytes" { world.policyClaims.maximumInputBytes = 5 }
    if rule == "recovery" {
      world.policyClaims.recoveryRecipients = [try HybridIdentity.generate().recipient.publicKey]
    }
    try world.start()
    var claims = try world.manifest(for: Self.input, items: 3)
    switch rule {
    case "sealing key": claims.sealingKey = claims.model
    case "not_after": claims.notAfterMs = TestWorld.now - 1
    case "operation": claims.operation = "generate"
    case "model": claims.model = claims.sealingKey
    case "precision": claims.precision = "int4"
    case "length": claims.inputBytes += 1
    default: break
    }
    let seen = try world.host(try world.bundle(claims, Self.input)).runJob()
    #expect(seen.code == .refused)
    #expect(try seen.claims().outcome == .refused)
    #expect(try seen.claims().job?.items == 0)
    #expect(try world.items(of: seen).trailer.fault?.isEmpty == false)
    #expect(!seen.pulled.contains { $0 != .bundle }, "no model is touched for a job that is not allowed")
  }

  @Test(
    "An input that is not the manifest's ends as failed", arguments: ["digest", "more", "fewer", "padding", "short"])
  func input(fault: String) throws {
    let world = try TestWorld()
    try world.start()
    var claims = try world.manifest(for: Self.input, items: fault == "more" ? 2 : fault == "fewer" ? 4 : 3)
    if fault == "digest" { claims.inputSHA256 = claims.model }
    let padding: [UInt8]? = fault == "padding" ? [1] : fault == "short" ? [] : nil
    let seen = try world.host(try world.bundle(claims, Self.input, padding: padding)).runJob()
    #expect(seen.code == .failed)
    #expect(try seen.claims().outcome == .failed)
    #expect(try world.items(of: seen).trailer.fault != nil)
  }

  @Test("Model files that are not the manifest's leave the job undecided, whatever the host swaps")
  func model() throws {
    let world = try TestWorld()
    try world.start()
    let bundle = try world.bundle(try world.manifest(for: Self.input, items: 3), Self.input)
    let weights = JobStream.model(world.modelDigest, name: "model.safetensors.age")
    let config = JobStream.model(world.modelDigest, name: "config.json")
    let manifest = JobStream.model(world.modelDigest, name: "manifest.cose")
    var swaps: [(JobStream, [UInt8]?)] = [(weights, nil), (config, nil), (manifest, nil), (manifest, [0xD2])]
    var flipped = try #require(world.model[weights])
    flipped[flipped.count - 100] ^= 1
    swaps.append((weights, flipped))
    swaps.append((weights, Array(flipped.dropLast(40))))
    // Sealed by somebody who may encrypt under the model key, but not what the publisher signed.
    swaps.append((weights, try world.sealWeights([1, 2, 3])))
    swaps.append((config, Array(TestModel.config.utf8) + [0x20]))
    for (stream, bytes) in swaps {
      var host = world.host(bundle)
      host.objects[stream] = bytes
      let seen = try host.runJob()
      #expect(seen.code == .retry && seen.receipt == nil, "\(stream) \(bytes?.count ?? -1)")
    }
    #expect(try world.host(bundle).runJob().code == .ok)
  }

  @Test("A model that is not what its signed manifest claims ends as failed", arguments: ["dtypes", "architecture"])
  func lyingManifest(claim: String) throws {
    let world = try TestWorld()
    try world.republish { claims in
      if claim == "dtypes" { claims.dtypes = ["BF16"] } else { claims.architecture = "roberta" }
    }
    world.policyClaims.dtypes = ["BF16"] + (claim == "dtypes" ? [] : ["F32"])
    try world.start()
    let seen = try world.host(try world.bundle(try world.manifest(for: Self.input, items: 3), Self.input)).runJob()
    #expect(seen.code == .failed)
    #expect(try world.items(of: seen).trailer.fault?.contains("architecture or weight types") == true)
  }

  @Test("A signed file size is refused over the limit, and waits for a machine with the memory for it")
  func hugeFiles() throws {
    #expect(throws: WireError.self) { try FileBuffer(count: Limits.weightBytes + 1, availableBytes: .max) }
    for (size, available) in [(Limits.weightBytes, 1 << 30), (1 << 20, 1 << 20), (1, 0)] as [(UInt64, UInt64)] {
      let fault = #expect(throws: WorkerFault.self) { try FileBuffer(count: size, availableBytes: available) }
      #expect(fault?.code == .retry)
    }
    let buffer = try FileBuffer(count: 3, availableBytes: try ModelMemory.kernels())
    try buffer.append([1, 2])
    #expect(throws: WireError.self) { try buffer.append([3, 4]) }
    try buffer.append([3])
    #expect(buffer.isFull && buffer.withBytes { Array($0) } == [1, 2, 3])
  }

  @Test("A cached model is authorised anew: a policy that drops its publisher or submitter's right stops the next job")
  func reauthorised() throws {
    let world = try TestWorld()
    try world.start()
    let bundle = try world.bundle(try world.manifest(for: Self.input, items: 3), Self.input)
    #expect(try world.host(bundle).runJob().code == .ok)
    world.policyClaims.version = 6
    let publishers = world.policyClaims.publishers
    world.policyClaims.publishers = []
    #expect(try world.configure() == .ok)
    #expect(try world.host(bundle).runJob().code == .refused)
    world.policyClaims.version = 7
    world.policyClaims.publishers = publishers
    world.policyClaims.dtypes = ["BF16"]
    #expect(try world.configure() == .ok)
    #expect(try world.host(bundle).runJob().code == .refused)
  }
}
