/// The tensors of one or several weight files by their names: each stands once, and in the file that the index says.
package struct TensorDirectory: Sendable {
  /// Where a tensor lies.
  package struct Place: Sendable {
    /// Index in `headers`.
    package let file: Int
    package let tensor: TensorInfo
  }

  package let headers: [SafetensorsHeader]
  private let places: [[UInt8]: Place]

  /// - Parameter index: of a model in several files; each header must be of one of its files, and all of them be there.
  package init(_ headers: [SafetensorsHeader], index: ShardIndex? = nil) throws(ModelError) {
    self.headers = headers
    var places: [[UInt8]: Place] = [:]
    for (number, header) in headers.enumerated() {
      for tensor in header.tensors {
        let name = Array(tensor.name.utf8)
        if let other = places.updateValue(Place(file: number, tensor: tensor), forKey: name) {
          throw SafetensorsHeader.failure(
            header.file, tensor.name, "stands in \(headers[other.file].file) already")
        }
        if let index, index.places[name] != header.file {
          throw SafetensorsHeader.failure(
            header.file, tensor.name,
            "is \(index.places[name].map { "in \($0)" } ?? "not listed") by \(ShardIndex.file)")
        }
      }
    }
    if let index {
      for (name, shard) in index.places.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) })
      where places[name] == nil {
        throw SafetensorsHeader.failure(shard, String(decoding: name, as: UTF8.self), "is missing")
      }
    }
    self.places = places
  }

  /// The tensor of exactly this name.
  package subscript(name: String) -> Place? { places[Array(name.utf8)] }

  /// The tensor of this name, shape and a type of floats. Throws when there is none.
  func require(_ name: String, shape: [Int]) throws(ModelError) -> Place {
    guard let place = self[name] else {
      throw SafetensorsHeader.failure(headers.first?.file ?? WeightsFile.name, name, "is missing")
    }
    let (tensor, file) = (place.tensor, headers[place.file].file)
    guard tensor.shape == shape else {
      throw SafetensorsHeader.failure(file, name, "has shape \(tensor.shape), where \(shape) was due")
    }
    guard [.f32, .f16, .bf16].contains(tensor.type) else {
      throw SafetensorsHeader.failure(file, name, "is \(tensor.type.rawValue); F32, F16 and BF16 are supported")
    }
    return place
  }
}
