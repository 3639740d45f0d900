import Attestation
import CPlatform
import Crypto
import Foundation
import Testing
import Wire

@testable import DevCloud

@Suite("The security module")
struct SecurityModuleTests {
  let laboratory: Laboratory
  init() throws { laboratory = try Laboratory() }

  @Test("extends registers of the program by SHA-384 of old and data, and not once they are locked")
  func registers() throws {
    let module = laboratory.module()
    let expected = Array(SHA384.hash(data: PCRBank.zero + [1, 2, 3]))
    #expect(try module.ask(.extendPCR(16, data: [1, 2, 3])) == .extendPCR(data: expected))
    #expect(try module.ask(.describePCR(16)) == .describePCR(lock: false, data: expected))
    #expect(try module.ask(.lockPCR(16)) == .lockPCR)
    #expect(try module.ask(.describePCR(16)) == .describePCR(lock: true, data: expected))
    #expect(try module.ask(.extendPCR(16, data: [1])) == .error("ReadOnlyIndex"))
    let document = try module.document()
    let pcrs = try laboratory.verifier.verify(
      UnverifiedAttestation(document), at: .documentTime, measurements: nil
    ).pcrs
    #expect(pcrs[16] == expected)
    #expect(pcrs[17] == nil)
  }

  @Test(
    "refuses by the module's own names",
    arguments: [
      (SecurityModuleRequest.extendPCR(0, data: [1]), "ReadOnlyIndex"),
      (.extendPCR(15, data: [1]), "ReadOnlyIndex"),
      (.extendPCR(32, data: [1]), "InvalidIndex"),
      (.extendPCR(20, data: []), "InvalidArgument"),
      (.describePCR(32), "InvalidIndex"),
      (.lockPCR(3), "ReadOnlyIndex"),
      (.lockPCR(99), "InvalidIndex"),
      (.lockPCRs(33), "InvalidIndex"),
    ])
  func refusals(request: SecurityModuleRequest, name: String) throws {
    #expect(try laboratory.module().ask(request) == .error(name))
  }

  @Test("answers bytes that are no request with InvalidArgument")
  func garbage() throws {
    for bytes: [UInt8] in [[], [0xFF], CBOR.text("Nothing").encoded(), CBOR.object([("GetRandom", .null)]).encoded()] {
      let response = try SecurityModuleResponse(laboratory.module().respond(to: bytes, at: Laboratory.now))
      #expect(response == .error("InvalidArgument"))
    }
    let large = [UInt8](repeating: 0, count: SecurityModuleRequest.requestBytes + 1)
    let response = try SecurityModuleResponse(laboratory.module().respond(to: large, at: Laboratory.now))
    #expect(response == .error("InputTooLarge"))
  }

  @Test("gives fresh randomness and describes itself")
  func description() throws {
    let module = laboratory.module()
    guard case .random(let first) = try module.ask(.getRandom), case .random(let second) = try module.ask(.getRandom)
    else {
      Issue.record("no randomness")
      return
    }
    #expect(first.count == 256)
    #expect(first != second)
    _ = try module.ask(.lockPCRs(18))
    #expect(
      try module.ask(.describeNSM)
        == .describeNSM(
          moduleID: module.moduleID, maxPCRs: 32, lockedPCRs: Array(0..<18), digest: "SHA384"))
  }

  @Test("on its socket measures the process that connects, and keeps its registers across connections")
  func socket() throws {
    let path = laboratory.path + "/nsm.sock"
    let server = try SecurityModuleServer(
      path: path, hypervisor: Hypervisor(authority: laboratory.authority, logger: Laboratory.quiet),
      logger: Laboratory.quiet)
    server.start()
    defer { server.stop() }
    let first = try Channel.connect(to: .unix(path))
    guard case .attestation(let document) = try exchange(first, .attestation(userData: nil, nonce: nil, publicKey: nil))
    else {
      Issue.record("no document")
      return
    }
    let verified = try laboratory.verifier.verify(
      UnverifiedAttestation(document), at: .documentTime, measurements: nil)
    let me = try ImageMeasurement(executable: "/proc/self/exe", imageDirectory: nil)
    #expect(verified.pcrs[0] == me.pcr0)
    #expect(verified.pcrs[1] == me.pcr1)
    #expect(verified.pcrs[2] == me.pcr2)

    let extended = try exchange(first, .extendPCR(16, data: [5]))
    let second = try Channel.connect(to: .unix(path))
    let value = Array(SHA384.hash(data: PCRBank.zero + [5]))
    #expect(extended == .extendPCR(data: value))
    #expect(try exchange(second, .describePCR(16)) == .describePCR(lock: false, data: value))

    let oversized = try Channel.connect(to: .unix(path))
    try oversized.write([0xFF, 0xFF, 0xFF, 0xFF])
    #expect((try? oversized.read(upTo: 1)) ?? [] == [])
    #expect(try exchange(second, .describePCR(17)) == .describePCR(lock: false, data: PCRBank.zero))
  }

  private func exchange(_ channel: Channel, _ request: SecurityModuleRequest) throws -> SecurityModuleResponse {
    let bytes = request.encoded()
    try channel.write([0, 0, UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes)
    let length = try channel.readExactly(4, "length").reduce(0) { $0 << 8 | Int($1) }
    return try SecurityModuleResponse(try channel.readExactly(length, "response"))
  }
}
