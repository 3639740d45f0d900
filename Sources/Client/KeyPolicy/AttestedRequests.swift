/// Every request that a policy's attestation conditions can tell apart.
struct AttestedRequests {
  /// Requests beyond this number are not tried one by one; a policy for three registers of ten images needs 2,197.
  private static let countMax = 1 << 17

  /// Registers that the policy names, and the required ones, ascending.
  let registers: [Int]
  /// The states to try of each register.
  let states: [[RegisterState]]

  /// - Throws: ``KeyPolicyDocument/Malformed`` when there are too many.
  init(_ policy: KeyPolicyDocument) throws {
    var values: [Int: Set<String>] = [:]
    for register in AttestedRegister.required { values[register] = [] }
    for condition in policy.statements.flatMap(\.conditions) {
      guard let register = condition.register else { continue }
      // A real register is lower-case hexadecimal, so nothing else can stand in a request.
      values[register, default: []].formUnion(
        condition.values.map { $0.asciiLowercased }.filter(AttestedRegister.isValue))
    }
    registers = values.keys.sorted()
    var count = 1
    var states: [[RegisterState]] = []
    for register in registers {
      let named = values[register, default: []].subtracting([AttestedRegister.zero]).sorted()
      let all = [.absent, .other, .value(AttestedRegister.zero)] + named.map { RegisterState.value($0) }
      states.append(all)
      let (product, overflow) = count.multipliedReportingOverflow(by: all.count)
      guard !overflow, product <= Self.countMax else {
        throw KeyPolicyDocument.Malformed("the policy names more registers and values than can be tried one by one")
      }
      count = product
    }
    self.states = states
  }

  /// Calls with each request.
  func forEach(_ body: (RegisterStates) -> Void) {
    var request: RegisterStates = [:]
    func choose(_ at: Int) {
      guard at < registers.count else { return body(request) }
      for state in states[at] {
        request[registers[at]] = state
        choose(at + 1)
      }
    }
    choose(0)
  }
}
