import Crypto
import Foundation
import Testing
import Wire

@testable import DevCloud

@Suite("Measurements")
struct MeasurementTests {
  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "measure-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder.appending(path: "image"), withIntermediateDirectories: true)
    try Data("program".utf8).write(to: folder.appending(path: "worker"))
    try Data("development\n".utf8).write(to: folder.appending(path: "image/evidence-class"))
    try Data("roots".utf8).write(to: folder.appending(path: "image/a.pem"))
  }

  private func measured() throws -> ImageMeasurement {
    try ImageMeasurement(
      executable: folder.appending(path: "worker").path, imageDirectory: folder.appending(path: "image").path)
  }

  private func register(_ text: String) -> [UInt8] {
    Array(SHA384.hash(data: [UInt8](repeating: 0, count: 48) + Array(SHA384.hash(data: Data(text.utf8)))))
  }

  @Test("are SHA-384 over the stated text")
  func form() throws {
    func hex(_ text: String) -> String { Hex.encode(Array(SHA384.hash(data: Data(text.utf8)))) }
    let worker = "worker \(hex("program"))\n"
    let files = "file a.pem \(hex("roots"))\nfile evidence-class \(hex("development\n"))\n"
    let measurement = try measured()
    #expect(measurement.pcr0 == register("ephemeralml-dev-image-v1\n" + worker + files))
    #expect(measurement.pcr1 == register(worker))
    #expect(measurement.pcr2 == register(files))
  }

  @Test("change with the program, a file's content, a file's name and a file more")
  func changes() throws {
    let before = try measured()
    try Data("rebuilt".utf8).write(to: folder.appending(path: "worker"))
    let rebuilt = try measured()
    #expect(rebuilt.pcr0 != before.pcr0)
    #expect(rebuilt.pcr1 != before.pcr1)
    #expect(rebuilt.pcr2 == before.pcr2)
    try Data("more".utf8).write(to: folder.appending(path: "image/b"))
    let more = try measured()
    #expect(more.pcr0 != rebuilt.pcr0)
    #expect(more.pcr1 == rebuilt.pcr1)
    #expect(more.pcr2 != rebuilt.pcr2)
    try FileManager.default.moveItem(at: folder.appending(path: "image/b"), to: folder.appending(path: "image/c"))
    #expect(try measured().pcr2 != more.pcr2)
  }

  @Test("are refused for links, folders, large files, too many files and names that could forge a line")
  func refusals() throws {
    let image = folder.appending(path: "image")
    let bad: [(String, (URL) throws -> Void)] = [
      (
        "link",
        { try FileManager.default.createSymbolicLink(at: $0, withDestinationURL: URL(filePath: "/etc/hostname")) }
      ),
      ("folder", { try FileManager.default.createDirectory(at: $0, withIntermediateDirectories: false) }),
      ("large", { try Data(count: ImageMeasurement.fileBytesMax + 1).write(to: $0) }),
      ("with blank", { try Data().write(to: $0) }),
      ("new\nline", { try Data().write(to: $0) }),
    ]
    for (name, make) in bad {
      let url = image.appending(path: name)
      try make(url)
      #expect(throws: StateError.self, "\(name)") { try measured() }
      try FileManager.default.removeItem(at: url)
    }
    _ = try measured()
    for number in 0..<15 { try Data().write(to: image.appending(path: "f\(number)")) }
    #expect(throws: StateError.self) { try measured() }
  }

  @Test("find the image directory on the command line, and refuse two")
  func arguments() throws {
    #expect(try PeerProcess.imageArgument(["w", "--image", "/i", "--listen", "x"]) == "/i")
    #expect(try PeerProcess.imageArgument(["w", "--image=i"]) == "i")
    #expect(try PeerProcess.imageArgument(["w", "--image"]) == nil)
    #expect(try PeerProcess.imageArgument(["w"]) == nil)
    #expect(throws: StateError.self) { try PeerProcess.imageArgument(["w", "--image", "a", "--image=b"]) }
  }
}
