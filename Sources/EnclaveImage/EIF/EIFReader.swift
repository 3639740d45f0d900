import Wire

/// An EIF whose structure holds: made by checking it, so every section lies within the file and none overlaps another.
///
/// Stricter than other readers, for a reason: AWS's reads the sections one after another and ignores the offsets,
/// QEMU's goes by the offsets. Where the two tables and the file do not describe one and the same sequence, two honest
/// readers measure different images, so such a file is refused. Nothing is larger in memory than one piece.
package struct EIFReader {
  /// One section.
  package struct Section: Equatable, Sendable {
    package let kind: SectionKind
    /// Of its data in the file.
    package let offset: UInt64
    /// Of its data.
    package let size: UInt64
  }

  /// In the order of the file.
  package let sections: [Section]
  /// For aarch64; else x86-64.
  package let isARM64: Bool
  /// What the header asks for by default.
  package let defaultMemoryBytes: UInt64
  package let defaultCPUs: UInt64
  /// The kernel's command line.
  package let commandLine: String
  /// The whole file.
  package let size: UInt64
  private let bytes: any ImageBytes
  private let header: [UInt8]

  /// Checks header and section headers; reads nothing else but the command line.
  ///
  /// - Throws: ``ImageRefusal``.
  package init(_ bytes: any ImageBytes) throws {
    self.bytes = bytes
    size = bytes.count
    guard size >= UInt64(EIFFormat.headerBytes) else {
      throw ImageRefusal("header", "the file has \(size) bytes, a header \(EIFFormat.headerBytes)")
    }
    header = try bytes.read(at: 0, count: EIFFormat.headerBytes)
    let count = try Self.sectionCount(header)
    isARM64 = EIFFormat.number(header, 6, 2) & UInt64(EIFFormat.flagARM64) != 0
    defaultMemoryBytes = EIFFormat.number(header, 8, 8)
    defaultCPUs = EIFFormat.number(header, 16, 8)

    var sections: [Section] = []
    var position = UInt64(EIFFormat.headerBytes)
    for index in 0..<count {
      let section = try Self.section(index, at: position, header, bytes)
      sections.append(section)
      position = section.offset + section.size
    }
    guard position == size else {
      throw ImageRefusal("byte \(position)", "\(size - position) bytes after the last section")
    }
    for index in count..<ImageLimits.sections where Self.tableEntry(header, index) != (0, 0) {
      throw ImageRefusal("header", "an offset or a size for section \(index), with \(count) sections")
    }
    try Self.checkOrder(sections)
    self.sections = sections
    commandLine = try Self.commandLine(sections, bytes)
  }

  /// Magic, version, flags and the number of sections.
  private static func sectionCount(_ header: [UInt8]) throws -> Int {
    guard Array(header[..<4]) == EIFFormat.magic else {
      throw ImageRefusal("header", "not an EIF: it begins otherwise")
    }
    let version = EIFFormat.number(header, 4, 2)
    guard version == UInt64(EIFFormat.version) else {
      throw ImageRefusal("header", "version \(version); this program knows \(EIFFormat.version)")
    }
    let flags = EIFFormat.number(header, 6, 2)
    guard flags & ~UInt64(EIFFormat.flagARM64) == 0 else { throw ImageRefusal("header", "unknown flags \(flags)") }
    let count = EIFFormat.number(header, 26, 2)
    guard count <= UInt64(ImageLimits.sections) else {
      throw ImageRefusal("header", "\(count) sections; at most \(ImageLimits.sections) are possible")
    }
    return Int(count)
  }

  private static func tableEntry(_ header: [UInt8], _ index: Int) -> (UInt64, UInt64) {
    (
      EIFFormat.number(header, EIFFormat.offsetsOffset + 8 * index, 8),
      EIFFormat.number(header, EIFFormat.sizesOffset + 8 * index, 8)
    )
  }

  /// The section whose header must stand at `position`, which is within the file or at its end.
  private static func section(_ index: Int, at position: UInt64, _ header: [UInt8], _ bytes: any ImageBytes) throws
    -> Section
  {
    let place = "section \(index)"
    let (offset, size) = tableEntry(header, index)
    guard offset == position else {
      let how = offset < position ? "overlaps what stands before" : "leaves a gap"
      throw ImageRefusal(place, "its offset \(offset) \(how): \(position) is next")
    }
    let left = bytes.count - position
    guard left >= UInt64(EIFFormat.sectionHeaderBytes) else { throw ImageRefusal(place, "the file ends before") }
    let room = left - UInt64(EIFFormat.sectionHeaderBytes)
    guard size <= room else { throw ImageRefusal(place, "\(size) bytes, of which the file has \(room)") }
    let own = try bytes.read(at: position, count: EIFFormat.sectionHeaderBytes)
    guard let kind = SectionKind(rawValue: UInt16(EIFFormat.number(own, 0, 2))) else {
      throw ImageRefusal(place, "unknown type \(EIFFormat.number(own, 0, 2))")
    }
    guard EIFFormat.number(own, 2, 2) == 0 else { throw ImageRefusal(place, "unknown flags") }
    guard EIFFormat.number(own, 4, 8) == size else {
      throw ImageRefusal(place, "its own header says \(EIFFormat.number(own, 4, 8)) bytes, the file's says \(size)")
    }
    return Section(kind: kind, offset: position + UInt64(EIFFormat.sectionHeaderBytes), size: size)
  }

  /// One kernel, one command line, ramdisks, in this order; the rest anywhere, once.
  private static func checkOrder(_ sections: [Section]) throws {
    let measured = sections.map(\.kind).filter { [.kernel, .commandLine, .ramdisk].contains($0) }
    guard measured.prefix(2) == [.kernel, .commandLine], measured.count > 2,
      measured.dropFirst(2).allSatisfy({ $0 == .ramdisk })
    else {
      throw ImageRefusal("sections", "one kernel, one command line and then ramdisks are due")
    }
    for (kind, limit) in [(SectionKind.signature, ImageLimits.signatureBytes), (.metadata, ImageLimits.metadataBytes)] {
      let found = sections.filter { $0.kind == kind }
      guard found.count <= 1 else { throw ImageRefusal("sections", "\(kind.name) more than once") }
      guard found.allSatisfy({ $0.size <= UInt64(limit) }) else {
        throw ImageRefusal("\(kind.name) section", "over \(limit) bytes")
      }
    }
  }

  private static func commandLine(_ sections: [Section], _ bytes: any ImageBytes) throws -> String {
    let place = "cmdline section"
    guard let section = sections.first(where: { $0.kind == .commandLine }) else { throw ImageRefusal(place, "missing") }
    guard section.size <= UInt64(ImageLimits.commandLineBytes) else {
      throw ImageRefusal(place, "over \(ImageLimits.commandLineBytes) bytes")
    }
    let text = String(validating: try bytes.read(at: section.offset, count: Int(section.size)), as: UTF8.self)
    // A NUL would end the line for a kernel, while all of it is measured.
    guard let text, !text.utf8.contains(0) else { throw ImageRefusal(place, "not text without a NUL") }
    return text
  }

  /// The ramdisks, in order.
  package var ramdisks: [Section] { sections.filter { $0.kind == .ramdisk } }

  /// The data of one of this image's sections.
  package func data(of section: Section) -> any ByteSource {
    ImageStretch(bytes, offset: section.offset, count: section.size)
  }

  /// The metadata section's JSON; nil when there is none.
  ///
  /// - Throws: ``ImageRefusal`` when it is not text.
  package func metadata() throws -> String? {
    guard let bytes = try small(.metadata) else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ImageRefusal("metadata section", "not text")
    }
    return text
  }

  /// Reads the whole file once: compares its CRC, and measures it.
  ///
  /// - Throws: ``ImageRefusal``.
  package func measure() throws -> ImageMeasurement {
    var checksum = Checksum()
    checksum.update(Array(header[..<EIFFormat.crcOffset]))
    var registers = PCRCalculator()
    var ramdisk = 0
    for section in sections {
      checksum.update(
        try bytes.read(
          at: section.offset - UInt64(EIFFormat.sectionHeaderBytes), count: EIFFormat.sectionHeaderBytes))
      let data = data(of: section)
      while case let piece = try data.read(upTo: ImageLimits.chunkBytes), !piece.isEmpty {
        checksum.update(piece)
        registers.update(section.kind, ramdisk: ramdisk, piece)
      }
      if section.kind == .ramdisk { ramdisk += 1 }
    }
    let announced = UInt32(EIFFormat.number(header, EIFFormat.crcOffset, 4))
    guard checksum.value == announced else {
      throw ImageRefusal(
        "header", "the CRC-32 is \(Self.hex(announced)), the content's is \(Self.hex(checksum.value)): damaged")
    }
    return registers.measurement(signingCertificate: try small(.signature).map { try SignatureSection.certificate($0) })
  }

  /// A section whose size was bounded when it was found.
  private func small(_ kind: SectionKind) throws -> [UInt8]? {
    guard let section = sections.first(where: { $0.kind == kind }) else { return nil }
    return try bytes.read(at: section.offset, count: Int(section.size))
  }

  private static func hex(_ value: UInt32) -> String { Hex.encode(EIFFormat.bytes(value)) }
}
