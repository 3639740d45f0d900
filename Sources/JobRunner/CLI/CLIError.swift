import ArgumentParser
import Attestation
import Client
import EnclaveImage
import Glibc
import Inference
import ObjectStore
import SealedCrypto
import Wire

/// Every error as a command ends with it: exit code, what went wrong, what to do, and whose move it is. The one place
/// where errors become exit codes.
struct CLIError {
  let status: ExitStatus
  let reason: String
  let remedy: String
  let mender: String

  init(_ error: any Error) {
    switch error {
    case let error as ClientError:
      self.init(Self.status(error.kind), error.reason, error.remedy, error.mender.rawValue)
    case let error as ConfigurationError:
      self.init(
        .usage, "\(error)",
        "`ephemeral config show --daemon` shows who sets what; docs/operations/configuration.md has all keys",
        Mender.operator_.rawValue)
    case let error as ObjectStoreError:
      self.init(Self.status(error.kind), "\(error.action): \(error.reason)", error.mend, error.mender.rawValue)
    case let refusal as AttestationRefusal:
      let (who, remedy) = Mender.of(refusal)
      self.init(.rejected, "the attestation is not acceptable: \(refusal)", remedy, who.rawValue)
    case let error as AgeError:
      self.init(.invalid, "a sealed file does not open: \(error)", "fetch it again", Mender.you.rawValue)
    case let error as StatementError:
      self.init(.invalid, "a signed statement is not right: \(error)", "ask who wrote it", Mender.operator_.rawValue)
    case let error as WireError:
      self.init(
        .invalid, "bytes are not what they should be: \(error)", "ask who wrote them", Mender.operator_.rawValue)
    case let refusal as ImageRefusal:
      self.init(
        .invalid, "the image is not right: \(refusal)", "build it again, or fetch it again from who built it",
        Mender.operator_.rawValue)
    case let error as ModelError:
      self.init(.other, "the model is not right: \(error)", "mend the model folder", Mender.you.rawValue)
    default:
      self.init(.other, "\(error)", "", "")
    }
  }

  private init(_ status: ExitStatus, _ reason: String, _ remedy: String, _ mender: String) {
    self.status = status
    self.reason = reason
    self.remedy = remedy
    self.mender = mender
  }

  private static func status(_ kind: ClientError.Kind) -> ExitStatus {
    switch kind {
    case .usage: .usage
    case .input, .other: .other
    case .notFound: .notFound
    case .retryable: .retryable
    case .rejected: .rejected
    case .invalid: .invalid
    case .timedOut: .timedOut
    case .jobFailed: .jobFailed
    }
  }

  private static func status(_ kind: ObjectStoreError.Kind) -> ExitStatus {
    switch kind {
    case .notFound: .notFound
    case .conflict, .retryable: .retryable
    case .denied, .invalid: .other
    }
  }

  /// Shows an error and ends the process. What argument-parser itself throws (help, usage, exit codes) stays its own.
  static func end(with error: any Error, of command: any ParsableCommand.Type) -> Never {
    if error is ExitCode || error is CleanExit || error is ValidationError || "\(type(of: error))" == "CommandError" {
      command.exit(withError: error)
    }
    let shown = CLIError(error)
    let screen = Screen(json: CommandLine.arguments.contains("--json"))
    if screen.json {
      screen.line(
        .object([
          ("error", .text(shown.reason)), ("remedy", .text(shown.remedy)), ("who", .text(shown.mender)),
          ("exit", .unsigned(UInt64(shown.status.rawValue))),
        ]))
    }
    screen.note("\(screen.red("error:")) \(shown.reason)")
    switch (shown.mender.isEmpty, shown.remedy.isEmpty) {
    case (false, false): screen.note("  to mend it (\(shown.mender)): \(shown.remedy)")
    case (true, false): screen.note("  to mend it: \(shown.remedy)")
    case (false, true): screen.note("  who can mend it: \(shown.mender)")
    case (true, true): break
    }
    exit(shown.status.rawValue)
  }
}
