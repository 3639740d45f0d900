import Foundation
import TestSupport
import Testing

@testable import Wire

/// Exchanges with a real /dev/nsm in an emulator, recorded by scripts/nsm-exchanges.py, whose requests are not ours: ours
/// must be the same bytes, and every answer must be understood.
struct SecurityModuleVectorTests {
  private let exchanges: [(name: String, request: [UInt8], response: [UInt8])]

  init() throws {
    let file = Checkout.root.appending(path: "Tests/Vectors/nsm/exchanges.txt")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }
    exchanges = try lines.map { line in
      let words = line.split(separator: " ")
      try #require(words.count == 3)
      return (String(words[0]), try #require(Hex.decode(String(words[1]))), try #require(Hex.decode(String(words[2]))))
    }
  }

  private func response(_ name: String) throws -> SecurityModuleResponse {
    try SecurityModuleResponse(try #require(exchanges.first { $0.name == name }).response)
  }

  private func request(_ name: String) throws -> [UInt8] { try #require(exchanges.first { $0.name == name }).request }

  @Test func ourRequestsAreTheBytesThatTheModuleUnderstood() throws {
    #expect(try request("describe-nsm") == SecurityModuleRequest.describeNSM.encoded())
    #expect(try request("get-random") == SecurityModuleRequest.getRandom.encoded())
    #expect(try request("describe-pcr-16") == SecurityModuleRequest.describePCR(16).encoded())
    #expect(try request("describe-pcr-32") == SecurityModuleRequest.describePCR(32).encoded())
    #expect(try request("lock-pcr-16") == SecurityModuleRequest.lockPCR(16).encoded())
    #expect(try request("lock-pcrs-18") == SecurityModuleRequest.lockPCRs(18).encoded())
    guard case .extendPCR(16, let data) = try SecurityModuleRequest(try request("extend-pcr-16")) else {
      Issue.record("no ExtendPCR")
      return
    }
    #expect(try request("extend-pcr-16") == SecurityModuleRequest.extendPCR(16, data: data).encoded())
    for name in ["attestation", "attestation-full"] {
      let bytes = try request(name)
      guard case .attestation = try SecurityModuleRequest(bytes) else {
        Issue.record("no Attestation")
        continue
      }
      #expect(try SecurityModuleRequest(bytes).encoded() == bytes)
    }
  }

  @Test func everyAnswerOfTheModuleIsUnderstood() throws {
    guard case .describeNSM(let module, 32, let locked, "SHA384") = try response("describe-nsm") else {
      Issue.record("no DescribeNSM")
      return
    }
    #expect(!module.isEmpty)
    #expect(locked == Array(0...15))
    guard case .describePCR(lock: true, let pcr0) = try response("describe-pcr-0"), pcr0.count == 48 else {
      Issue.record("no PCR0")
      return
    }
    #expect(try response("describe-pcr-16") == .describePCR(lock: false, data: [UInt8](repeating: 0, count: 48)))
    #expect(try response("lock-pcr-16") == .lockPCR)
    #expect(try response("lock-pcrs-18") == .lockPCRs)
    guard case .extendPCR(let extended) = try response("extend-pcr-16"),
      case .random(let random) = try response("get-random")
    else {
      Issue.record("no ExtendPCR or GetRandom")
      return
    }
    #expect(extended.count == 48)
    #expect(random.count == 256)
    guard case .attestation(let document) = try response("attestation-full") else {
      Issue.record("no document")
      return
    }
    #expect(document.count > 512 + 512 + 1024)
  }

  @Test func itsRefusalsAreReadByTheirNames() throws {
    for name in ["describe-pcr-32", "lock-pcrs-33"] { #expect(try response(name) == .error("InvalidIndex")) }
    for name in ["extend-pcr-0", "extend-pcr-16-locked", "lock-pcr-16-again", "extend-pcr-17-locked"] {
      #expect(try response(name) == .error("ReadOnlyIndex"))
    }
    #expect(try response("unknown") == .error("InvalidOperation"))
  }
}
