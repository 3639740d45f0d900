import ArgumentParser

/// `ephemeral epochs`: the sealing keys that clients see. It asks the running daemon.
struct EpochsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "epochs", abstract: "The sealing keys: see, renew and retire them (for the host's operator).",
    discussion: """
      The host asks; only an enclave can make a sealing key, and KMS and the signed policy decide who opens it. What an
      operator does here is availability, never security: to revoke an epoch, raise minimum_epoch in the policy.
      """,
    subcommands: [List.self, Rotate.self, Retire.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Epochs in the store: validity, the image that announced each, and its state.",
      discussion: """
        current       clients seal to it
        overlap       a newer one is there, or its end has passed but not the grace; its bundles are opened
        ended         past its end and the policy's grace
        revoked       the policy no longer permits its number
        retired       taken out of service by `epochs retire`
        not loadable  the worker cannot open it; the note says why
        unusable      announced to nobody

        Which epoch a waiting job is sealed to the host cannot tell: a bundle does not say.
        """)
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .epochs)) }
  }

  struct Rotate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Have the worker make and announce the next epoch now.",
      discussion: """
        Clients seal to the newest. The older ones go on being opened until their end and the policy's grace. The daemon
        does this by itself in the last quarter of an epoch's time.
        """)
    @OptionGroup var daemon: OperatorOptions
    func run() throws { try daemon.ask(OperatorRequest(verb: .epochRotate)) }
  }

  struct Retire: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take an epoch out of service on this host.",
      discussion: """
        The announcement is put aside (epochs/N/retired.cose), so that no client chooses it, and no worker of this store
        is given its key any more. Jobs sealed to it that still wait do not open; their submitters submit again. Where
        clients would be left without a sealing key, the next one is made first.

        This is no revocation: a host can put the object back. What revokes an epoch for every worker and every client is
        a policy with a higher minimum_epoch. And --delete-seed is no erasure: a copy, or an older version in the bucket,
        opens as long as KMS permits. That ends with the KMS key, or with the measurements in its policy.
        """)
    @Argument(help: "The epoch's number.") var epoch: UInt64
    @Flag(help: "Delete the sealed seed too; nobody can bring the epoch back from this store then.") var deleteSeed =
      false
    @OptionGroup var daemon: OperatorOptions
    func run() throws {
      try daemon.ask(OperatorRequest(verb: .epochRetire, epoch: epoch, deleteSeed: deleteSeed))
    }
  }
}
