import SwiftASN1
import Wire

/// The image of this project's enclave: which file lies where, and nothing that the parts do not decide.
///
/// | ramdisk | files | measured in |
/// |---|---|---|
/// | 0 | `init`, and `dev` and `proc`, empty, for it to mount | PCR0, PCR1 |
/// | 1 | `enclave-worker`, and `image/` as the worker reads it | PCR0, PCR2 |
///
/// No shell, no library, no loader. Owners and times are zero, archives are not compressed: no compressor's version
/// decides a measurement.
package struct EnclaveLayout {
  /// What an image's documents are worth; the worker reads it and clients compare it with their profile's.
  package enum EvidenceClass: String, CaseIterable, Sendable {
    /// AWS Nitro hardware.
    case production
    /// QEMU's machine.
    case emulated
  }

  /// A bzImage.
  package let kernel: [UInt8]
  /// The first process: a static executable.
  package let initProgram: [UInt8]
  /// The worker: a static executable.
  package let worker: [UInt8]
  package let evidenceClass: EvidenceClass
  /// Ed25519, 32 bytes: whose policies the worker obeys.
  package let policyKey: [UInt8]
  /// The only roots that KMS's certificate may chain to, in PEM; taken into the image as they are.
  package let kmsRoots: [UInt8]
  /// Whether the first policy of a boot goes into PCR16 and stays the only one.
  package let pinsPolicy: Bool
  package let commandLine: String
  /// Of the software, for the metadata.
  package let version: String

  /// Restart never waits, the console is the serial port (which leads nowhere outside debug mode), and there is no PCI.
  package static let commandLine = "reboot=k panic=-1 pci=off nomodules console=ttyS0"

  package init(
    kernel: [UInt8], initProgram: [UInt8], worker: [UInt8], evidenceClass: EvidenceClass, policyKey: [UInt8],
    kmsRoots: [UInt8], pinsPolicy: Bool = false, commandLine: String = Self.commandLine, version: String
  ) {
    self.kernel = kernel
    self.initProgram = initProgram
    self.worker = worker
    self.evidenceClass = evidenceClass
    self.policyKey = policyKey
    self.kmsRoots = kmsRoots
    self.pinsPolicy = pinsPolicy
    self.commandLine = commandLine
    self.version = version
  }

  /// The EIF.
  ///
  /// - Throws: ``ImageRefusal`` naming the part that can never work.
  package func encoded() throws -> [UInt8] {
    try ProgramFile.checkKernel(kernel)
    try ProgramFile.checkStatic(initProgram, "init")
    try ProgramFile.checkStatic(worker, "worker")
    try checkRoots()
    guard policyKey.count == 32 else { throw ImageRefusal("policy key", "32 bytes are due") }
    guard !version.isEmpty, version.utf8.allSatisfy({ ProgramFile.isVersionCharacter($0) }) else {
      throw ImageRefusal("version", "letters, digits, dots, + and - are due")
    }
    guard commandLine.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
      throw ImageRefusal("command line", "printable ASCII is due")
    }
    return try EIFWriter(
      kernel: kernel, commandLine: commandLine, metadata: metadata,
      ramdisks: [try bootRamdisk(), try applicationRamdisk()]
    ).encoded()
  }

  private func bootRamdisk() throws -> [UInt8] {
    var ramdisk = CpioWriter()
    try ramdisk.add("dev", .directory)
    try ramdisk.add("init", .file(initProgram, executable: true))
    try ramdisk.add("proc", .directory)
    return try ramdisk.encoded()
  }

  private func applicationRamdisk() throws -> [UInt8] {
    var ramdisk = CpioWriter()
    try ramdisk.add("enclave-worker", .file(worker, executable: true))
    try ramdisk.add("image", .directory)
    var files: [(String, [UInt8])] = [
      ("evidence-class", Array("\(evidenceClass.rawValue)\n".utf8)), ("kms-roots.pem", kmsRoots),
      ("policy.pub", Array("\(Hex.encode(policyKey))\n".utf8)), ("security-module", Array("/dev/nsm\n".utf8)),
    ]
    if pinsPolicy { files.append(("pin-policy", Array("yes\n".utf8))) }
    for (name, content) in files { try ramdisk.add("image/\(name)", .file(content, executable: false)) }
    return try ramdisk.encoded()
  }

  /// The fields that `nitro-cli describe-eif` requires. A time would make two builds differ, so it is the epoch's.
  private var metadata: String {
    """
    {"ImageName":"ephemeralml","ImageVersion":"\(version)","BuildMetadata":{"BuildTime":"1970-01-01T00:00:00+00:00",\
    "BuildTool":"ephemeral","BuildToolVersion":"\(version)","OperatingSystem":"Linux",\
    "KernelVersion":"\(ProgramFile.kernelVersion(kernel) ?? "unknown")"},"DockerInfo":{},\
    "CustomMetadata":{"EvidenceClass":"\(evidenceClass.rawValue)"}}
    """
  }

  private func checkRoots() throws {
    let place = "KMS roots"
    guard kmsRoots.count <= ImageLimits.rootsBytes else {
      throw ImageRefusal(place, "over \(ImageLimits.rootsBytes) bytes")
    }
    guard let text = String(validating: kmsRoots, as: UTF8.self),
      let documents = try? PEMDocument.parseMultiple(pemString: text), !documents.isEmpty,
      documents.allSatisfy({ $0.discriminator == "CERTIFICATE" && (try? DER.parse($0.derBytes)) != nil })
    else {
      throw ImageRefusal(place, "certificates in PEM are due")
    }
  }
}
