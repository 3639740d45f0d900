import Crypto
import Inference
import Testing

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

@Suite(.serialized)
struct JobTests {
  @Test("A job ends completed, and receipt, sealed files and items agree in every digest", arguments: [0, 1, 64, 200])
  func completed(count: Int) throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(count)
    let claims = try world.manifest(for: input, items: count)
    let bundle = try world.bundle(claims, input)
    let seen = try world.host(bundle).runJob(attempt: 7)
    let receipt = try seen.claims()
    #expect(seen.code == .ok)
    #expect(receipt.outcome == .completed)
    #expect(receipt.bundle == SHA256.digest(of: bundle))
    #expect(receipt.attempt == 7)
    let job = try #require(receipt.job)
    #expect(job.items == UInt64(count))
    #expect(job.stream == claims.stream.id && job.sequence == 1 && job.model == claims.model)
    for file in job.files {
      let sealed = try #require(seen.files[file.file])
      #expect(file.size == UInt64(sealed.count))
      #expect(file.sha256 == SHA256.digest(of: sealed))
    }
    #expect(job.files.map(\.file) == [.output, .errors, .items])
    let (head, records, trailer) = try world.items(of: seen)
    #expect(SHA256.digest(of: head.manifest) == job.manifest)
    #expect(trailer == ItemsTrailer(items: UInt64(count), failedItems: 0, tokens: trailer.tokens, fault: nil))
    var tree = MerkleTree()
    for record in records { tree.append(record.leaf(count: UInt64(count), manifestSalt: head.salt)) }
    #expect(tree.root == job.merkleRoot)

    let output = try world.open(.output, of: seen)
    #expect(UInt64(output.count) == (try Padme.paddedSize(UInt64(output.count))))
    let lines = output.split(separator: UInt8(ascii: "\n"))
    #expect(lines.count == count)
    for (index, line) in lines.enumerated() {
      guard case .embedding(let parsed) = try OutputLine(parsing: Array(line)) else {
        Issue.record("no embedding"); return
      }
      #expect(parsed.index == index && parsed.customID == "doc-\(index)" && parsed.embedding.count == 32)
      let unpadded = Array(line.reversed().drop { $0 == UInt8(ascii: " ") }.reversed())
      #expect(SHA256.digest(of: unpadded) == records[index].output)
    }
    #expect(try world.open(.errors, of: seen).isEmpty)
  }

  @Test("Weights in several sealed files give the same results as in one, and one that is another's is not taken")
  func shards() throws {
    let (one, several) = (try TestWorld(), try TestWorld(isSharded: true))
    try one.start()
    try several.start()
    let input = TestWorld.lines(20)
    func output(_ world: TestWorld) throws -> [UInt8] {
      let seen = try world.host(try world.bundle(try world.manifest(for: input, items: 20), input)).runJob()
      #expect(seen.code == .ok)
      return try world.open(.output, of: seen)
    }
    let expected = try output(one)
    var host = several.host(try several.bundle(try several.manifest(for: input, items: 20), input))
    let names = (1...2).map { JobStream.model(several.modelDigest, name: "model-0000\($0)-of-00002.safetensors.age") }
    let swapped = Dictionary(uniqueKeysWithValues: zip(names, names.reversed().map { host.objects[$0] ?? [] }))
    let objects = host.objects
    host.objects.merge(swapped) { $1 }
    #expect(try host.runJob().code == .retry)
    host.objects = objects
    host.objects[names[1]] = nil
    #expect(try host.runJob().code == .retry)
    #expect(try output(several) == expected)
  }

  @Test("Results do not depend on the pieces that the host serves, nor on a cached model")
  func pieces() throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(100)
    let bundle = try world.bundle(try world.manifest(for: input, items: 100), input)
    var host = world.host(bundle)
    let whole = try host.runJob()
    host.pieceBytes = 777
    let cut = try host.runJob()
    #expect(try world.open(.output, of: whole) == world.open(.output, of: cut))
    #expect(!cut.pulled.contains { $0 != .bundle }, "the model was cached")
  }

  @Test("Lines that cannot be computed cost the others nothing: the outcome is partial")
  func partial() throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(3) + Array("not json\n{\"id\":\"x\"}\n\n".utf8) + TestWorld.lines(2)
    let seen = try world.host(try world.bundle(try world.manifest(for: input, items: 7), input)).runJob()
    #expect(try seen.claims().outcome == .partial)
    #expect(seen.code == .ok)
    let (_, records, trailer) = try world.items(of: seen)
    #expect(records.map(\.status) == [.ok, .ok, .ok, .failed, .failed, .ok, .ok])
    #expect(trailer.failedItems == 2)
    let errors = try world.open(.errors, of: seen).split(separator: UInt8(ascii: "\n"))
    #expect(errors.count == 2)
    #expect(try world.open(.output, of: seen).split(separator: UInt8(ascii: "\n")).count == 5)
  }

  @Test("When every line fails, so does the job")
  func nothingComputed() throws {
    let world = try TestWorld()
    try world.start()
    let input = Array("x\ny\n".utf8)
    let seen = try world.host(try world.bundle(try world.manifest(for: input, items: 2), input)).runJob()
    #expect(seen.code == .failed)
    #expect(try seen.claims().outcome == .failed)
  }

  @Test("A cancel, which nobody signed, ends the attempt undecided: retry, no receipt, and the job can run again")
  func cancelled() throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(300)
    var host = world.host(try world.bundle(try world.manifest(for: input, items: 300), input))
    host.cancelAfter = 2
    let seen = try host.runJob()
    #expect(seen.code == .retry && seen.receipt == nil)
    #expect(seen.progress == [0, 64])
    host.cancelAfter = nil
    #expect(try host.runJob().code == .ok)
  }

  @Test("A host that leaves during a job costs that job alone")
  func hostLeaves() throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(100)
    var host = world.host(try world.bundle(try world.manifest(for: input, items: 100), input))
    for requests in [0, 1, 3, 6] {
      host.leaveAfter = requests
      #expect(try host.runJob().code == nil)
    }
    host.leaveAfter = nil
    #expect(try host.runJob().code == .ok)
  }

  @Test("Without a policy or an epoch nothing is decided: retry, and no receipt")
  func notReady() throws {
    let world = try TestWorld()
    #expect(try world.host([1, 2, 3]).runJob().code == .retry)
    try world.configure()
    let seen = try world.host([1, 2, 3]).runJob()
    #expect(seen.code == .retry)
    #expect(seen.receipt == nil)
  }

  @Test("What KMS says of a model's key leaves the job undecided: credentials and blob are the host's choice")
  func keyService() throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(1)
    let host = world.host(try world.bundle(try world.manifest(for: input, items: 1), input))
    for name in ["ThrottlingException", "AccessDeniedException", "InvalidCiphertextException"] {
      world.kms.misbehave(.error(name, status: 400))
      let seen = try host.runJob()
      #expect(seen.code == .retry && seen.receipt == nil, "\(name)")
    }
    world.kms.misbehave(.wrongKeyID)
    #expect(try host.runJob().receipt == nil)
    world.kms.misbehave(nil)
    #expect(try host.runJob().code == .ok)
  }

  @Test("A host that withholds a piece of the bundle and streams it afterwards gets no receipt", arguments: [1, 2, 3])
  func withheldBundle(pull: Int) throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(10)
    var host = world.host(try world.bundle(try world.manifest(for: input, items: 10), input))
    host.pieceBytes = 1000
    host.absentAt = (.bundle, pull)
    let seen = try host.runJob()
    #expect(seen.code == .retry && seen.receipt == nil)
    #expect(seen.pulled.count { $0 == .bundle } == pull, "after the lie nothing more is asked for")
  }

  @Test("A job is not begun while the system clock and the module's differ by more than five minutes")
  func clock() throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(1)
    let host = world.host(try world.bundle(try world.manifest(for: input, items: 1), input))
    #expect(try host.runJob().code == .ok, "the model is cached now: KMS, which compares too, is not asked again")
    for shift in [-310_000, 310_000] as [Int64] {
      world.module.shiftClock(byMs: shift)
      let seen = try host.runJob()
      #expect(seen.code == .retry && seen.receipt == nil && seen.pulled.isEmpty, "\(shift)")
    }
    world.module.shiftClock(byMs: 290_000)
    #expect(try host.runJob().code == .ok)
  }

  @Test("The size of items.cbor is a Padmé size of at least 4 KiB, and says nothing of the fault")
  func itemsSize() throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(3)
    func size(_ change: (inout JobManifestClaims) -> Void) throws -> (Int, String?) {
      var claims = try world.manifest(for: input, items: 3)
      change(&claims)
      let seen = try world.host(try world.bundle(claims, input)).runJob()
      return (try world.open(.items, of: seen).count, try world.items(of: seen).trailer.fault)
    }
    let (completed, none) = try size { _ in }
    #expect(none == nil && completed >= 4096)
    #expect(UInt64(completed) == (try Padme.paddedSize(UInt64(completed))))
    let (short, shortFault) = try size { $0.operation = "embeds" }
    let (long, longFault) = try size { $0.notAfterMs = TestWorld.now - 1 }
    #expect(shortFault != nil && longFault != nil && shortFault != longFault)
    #expect(short == long)
  }

  /// Where an array keeps its bytes.
  private func place(_ bytes: [UInt8]?) -> UnsafeRawPointer? { bytes?.withUnsafeBytes { $0.baseAddress } }

  @Test("Input lines are wiped where they stand, not in a copy: the window is their only holder")
  func wipedInput() throws {
    let world = try TestWorld()
    try world.start()
    let input = TestWorld.lines(200)
    let claims = try world.manifest(for: input, items: 200)
    let identity = try HybridIdentity.generate()
    let bundle = try world.bundle(claims, input, to: [identity.recipient])
    let (near, far) = try Channel.pair(stallMilliseconds: 5000)
    Thread.start {
      var rest = bundle[...]
      while (try? far.receive()) != nil {
        try? far.send(JobReply.data(Array(rest.prefix(Limits.chunkBytes))).encoded())
        rest = rest.dropFirst(Limits.chunkBytes)
      }
    }
    let epoch = Epoch(number: 1, identity: identity, notBeforeMs: 0, notAfterMs: .max)
    let items = InputItems(try OpenedBundle(SealedBundle(from: JobLink(near)), epochs: [epoch]), claims)
    var windows = 0
    while var window = try items.next() {
      let places = window.map { place($0.line.bytes) }
      InputLine.wipe(&window)
      #expect(window.map { place($0.line.bytes) } == places)
      #expect(window.allSatisfy { $0.line.bytes?.allSatisfy { $0 == 0 } == true })
      windows += 1
    }
    #expect(windows == 4)
    near.close()
  }

  @Test("Output lines are wiped where they stand once they are sealed")
  func wipedOutput() throws {
    let world = try TestWorld()
    try world.start()
    let manifest = try Signed.sign(try world.manifest(for: [], items: 2), with: world.submitter).bytes
    let (near, _) = try Channel.pair(stallMilliseconds: 1000)
    let results = try ResultFiles(try JobOrder(manifest, under: world.policyClaims), to: JobLink(near))
    var lines = [ItemStatus.ok, .failed].map { status in
      ItemResult(
        status: status, input: SHA256.digest(of: []), line: [UInt8](repeating: 7, count: 3000), tokens: 1,
        truncated: false)
    }
    let places = lines.map { place($0.line) }
    try results.append(&lines)
    #expect(lines.map { place($0.line) } == places)
    #expect(lines.allSatisfy { $0.line.allSatisfy { $0 == 0 } && $0.line.count == 3000 })
    #expect(results.count == 2 && results.failedCount == 1)
  }
}
