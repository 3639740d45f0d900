import ArgumentParser

/// `devcloud`: a hypervisor's security module and a KMS that verifies attestation, for machines without AWS.
@main
struct DevCloudCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devcloud",
    abstract: "DEVELOPMENT: plays the Nitro hypervisor and AWS KMS on one machine.",
    discussion: """
      The documents, checks, errors and formats are the real ones; the root is not. Evidence made here proves nothing to
      anybody who trusts AWS alone, and whoever can read the state directory can read every key in it.

        devcloud init --state DIR
        devcloud measure --worker enclave-worker --image IMAGE
        devcloud allow --state DIR --pcr0 HEX --pcr1 HEX --pcr2 HEX
        devcloud run --state DIR --nsm-socket DIR/nsm.sock --kms-socket DIR/kms.sock

      For workers in QEMU's nitro-enclave machine, whose documents nobody signs: `devcloud init --emulated`, and run
      without --nsm-socket.
      """,
    subcommands: [InitCommand.self, AllowCommand.self, MeasureCommand.self, RunCommand.self])
}

/// What every command says first.
let developmentNotice = "DEVELOPMENT: devcloud plays the hypervisor and KMS; its evidence proves nothing."

/// What every command says after it where the state is of the emulated class.
let emulatedNotice = "EMULATED: this KMS takes unsigned documents, which anybody can write, and no others."
