import Client
import EnclaveImage
import Wire

/// An image on the screen. The names of the registers are those of a policy's measurement.
struct ImageReport {
  let screen: Screen

  /// The measurements.
  func show(_ file: String, bytes: UInt64, _ measurement: ImageMeasurement, more: [(String, JSONLine)] = []) {
    let registers = registers(measurement)
    screen.line(
      .object(
        [("file", .text(file)), ("bytes", .unsigned(bytes))] + more + registers.map { ($0.0, .text($0.1)) }))
    screen.out("image        \(Shown.printable(file, limit: 4096)), \(Shown.number(bytes)) bytes")
    for case (let name, .text(let value)) in more { screen.out("\(Screen.padded(name, 13))\(value)") }
    for (name, value) in registers { screen.out("\(Screen.padded(name.uppercased(), 13))\(value)") }
  }

  /// Everything about an image.
  func show(
    _ file: String, _ image: EIFReader, _ measurement: ImageMeasurement, _ ramdisks: [RamdiskListing.Content]
  ) throws {
    let metadata = try image.metadata()
    let architecture = image.isARM64 ? "aarch64" : "x86_64"
    screen.line(
      .object(
        [
          ("file", .text(file)), ("bytes", .unsigned(image.size)), ("architecture", .text(architecture)),
          ("default_memory_bytes", .unsigned(image.defaultMemoryBytes)), ("default_cpus", .unsigned(image.defaultCPUs)),
          ("cmdline", .text(image.commandLine)), ("metadata", .optional(metadata)),
          (
            "sections",
            .array(
              image.sections.map {
                .object([
                  ("kind", .text($0.kind.name)), ("offset", .unsigned($0.offset)), ("bytes", .unsigned($0.size)),
                ])
              })
          ),
          ("ramdisks", .array(ramdisks.map(Self.json))),
        ] + registers(measurement).map { ($0.0, .text($0.1)) }))
    show(file, bytes: image.size, measurement)
    screen.out("cmdline      \(Shown.printable(image.commandLine, limit: 4096))")
    if let metadata { screen.out("metadata     \(Shown.printable(metadata, limit: 2000))") }
    for section in image.sections {
      screen.out(
        "section      \(Screen.padded(section.kind.name, 10)) \(Shown.number(section.size)) bytes at \(section.offset)")
    }
    for (index, ramdisk) in ramdisks.enumerated() { list(index, ramdisk) }
  }

  private func registers(_ measurement: ImageMeasurement) -> [(String, String)] {
    let values = [
      ("pcr0", measurement.pcr0), ("pcr1", measurement.pcr1), ("pcr2", measurement.pcr2), ("pcr8", measurement.pcr8),
    ]
    return values.compactMap { name, value in value.map { (name, Hex.encode($0)) } }
  }

  private func list(_ index: Int, _ ramdisk: RamdiskListing.Content) {
    guard case .entries(let entries, let compression) = ramdisk else {
      if case .unlisted(let compression) = ramdisk {
        screen.out("ramdisk \(index)    compressed by \(compression): measured, but not listed here")
      }
      return
    }
    let how = compression.map { ", compressed by \($0)" } ?? ""
    screen.out("ramdisk \(index)    \(Shown.number(UInt64(entries.count))) entries\(how)")
    for entry in entries {
      let what = entry.sha256.map { Hex.encode($0) } ?? Screen.padded(entry.kind.name, 64)
      let target = entry.target.map { " -> \(Shown.printable($0, limit: 4096))" } ?? ""
      screen.out(
        "  \(Self.octal(entry.permissions)) \(Self.right(Shown.number(entry.size), 13)) \(what) \(Shown.printable(entry.name, limit: 4096))\(target)"
      )
    }
  }

  private static func json(_ ramdisk: RamdiskListing.Content) -> JSONLine {
    switch ramdisk {
    case .unlisted(let compression): .object([("compression", .text(compression)), ("entries", .null)])
    case .entries(let entries, let compression):
      .object([
        ("compression", .optional(compression)),
        (
          "entries",
          .array(
            entries.map {
              .object([
                ("name", .text($0.name)), ("kind", .text($0.kind.name)), ("mode", .text(octal($0.permissions))),
                ("bytes", .unsigned($0.size)), ("sha256", .optional($0.sha256.map { Hex.encode($0) })),
                ("target", .optional($0.target)),
              ])
            })
        ),
      ])
    }
  }

  private static func octal(_ permissions: UInt32) -> String {
    let text = String(permissions, radix: 8)
    return String(repeating: "0", count: max(0, 4 - text.count)) + text
  }

  private static func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
