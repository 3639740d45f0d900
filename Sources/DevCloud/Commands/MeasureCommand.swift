import ArgumentParser
import FoundationEssentials
import Wire

/// `devcloud measure`.
struct MeasureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "measure",
    abstract: "Prints the measurements that a worker started with this image directory will have.")

  @Option(help: ArgumentHelp("The worker's executable.", valueName: "exe"))
  var worker: String
  @Option(help: ArgumentHelp("The image directory that it is started with.", valueName: "dir"))
  var image: String
  @Flag(help: "Print {\"pcr0\", \"pcr1\", \"pcr2\"} as JSON.")
  var json = false

  func run() throws {
    let measurement = try ImageMeasurement(executable: worker, imageDirectory: image)
    let registers = [
      "pcr0": Hex.encode(measurement.pcr0), "pcr1": Hex.encode(measurement.pcr1), "pcr2": Hex.encode(measurement.pcr2),
    ]
    guard json else {
      for (name, value) in registers.sorted(by: { $0.key < $1.key }) { print("\(name) \(value)") }
      return
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    print(String(decoding: try encoder.encode(registers), as: UTF8.self))
  }
}
