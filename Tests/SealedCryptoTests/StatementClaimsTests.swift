import Crypto
import Testing
import Wire

@testable import SealedCrypto

/// Claims that contradict themselves are refused although their signature holds, and the Merkle tree is the RFC's.
struct StatementClaimsTests {
  private let key: SigningKey
  private let own: VerifyingKey

  init() throws {
    key = try SigningKey.generate()
    own = key.verifyingKey
  }

  private func isRefused<Claims: StatementClaims>(_ claims: Claims, _ change: (inout Claims) -> Void) throws -> Bool {
    var claims = claims
    change(&claims)
    let bytes = try Signed.sign(claims, with: key) { _ in [1] }.bytes
    return (try? UnverifiedStatement<Claims>(bytes).verified(by: own)) == nil
  }

  @Test func receiptsDoNotContradictThemselves() throws {
    let sample = StatementSamples.receipt(own)
    #expect(try !isRefused(sample) { _ in })
    #expect(try isRefused(sample) { $0.endedMs = $0.startedMs - 1 })
    #expect(try isRefused(sample) { $0.code = .failed })
    #expect(try isRefused(sample) { $0.outcome = .refused })
    #expect(try isRefused(sample) { $0.job = nil })
    for outcome in JobOutcome.allCases {
      for code in OutwardCode.allCases {
        let refused = try isRefused(sample) { ($0.outcome, $0.code) = (outcome, code) }
        #expect(refused == (code != outcome.code), "\(outcome) with \(code)")
      }
    }
    #expect(try isRefused(sample) { $0.job?.failedItems = 61 })
    let twice = ReceiptFile(file: .items, size: 0, sha256: StatementSamples.digest(0))
    #expect(try isRefused(sample) { $0.job?.files.append(twice) })
    #expect(try isRefused(sample) { $0.job?.stream = [1] })
    #expect(
      try !isRefused(sample) {
        $0.job = nil
        $0.outcome = .refused
        $0.code = .refused
      })
  }

  @Test func announcementsDoNotEndBeforeTheyBegin() throws {
    let sample = StatementSamples.announcement(own)
    #expect(try isRefused(sample) { $0.notAfterMs = $0.notBeforeMs })
    #expect(try isRefused(sample) { $0.publicKey.removeLast() })
  }

  @Test func manifestsNameTheirRecipientsOnceAndTheirPlaceInTheStream() throws {
    let sample = StatementSamples.manifest()
    #expect(try isRefused(sample) { $0.recipients = [] })
    #expect(try isRefused(sample) { $0.recipients += $0.recipients })
    #expect(try isRefused(sample) { $0.recipients = [[1]] })
    #expect(try isRefused(sample) { $0.encoding = "hex" })
    #expect(try isRefused(sample) { $0.salt = [] })
    func stream(_ sequence: UInt64, _ previous: ContentDigest?, _ voided: [UInt64] = []) -> StreamPosition {
      StreamPosition(id: sample.stream.id, name: "s", sequence: sequence, previous: previous, voided: voided)
    }
    let digest = StatementSamples.digest(1)
    #expect(try !isRefused(sample) { $0.stream = stream(1, nil) })
    #expect(try isRefused(sample) { $0.stream = stream(1, digest) })
    #expect(try isRefused(sample) { $0.stream = stream(0, nil) })
    #expect(try isRefused(sample) { $0.stream = stream(2, nil) })
    #expect(try isRefused(sample) { $0.stream = stream(3, digest, [3]) })
    #expect(try isRefused(sample) { $0.stream = stream(3, digest, [0]) })
  }

  @Test func modelFilesHavePlainRelativeNames() throws {
    for name in ["", "/etc/passwd", "../x", "a/../b", "a//b", ".", "a/", "a b", "é", "a\0"] {
      let file = ModelFile(name: name, size: 1, sha256: StatementSamples.digest(1), isSealed: true)
      #expect(try isRefused(StatementSamples.model()) { $0.files = [file] }, "\(name)")
    }
    let file = ModelFile(name: "a", size: 1, sha256: StatementSamples.digest(1), isSealed: true)
    #expect(try isRefused(StatementSamples.model()) { $0.files = [file, file] })
    let clear = ModelFile(name: "a", size: 1, sha256: StatementSamples.digest(2), isSealed: false)
    #expect(try isRefused(StatementSamples.model()) { $0.files = [file, clear] }, "sealed and in clear")
    let sealedName = ModelFile(name: "a.age", size: 1, sha256: StatementSamples.digest(2), isSealed: false)
    #expect(try isRefused(StatementSamples.model()) { $0.files = [file, sealedName] }, "one object for two files")
  }

  @Test func policiesListNoDebugImageAndNoKeyTwice() throws {
    let sample = StatementSamples.policy(own)
    let zero = [UInt8](repeating: 0, count: 48)
    for index in 0..<3 {
      let pcrs = (0..<3).map { $0 == index ? zero : StatementSamples.pcr(1) }
      let image = MeasurementTuple(name: "debug", pcr0: pcrs[0], pcr1: pcrs[1], pcr2: pcrs[2], pcr8: nil)
      #expect(try isRefused(sample) { $0.measurements = [image] })
    }
    #expect(try isRefused(sample) { $0.submitters += $0.submitters })
    #expect(try isRefused(sample) { $0.publishers += $0.publishers })
    #expect(try isRefused(sample) { $0.epochKey = StatementSamples.modelKey }, "a publisher may encrypt under it")
  }

  @Test func theMerkleTreeIsThatOfTheRFC() {
    // Leaves and roots of certificate-transparency's reference tests (RFC 6962 and RFC 9162 have the same tree).
    let leaves = [
      "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    ]
    let roots = [
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    var tree = MerkleTree()
    #expect(tree.root.hex == roots[0])
    for (leaf, root) in zip(leaves, roots.dropFirst()) {
      tree.append(Hex.decode(leaf) ?? [])
      #expect(tree.root.hex == root)
    }
    #expect(tree.count == 8)
  }

  @Test func policiesPermitABoundedRangeOfEpochs() {
    let sample = StatementSamples.policy(own)
    let end = sample.minimumEpoch + Limits.epochsAboveMinimum
    #expect(!sample.permits(epoch: sample.minimumEpoch - 1) && sample.permits(epoch: sample.minimumEpoch))
    #expect(sample.permits(epoch: end - 1) && !sample.permits(epoch: end) && !sample.permits(epoch: .max))
  }

  @Test func trailersHideTheirFaultInTheFilesSize() throws {
    let faults = [nil, "", "short", String(repeating: "ä", count: 5000)]
    let sizes = Array(0..<300) + [65_000, 1_000_000, 134_000_000] as [UInt64]
    for size in sizes {
      var totals: Set<UInt64> = []
      for fault in faults {
        for tokens in [0, 70_000] as [UInt64] {
          let trailer = ItemsTrailer(items: 60, failedItems: 0, tokens: tokens, fault: fault)
          let bytes = try trailer.encoded(after: size)
          totals.insert(size + UInt64(bytes.count))
          #expect(try ItemsTrailer(try CBORDecoder.decode(bytes)) == trailer)
        }
      }
      let total = try #require(totals.first)
      #expect(totals.count == 1 && total >= 4096, "\(size): \(totals)")
      #expect(try Padme.paddedSize(total) == total)
    }
  }

  @Test func faultsAreCutBetweenCharactersToWhatAReaderTakes() throws {
    let family = "👩‍👩‍👧‍👦" + String(repeating: "\u{301}", count: 9000)
    for text in [String(repeating: "x", count: 9000), String(repeating: "€", count: 9000), family] {
      let trailer = ItemsTrailer(items: 0, failedItems: 0, tokens: 0, fault: text)
      let kept = try #require(trailer.fault)
      #expect((ItemsTrailer.faultBytes - 3...ItemsTrailer.faultBytes).contains(kept.utf8.count))
      #expect(text.utf8.starts(with: kept.utf8))
      #expect(try ItemsTrailer(try CBORDecoder.decode(trailer.encoded())) == trailer)
    }
  }

  @Test func theLargestJobsPaddingIsRead() throws {
    let record = ItemRecord(
      index: UInt64(Limits.itemsPerJob), status: .failed, input: StatementSamples.digest(1),
      output: StatementSamples.digest(2), tokens: .max, truncated: true)
    let largest = UInt64(Limits.itemsPerJob * record.encoded().count + 2 * Limits.smallObjectBytes)
    #expect(try Padme.paddedSize(largest) - largest < UInt64(ItemsTrailer.padBytes))
    let trailer = ItemsTrailer(items: 1, failedItems: 0, tokens: 1, fault: nil)
    // A byte over a Padmé size costs the most.
    let worst = try Padme.paddedSize(largest) - ItemsTrailer.roomBytes + 1
    let bytes = try trailer.encoded(after: worst)
    #expect(bytes.count > 1 << 20)
    let item = try #require(try ItemsReader(MemorySource(bytes)).next())
    #expect(try ItemsTrailer(item) == trailer)
  }

  @Test func itemsAreReadBackWhateverTheirPieces() throws {
    final class Trickle: ByteSource {
      private var rest: ArraySlice<UInt8>
      private let step: Int
      init(_ bytes: [UInt8], step: Int) { (rest, self.step) = (bytes[...], step) }
      func read(upTo count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(min(count, step)) }
        return Array(rest.prefix(min(count, step)))
      }
    }
    let records = (0..<40).map {
      ItemRecord(
        index: $0, status: $0 == 3 ? .failed : .ok, input: StatementSamples.digest(1),
        output: StatementSamples.digest(2),
        tokens: $0 * 100, truncated: $0 == 5)
    }
    let head = ItemsHead(salt: Array(repeating: 1, count: 32), manifest: Array(repeating: 2, count: 3000))
    let trailer = ItemsTrailer(items: 40, failedItems: 1, tokens: 78_000, fault: nil)
    let bytes = head.encoded() + records.flatMap { $0.encoded() } + trailer.encoded()
    for step in [1, 7, 100, 1 << 16] {
      let reader = ItemsReader(Trickle(bytes, step: step))
      #expect(try ItemsHead(try #require(try reader.next())) == head)
      for record in records { #expect(try ItemRecord(try #require(try reader.next())) == record) }
      let last = try #require(try reader.next())
      #expect(ItemsTrailer.isTrailer(last))
      #expect(try ItemsTrailer(last) == trailer)
      #expect(try reader.next() == nil)
    }
    let cut = ItemsReader(MemorySource(Array(bytes.dropLast())))
    #expect(throws: WireError.self) { while try cut.next() != nil {} }
  }
}
