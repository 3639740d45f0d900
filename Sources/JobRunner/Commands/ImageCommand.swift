import ArgumentParser
import Client
import Crypto
import EnclaveImage
import SealedCrypto
import Wire

/// `ephemeral image`.
struct ImageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "image", abstract: "Enclave images: build one, measure any, see what is in it.",
    subcommands: [Build.self, Measure.self, Inspect.self])

  struct Build: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Build an enclave image (EIF) from its parts.",
      discussion: """
        The same parts give the same bytes and so the same measurements, on any machine. `make image` makes the parts
        too. Development has no image file: its worker is a process, whose directory devcloud measures.

        Example:
          ephemeral image build --kernel bzImage --init init --worker enclave-worker --class production \\
            --policy-key policy.pub --kms-roots infra/enclave/kms-roots.pem --output ephemeralml.eif
        """)
    @Option(help: ArgumentHelp("A bzImage.", valueName: "file"), completion: .file())
    var kernel: String
    @Option(help: ArgumentHelp("The first process: a static executable.", valueName: "file"), completion: .file())
    var `init`: String
    @Option(help: ArgumentHelp("The worker: a static executable.", valueName: "file"), completion: .file())
    var worker: String
    @Option(name: .customLong("class"), help: ArgumentHelp("production or emulated.", valueName: "class"))
    var evidenceClass: String
    @Option(help: ArgumentHelp("The policy's public key, or a file with it.", valueName: "key"), completion: .file())
    var policyKey: String
    @Option(
      help: ArgumentHelp("The roots that KMS's certificate may chain to.", valueName: "file.pem"), completion: .file())
    var kmsRoots: String
    @Flag(help: "Hold each boot to its first policy, by PCR16.")
    var pinPolicy = false
    @Option(help: ArgumentHelp("The kernel's command line.", valueName: "text"))
    var cmdline: String = EnclaveLayout.commandLine
    @Option(
      name: .shortAndLong, help: ArgumentHelp("Where to write the image.", valueName: "file"), completion: .file())
    var output: String
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      guard let evidenceClass = EnclaveLayout.EvidenceClass(rawValue: evidenceClass) else {
        throw ClientError(
          .usage, "--class \(Shown.printable(evidenceClass, limit: 40)) is no class of an image file",
          remedy: "give production or emulated; a development worker takes a directory (docs/formats.md)")
      }
      let layout = EnclaveLayout(
        kernel: try part(kernel), initProgram: try part(`init`), worker: try part(worker), evidenceClass: evidenceClass,
        policyKey: try TrustArguments.policyKey(policyKey).bytes, kmsRoots: try part(kmsRoots),
        pinsPolicy: pinPolicy, commandLine: cmdline, version: Version.text)
      let bytes: [UInt8]
      do {
        bytes = try layout.encoded()
      } catch let refusal as ImageRefusal {
        throw ClientError(.input, "no image can be made of this: \(refusal)", remedy: "mend or replace that part")
      }
      // What is announced is what a reader finds in the bytes, not what the writer meant.
      let measurement = try EIFReader(ImageMemory(bytes)).measure()
      try PrivateFiles.write(bytes, to: output, mode: PrivateFiles.publicMode)
      let digest = Hex.encode(SHA256.hash(data: bytes))
      let screen = Screen(json: json)
      if evidenceClass == .emulated { screen.banner(.emulated) }
      ImageReport(screen: screen).show(
        output, bytes: UInt64(bytes.count), measurement,
        more: [("class", .text(evidenceClass.rawValue)), ("sha256", .text(digest))])
    }

    private func part(_ path: String) throws -> [UInt8] { try PrivateFiles.read(path, limit: ImageLimits.inputBytes) }
  }

  struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compute an image's measurements: what hardware will attest when it runs.",
      discussion: """
        Checks the file's structure and its CRC. PCR8 is the signing certificate's and stands only where the image is
        signed; the signature itself is not verified here. The values go into a policy's `measurements`.

        Examples:
          ephemeral image measure ephemeralml.eif
          ephemeral image measure ephemeralml.eif --json
        """)
    @Argument(help: "An EIF.", completion: .file())
    var file: String
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      let image = try ImageArgument.open(file)
      ImageReport(screen: Screen(json: json)).show(file, bytes: image.size, try image.measure())
    }
  }

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show an image's sections, and each file of its ramdisks with size and SHA-256.",
      discussion: """
        Of any EIF; ramdisks may be compressed by gzip. One that is compressed otherwise is measured but not listed, and
        the exit code is then 3.

        Example:
          ephemeral image inspect ephemeralml.eif
        """)
    @Argument(help: "An EIF.", completion: .file())
    var file: String
    @Flag(help: "One JSON object a line on standard output.")
    var json = false

    func run() throws {
      let image = try ImageArgument.open(file)
      let measurement = try image.measure()
      var listing = RamdiskListing()
      var ramdisks: [RamdiskListing.Content] = []
      for (index, section) in image.ramdisks.enumerated() {
        ramdisks.append(try listing.list("ramdisk \(index)") { image.data(of: section) })
      }
      try ImageReport(screen: Screen(json: json)).show(file, image, measurement, ramdisks)
      let isPartial = ramdisks.contains { if case .unlisted = $0 { true } else { false } }
      if isPartial { throw ExitCode(ExitStatus.partial.rawValue) }
    }
  }
}

/// An image that a command names.
private enum ImageArgument {
  static func open(_ path: String) throws -> EIFReader {
    guard PrivateFiles.exists(path) else {
      throw ClientError(.notFound, "there is no file \(path)", remedy: "check the name")
    }
    let file: ImageFile
    do {
      file = try ImageFile(path)
    } catch let refusal as ImageRefusal {
      throw ClientError(.other, "cannot read \(refusal)", remedy: "name a file that may be read")
    }
    return try EIFReader(file)
  }
}
