/// Writes an unsigned EIF for x86-64: header, kernel, command line, metadata, ramdisks, as AWS's builder orders them.
/// The same parts give the same bytes.
package struct EIFWriter {
  package let kernel: [UInt8]
  package let commandLine: String
  /// The metadata section's JSON; not measured.
  package let metadata: String
  package let ramdisks: [[UInt8]]

  package init(kernel: [UInt8], commandLine: String, metadata: String, ramdisks: [[UInt8]]) {
    self.kernel = kernel
    self.commandLine = commandLine
    self.metadata = metadata
    self.ramdisks = ramdisks
  }

  /// The file.
  ///
  /// - Throws: ``ImageRefusal`` when the parts do not fit into an EIF that ``EIFReader`` takes.
  package func encoded() throws -> [UInt8] {
    let line = Array(commandLine.utf8)
    guard line.count <= ImageLimits.commandLineBytes, !line.contains(0), !line.contains(UInt8(ascii: "\n")) else {
      throw ImageRefusal("command line", "one line of at most \(ImageLimits.commandLineBytes) bytes is due")
    }
    let json = Array(metadata.utf8)
    guard json.count <= ImageLimits.metadataBytes else { throw ImageRefusal("metadata", "too long") }
    let sections: [(SectionKind, [UInt8])] =
      [(.kernel, kernel), (.commandLine, line), (.metadata, json)] + ramdisks.map { (.ramdisk, $0) }
    guard !ramdisks.isEmpty, sections.count <= ImageLimits.sections else {
      throw ImageRefusal("ramdisks", "between 1 and \(ImageLimits.sections - 3) are possible")
    }

    var offsets: [UInt64] = []
    var body: [UInt8] = []
    body.reserveCapacity(sections.reduce(0) { $0 + $1.1.count + EIFFormat.sectionHeaderBytes })
    for (kind, data) in sections {
      offsets.append(UInt64(EIFFormat.headerBytes + body.count))
      body += EIFFormat.bytes(kind.rawValue) + EIFFormat.bytes(UInt16(0)) + EIFFormat.bytes(UInt64(data.count))
      body += data
    }
    let header = Self.header(offsets: offsets, sizes: sections.map { UInt64($0.1.count) })
    var checksum = Checksum()
    checksum.update(header)
    checksum.update(body)
    return header + EIFFormat.bytes(checksum.value) + body
  }

  /// Everything of the header before its CRC.
  private static func header(offsets: [UInt64], sizes: [UInt64]) -> [UInt8] {
    var bytes = EIFFormat.magic + EIFFormat.bytes(EIFFormat.version) + EIFFormat.bytes(UInt16(0))
    bytes += EIFFormat.bytes(EIFFormat.defaultMemoryBytes) + EIFFormat.bytes(EIFFormat.defaultCPUs)
    bytes += EIFFormat.bytes(UInt16(0)) + EIFFormat.bytes(UInt16(offsets.count))
    for table in [offsets, sizes] {
      for index in 0..<ImageLimits.sections { bytes += EIFFormat.bytes(index < table.count ? table[index] : 0) }
    }
    return bytes + EIFFormat.bytes(UInt32(0))
  }
}
