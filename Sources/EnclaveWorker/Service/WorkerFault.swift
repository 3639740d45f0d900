import SealedCrypto
import Wire

/// Why an activity did not succeed, by what the host is told. The detail goes into sealed files at most, never outward.
struct WorkerFault: Error, Equatable {
  /// Never `ok`.
  let code: OutwardCode
  let detail: String
  /// For the host's operator; never of a job.
  let advice: WorkerAdvice?

  private init(_ code: OutwardCode, _ detail: String, _ advice: WorkerAdvice?) {
    self.code = code
    self.detail = detail
    self.advice = advice
  }

  /// Nothing was decided; the same request may succeed later.
  static func retry(_ detail: String, advice: WorkerAdvice? = nil) -> WorkerFault {
    WorkerFault(.retry, detail, advice)
  }
  /// Not permitted.
  static func refused(_ detail: String, advice: WorkerAdvice? = nil) -> WorkerFault {
    WorkerFault(.refused, detail, advice)
  }
  /// Permitted, but it could not be done.
  static func failed(_ detail: String, advice: WorkerAdvice? = nil) -> WorkerFault {
    WorkerFault(.failed, detail, advice)
  }

  /// Runs `body`; what it throws, other than a fault, a shortage of memory, a lost host or a silent security module, is
  /// refused with `what`.
  static func refusing<Result>(_ what: String, _ body: () throws -> Result) throws -> Result {
    try mapping({ .refused("\(what): \($0)") }, body)
  }

  /// Runs `body`; what it throws, other than a fault, a lost host or a silent security module, is a failure of `what`.
  static func failing<Result>(_ what: String, _ body: () throws -> Result) throws -> Result {
    try mapping({ .failed("\(what): \($0)") }, body)
  }

  /// Runs `body`; whatever it throws, other than a fault or a lost host, leaves the matter undecided.
  static func retrying<Result>(_ what: String, _ body: () throws -> Result) throws -> Result {
    try mapping({ .retry("\(what): \($0)") }, body)
  }

  private static func mapping<Result>(_ fault: (any Error) -> WorkerFault, _ body: () throws -> Result) throws -> Result
  {
    do {
      return try body()
    } catch let error as WorkerFault {
      throw error
    } catch let error as HostLost {
      throw error
    } catch let error as MemoryShortage {
      throw error
    } catch let error as SecurityModuleError {
      throw WorkerFault.retry("\(error)")
    } catch let error as SecretMemoryError {
      throw WorkerFault.retry("\(error)")
    } catch let error as KMSFault {
      throw error.asWorkerFault
    } catch {
      throw fault(error)
    }
  }
}

/// The host is gone or breaks the frames' protocol: there is nobody to tell.
struct HostLost: Error, CustomStringConvertible {
  let reason: any Error
  var description: String { "host: \(reason)" }
}
