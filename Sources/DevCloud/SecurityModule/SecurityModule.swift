import CPlatform
import Crypto
import Synchronization
import Wire

/// The security module as one enclave sees it: its registers, its identity and its documents. What `/dev/nsm` answers
/// to the same bytes, this answers.
final class SecurityModule: Sendable {
  private struct State: Sendable {
    var registers: PCRBank
    var leaf: AttestationAuthority.Leaf?
  }

  let moduleID: String
  private let authority: AttestationAuthority
  private let state: Mutex<State>

  /// A module for an enclave that has just started.
  ///
  /// - Parameter instance: what tells this start from every other; PCR4 comes of it, as it does of the parent instance
  ///   in real documents.
  init(measurement: ImageMeasurement, instance: [UInt8], authority: AttestationAuthority) {
    self.authority = authority
    moduleID = "\(authority.instanceID)-enc\(Hex.encode(SHA256.hash(data: instance).prefix(8)))"
    let registers = PCRBank(measured: [
      0: measurement.pcr0, 1: measurement.pcr1, 2: measurement.pcr2, 4: ImageMeasurement.register(over: moduleID),
    ])
    state = Mutex(State(registers: registers, leaf: nil))
  }

  /// The response to one request.
  ///
  /// - Parameter now: milliseconds since 1970; goes into documents.
  func respond(to request: [UInt8], at now: Int64) -> [UInt8] {
    guard request.count <= SecurityModuleRequest.requestBytes else {
      return SecurityModuleResponse.error("InputTooLarge").encoded()
    }
    guard let request = try? SecurityModuleRequest(request) else {
      return SecurityModuleResponse.error("InvalidArgument").encoded()
    }
    do {
      return try response(to: request, at: now).encoded()
    } catch let refusal as PCRBank.Refusal {
      return SecurityModuleResponse.error(refusal.rawValue).encoded()
    } catch {
      return SecurityModuleResponse.error("InternalError").encoded()
    }
  }

  private func response(to request: SecurityModuleRequest, at now: Int64) throws -> SecurityModuleResponse {
    switch request {
    case .attestation(let userData, let nonce, let publicKey):
      return .attestation(document: try document(userData: userData, nonce: nonce, publicKey: publicKey, at: now))
    case .describeNSM:
      let locked = state.withLock { $0.registers.locked.map { UInt64($0.index) } }
      return .describeNSM(
        moduleID: moduleID, maxPCRs: UInt64(PCRBank.count), lockedPCRs: locked, digest: "SHA384")
    case .describePCR(let index):
      let (lock, data) = try state.withLock { try $0.registers.describe(index) }
      return .describePCR(lock: lock, data: data)
    case .extendPCR(let index, let data):
      return .extendPCR(data: try state.withLock { try $0.registers.extend(index, with: data) })
    case .lockPCR(let index):
      try state.withLock { try $0.registers.lock(index) }
      return .lockPCR
    case .lockPCRs(let range):
      try state.withLock { try $0.registers.lock(below: range) }
      return .lockPCRs
    case .getRandom:
      var generator = SystemRandomNumberGenerator()
      return .random((0..<256).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
  }

  private func document(userData: [UInt8]?, nonce: [UInt8]?, publicKey: [UInt8]?, at now: Int64) throws -> [UInt8] {
    let (leaf, registers) = try state.withLock { state in
      if let leaf = state.leaf, now < leaf.renewAfter { return (leaf, state.registers.locked) }
      let leaf = try authority.leaf(moduleID: moduleID, at: now)
      state.leaf = leaf
      return (leaf, state.registers.locked)
    }
    let writer = AttestationDocumentWriter(
      moduleID: moduleID, timestamp: UInt64(max(0, now)), pcrs: registers, userData: userData, nonce: nonce,
      publicKey: publicKey)
    return try writer.document(signedBy: leaf)
  }
}
